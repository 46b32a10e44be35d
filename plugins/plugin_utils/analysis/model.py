# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the analysis: what a vantage brings, the six verdicts, and the closed list of reasons."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Mapping

SEEN, NETWORK, CAPTURE = "seen", "lost in network", "lost in capture"
OUTSIDE, NOT_MIRRORED, UNKNOWN = "outside window", "not mirrored", "unknown"
#: In the order of the numbers by which passages and SQL know them.
VERDICTS = (SEEN, NETWORK, CAPTURE, OUTSIDE, NOT_MIRRORED, UNKNOWN)

FORWARD, REVERSE = 1, -1
DIRECTIONS: Mapping[int, str] = {FORWARD: "forward", REVERSE: "reverse"}

#: Why an answer is limited; docs/schemas/report.schema.json has the same list and a unit test compares the two.
REASONS: Mapping[str, str] = {
    "unreadable": "its capture could not be read",
    "empty": "it captured nothing, so nothing can be said of what passed it",
    "truncated": "its capture ends in the middle of a packet; what came later is not known",
    "foreign_link_type": "its capture has a link type whose packets could not be read",
    "same_name": "another vantage has the same name; only the first was used",
    "no_overlap": "its window does not overlap that of any other vantage",
    "clock_jump": "its clock jumped during the capture; times were corrected on both sides of the jump",
    "clock_one_way": "traffic went one way only, so clock offset and delay cannot be told apart",
    "clock_unknown": "no packet was seen both here and elsewhere, so its clock cannot be compared",
    "drops": "its capture dropped packets, which may explain what is missing here",
    "drops_untrusted": "nobody can say how many packets its capture dropped, so what is missing here may be its fault",
    "filters_differ": "its filter is not that of the vantage before, so it may not have been asked to see these packets",
    "sampled": "the mirror sends only some of the packets",
    "unidentified": "these packets look alike, so one cannot be told from another",
    "flow_not_seen": "no packet of these connections was seen here: they may take another way, or all be lost",
    "order_unknown": "the order of the vantages is not certain, so what is missing cannot be placed",
    "direction_unknown": "it is not known which way these packets go",
    "window_edge": "they passed too near the edge of the capture's window",
    "not_in_path": "it is not named in campaign_path, so it was not compared",
    "path_unclear": "campaign_path could not be followed",
    "no_match": "its packets match those of no other vantage",
    "failed": "its evidence failed, so it was not compared",
    "loop": "packets pass it more than once",
    "unpaired": "connections of a load balancer could not be paired, so they are not followed across it",
    "single_vantage": "there is only one vantage to look at, and loss shows between two",
}


class Reason(t.NamedTuple):
    """Why an answer is limited: a name of REASONS, what it is about (None: all), and a sentence."""

    code: str
    subject: str | None
    text: str

    def plain(self) -> dict[str, t.Any]:
        return self._asdict()


def reason(code: str, subject: str | None = None, text: str | None = None) -> Reason:
    words = text or REASONS[code]
    return Reason(code, subject, words[0].upper() + words[1:] + ("" if words.endswith(".") else "."))


class Vantage(t.NamedTuple):
    """One vantage as the analysis gets it. Times are Unix nanoseconds by the vantage's own clock; None is not known.

    *keys* are Parquet files that pcap_index wrote, or anything DuckDB can scan (a pyarrow table). *drops* is how many packets
    the capture itself may have lost. *offset_s* is this clock minus the controller's, wrong by no more than *error_s*.
    """

    name: str
    keys: t.Any = ()
    host: str | None = None
    mirror: bool = False
    filter: str | None = ""
    opened_ns: int | None = None
    closed_ns: int | None = None
    drops: int | None = 0
    trustworthy: bool = True
    drops_source: str | None = None
    offset_s: float | None = None
    error_s: float | None = None
    sampled: int | None = None
    counters: tuple[t.Any, t.Any] = (None, None)
    files: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    #: What side.py read: the connection manager's messages, and clients that a load balancer hides.
    cm: tuple[Mapping[str, t.Any], ...] = ()
    #: What DPVS's `ipvsadm -lnc` said there at the beginning and the end of the window.
    balanced: tuple[str, ...] = ()
    out_of_order: int | None = None
    last_ns: int | None = None

    @property
    def lossy(self) -> int | None:
        """How many packets its capture may have lost; None where nobody knows."""
        return self.drops if self.trustworthy else None


class FlowPair(t.NamedTuple):
    """Two connections that are one on both sides of a load balancer: (source, destination, source port, destination port) each.

    On side *b* a packet's TCP sequence number is that on side *a* plus *sequence*, its
    acknowledgement that on side *a* plus *acknowledgement*, modulo 2**32. One pair describes one direction.
    """

    a: tuple[str, str, int, int]
    b: tuple[str, str, int, int]
    protocol: int = 6
    sequence: int = 0
    acknowledgement: int = 0


class Limits(t.NamedTuple):
    """How much the analysis may use and say. Sizes in bytes."""

    memory: int = 1200 << 20
    threads: int = 2
    folder: str | None = None
    bins: int = 120
    connections: int = 1000
    rewrites: int = 1000
    #: Rows of repeated packets that are matched one by one; beyond that only occurrence numbers tell them apart.
    repeated: int = 500_000


class Unavailable(Exception):
    """What the analysis needs is not installed, or not on this controller; the message says what to do."""


def need() -> t.Any:
    """Return the module duckdb; raises Unavailable where it, numpy or pyarrow is missing."""
    try:
        import duckdb
        import numpy  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError as missing:
        raise Unavailable(
            f"The analysis needs duckdb, numpy and pyarrow on the controller, and {missing.name} is missing: pip install duckdb numpy pyarrow."
        ) from missing
    return duckdb
