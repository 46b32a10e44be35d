# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts everything that captures say together into one structure, that of docs/schemas/report.schema.json."""

from __future__ import annotations

import time
import typing as t

from . import connections, counters, fullnat, roce, words
from .locate import COUNTS, Hop, Located, Locator, by_controller
from .model import DIRECTIONS, NOT_MIRRORED, OUTSIDE, REASONS, UNKNOWN, FlowPair, Limits, Reason, Vantage, reason
from .path import Path, Time
from .store import Store, opened

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LIMITS = Limits()
#: What a hop is called here and there alike.
SAME = (*COUNTS, "margin_s")
#: More copies than this share of the packets are no accident.
LOOP = 0.3


def analyse(
    vantages: Sequence[Vantage],
    path: Sequence[str] = (),
    campaign: str | None = None,
    window: tuple[int | None, int | None] = (None, None),
    pairs: Sequence[FlowPair] = (),
    limits: Limits = LIMITS,
    look: Callable[[Store, Located, Mapping[int, Vantage]], None] | None = None,
) -> dict[str, t.Any]:
    """Return the report. *path* names vantages or hosts in the order of the forward direction; without it the order is inferred.

    *pairs* are connections that are one behind and before a load balancer, beside those that are found.
    *window* is T0 and T1 in Unix nanoseconds. *look* is called with the database before it goes, for who wants each packet.
    Raises Unavailable where duckdb, numpy or pyarrow is missing; bad captures end up in the report with a reason.
    """
    named, reasons = _unique(vantages)
    with opened(limits) as store:
        usable, more = _readable(store, named)
        declared, told = _declared(path, named, usable)
        taking = {place: vantage for place, vantage in usable.items() if not declared or place in declared}
        reasons += more + told
        outside = {place: vantage for place, vantage in usable.items() if place not in taking}
        report = _Report(store, named, taking, outside, reasons, campaign, window)
        if taking:
            found = fullnat.pair(store, taking)
            reasons += found.reasons
            store.join(list(taking), [*pairs, *found.pairs], found.lone)
            locator = Locator(store, taking, declared)
            report.fill(locator.run())
            if look:
                look(store, report.located, taking)
        return report.finished()


def _unique(vantages: Sequence[Vantage]) -> tuple[list[Vantage], list[Reason]]:
    named: dict[str, Vantage] = {}
    reasons = []
    for vantage in vantages:
        if vantage.name in named:
            reasons.append(reason("same_name", vantage.name))
        else:
            named[vantage.name] = vantage
    return list(named.values()), reasons


def _readable(store: Store, named: Sequence[Vantage]) -> tuple[dict[int, Vantage], list[Reason]]:
    usable: dict[int, Vantage] = {}
    reasons: list[Reason] = []
    for place, vantage in enumerate(named):
        if isinstance(vantage.keys, (tuple, list)) and not vantage.keys:
            if not vantage.reasons:
                reasons.append(reason("unreadable", vantage.name, "it has no packet keys"))
            continue
        wrong = store.read(place, vantage)
        if wrong is None and not store.rows(f"SELECT count(*) FROM keys_{place}")[0][0]:
            wrong = reason("empty", vantage.name)
        if wrong:
            reasons.append(wrong)
        else:
            usable[place] = vantage
    return usable, reasons


def _declared(path: Sequence[str], named: Sequence[Vantage], usable: Mapping[int, Vantage]) -> tuple[list[int], list[Reason]]:
    """Turn the names in *path* into places; names of vantages first, then of hosts that have one vantage."""
    places: list[int] = []
    reasons: list[Reason] = []
    for name in path:
        exact = [place for place, vantage in enumerate(named) if vantage.name == name]
        hosts = [place for place, vantage in enumerate(named) if vantage.host == name]
        found = exact or hosts
        if len(found) != 1:
            what = f"campaign_path names {name}, which " + (f"has {len(found)} vantages: name one of them" if found else "is no vantage and no host of one")
            reasons.append(reason("path_unclear", name, what))
        elif found[0] in usable and found[0] not in places:
            places.append(found[0])
    if len(places) < 2:
        return [], reasons
    reasons += [reason("not_in_path", vantage.name) for place, vantage in usable.items() if place not in places]
    return places, reasons


class _Report:
    def __init__(
        self, store: Store, named: Sequence[Vantage], usable: Mapping[int, Vantage], outside: Mapping[int, Vantage], reasons: list[Reason],
        campaign: str | None, window: tuple[int | None, int | None],
    ) -> None:  # fmt: skip
        self.store, self.named, self.usable, self.outside, self.reasons, self.window = store, named, usable, outside, reasons, window
        self.names = {place: vantage.name for place, vantage in enumerate(named)}
        self.located = Located(_nowhere(), 0, {}, {}, [], {}, [], [])
        empty_series: dict[str, t.Any] = {"start_ns": None, "bin_ns": None, "bins": 0, "vantages": [], "hops": []}
        self.plain: dict[str, t.Any] = {
            "schema": 1, "campaign": campaign, "created_ns": time.time_ns(), "window": {"t0_ns": window[0], "t1_ns": window[1]}, "verdict": {},
            "path": {"order": [], "source": "none", "certain": True, "reason": None, "hops": []}, "vantages": [],
            "connections": {"total": 0, "rows": []}, "series": empty_series, "rewrites": [], "counters": [], "unknown": [],
        }  # fmt: skip

    def fill(self, located: Located) -> None:
        self.located = located
        self.reasons += located.reasons
        names, order = self.names, located.path.order
        self.plain["path"] = {
            "order": [names[place] for place in order], "source": located.path.source, "certain": located.path.certain, "reason": located.path.reason,
            "hops": [self._hop(hop) for hop in located.hops],
        }  # fmt: skip
        managed = [pair for vantage in self.usable.values() for pair in roce.managed(vantage.cm)]
        roce.prepare(self.store, order, list(self.usable), managed)
        total, rows = connections.rows(self.store, names, self._spare)
        self.plain["connections"] = {"total": total, "rows": rows}
        beside = located._replace(times={**located.times, **self._beside(order)})
        self.plain["series"] = connections.series(self.store, beside, [*self.usable, *self.outside], names, self._span())
        changes = located.rewrites[: self.store.limits.rewrites]
        self.plain["rewrites"] = [
            {"from": names[one], "to": names[other], "direction": DIRECTIONS[way], "field": field, "before": before, "after": after, "packets": count}
            for one, other, way, field, before, after, count in changes
        ]
        self.plain["unknown"] = self._unknown()

    def finished(self) -> dict[str, t.Any]:
        plain = self.plain
        plain["vantages"] = [self._vantage(place, vantage) for place, vantage in enumerate(self.named)]
        plain["counters"] = [entry for place, vantage in enumerate(self.named) if (entry := self._counters(place, vantage))]
        for row in plain["connections"]["rows"]:
            row.pop(connections.PLACES, None)
        if len(self.usable) == 1:
            self.reasons.append(reason("single_vantage"))
        every = [*self.reasons, *(Reason(**found) for entry in plain["vantages"] for found in entry["reasons"])]
        plain["verdict"] = {
            "answer": words.answer(plain["path"]["hops"]),
            "sentences": words.sentences(plain),
            "reasons": [found.plain() for found in dict.fromkeys(every)],
        }
        return plain

    def _span(self) -> tuple[float, float] | None:
        t0, t1 = self.window
        if t0 is None or t1 is None or not self.located.path.order:
            return None
        first = self.located.times[self.located.path.order[0]]
        return first.seconds(t0, self.located.epoch_ns), first.seconds(t1, self.located.epoch_ns)

    def _beside(self, order: Sequence[int]) -> dict[int, Time]:
        """Return the times of vantages outside the path, of whose clocks the controller alone can tell."""
        return {place: by_controller(self.usable[order[0]], vantage) for place, vantage in self.outside.items()} if order else {}

    def _spare(self, place: int) -> int | None:
        lossy = self.usable[place].lossy
        return None if lossy is None else max(0, lossy - sum(hop.lost_in_capture for hop in self.located.hops if hop.other == place))

    def _hop(self, hop: Hop) -> dict[str, t.Any]:
        times = self.located.times
        errors = [times[hop.one].error_s, times[hop.other].error_s]
        delay = dict(zip(("samples", "min_s", "median_s", "p99_s"), hop.delay)) if hop.delay else None
        same = {name: getattr(hop, name) for name in SAME}
        if hop.seen and hop.duplicates > LOOP * hop.seen:
            words_ = f"{hop.duplicates} of {hop.seen} packets came twice to {self.names[hop.other]}: they pass it twice, or were captured on two devices"
            self.reasons.append(reason("loop", self.names[hop.other], words_))
        return {
            "from": self.names[hop.one], "to": self.names[hop.other], "direction": DIRECTIONS[hop.way], **same,
            "lost_in_network": {"min": hop.lost[0], "max": hop.lost[1]}, "delay": delay,
            "delay_error_s": None if None in errors else sum(t.cast("list[float]", errors)),
        }  # fmt: skip

    def _unknown(self) -> list[dict[str, t.Any]]:
        rows = self.store.rows(
            f"SELECT one, other, way, verdict, code, count(*) AS n FROM verdict WHERE verdict IN ('{OUTSIDE}', '{NOT_MIRRORED}', '{UNKNOWN}') AND code <> '' "
            "GROUP BY ALL ORDER BY n DESC, one, other, way, code"
        )
        return [
            {
                "from": self.names[one], "to": self.names[other], "direction": DIRECTIONS[way], "verdict": verdict, "packets": count, "code": code,
                "text": f"{self.names[other]}: {REASONS[code]}.",
            }
            for one, other, way, verdict, code, count in rows
        ]  # fmt: skip

    def _vantage(self, place: int, vantage: Vantage) -> dict[str, t.Any]:
        order = self.located.path.order
        used = place in order
        packets = size = first = last = unidentified = None
        if place in self.usable:
            packets, size, first, last, unidentified = self.store.rows(
                f"SELECT sum(packets)::BIGINT, sum(bytes)::BIGINT, min(first_ns), max(last_ns), sum(unidentified)::BIGINT FROM flow_at WHERE place = {place}"
            )[0]
        found = [*vantage.reasons, *(item for item in self.reasons if item.subject == vantage.name)]
        found += self._limits(place, vantage, used)
        return {
            "vantage": vantage.name, "host": vantage.host, "usable": place in self.usable, "position": order.index(place) if used else None,
            "packets": packets if packets is not None else 0 if any(item.code == "empty" for item in found) else None,
            "bytes_wire": size, "unidentified": unidentified, "missed": self.located.missed.get(place), "first_ns": first, "last_ns": last,
            "opened_ns": vantage.opened_ns, "closed_ns": vantage.closed_ns, "filter": vantage.filter, "out_of_order": vantage.out_of_order,
            "drops": {"count": vantage.drops, "trustworthy": vantage.trustworthy, "source": vantage.drops_source},
            "clock": self._clock(place), "reasons": [item.plain() for item in dict.fromkeys(found)], "files": list(vantage.files),
        }  # fmt: skip

    def _limits(self, place: int, vantage: Vantage, used: bool) -> list[Reason]:
        """Return what limits the answer at one vantage that took part."""
        if place not in self.usable:
            return []
        found = []
        time_ = self.located.times.get(place)
        if not used and not any(item.subject == vantage.name and item.code == "not_in_path" for item in self.reasons):
            found.append(reason("no_match", vantage.name))
        elif time_ and not time_.known:
            found.append(reason("clock_unknown", vantage.name))
        elif time_ and time_.method == "one_direction":
            found.append(reason("clock_one_way", vantage.name))
        if time_ and time_.jumps:
            found.append(reason("clock_jump", vantage.name))
        if vantage.lossy is None:
            found.append(reason("drops_untrusted", vantage.name))
        elif vantage.lossy:
            found.append(reason("drops", vantage.name))
        if used and len(self.located.windows) > 1 and self._apart(place):
            found.append(reason("no_overlap", vantage.name))
        return found

    def _apart(self, place: int) -> bool:
        opened_, closed = self.located.windows[place]
        others = [window for other, window in self.located.windows.items() if other != place]
        return all(closed <= begin or end <= opened_ for begin, end in others)

    def _clock(self, place: int) -> dict[str, t.Any]:
        found = self.located.times.get(place)
        if found is None or not found.known:
            return {"method": "none", "against": None, "offset_s": None, "error_s": None, "skew_ppm": None, "residual_s": None, "samples": 0, "jumps": []}
        epoch = self.located.epoch_ns
        return {
            "method": found.method, "against": None if found.method == "reference" else self.names[self.located.path.order[0]],
            "offset_s": found.offset_s, "error_s": found.error_s, "skew_ppm": None if found.method == "controller" else found.skew * 1e6,
            "residual_s": found.residual_s, "samples": found.samples, "jumps": [{"t_ns": epoch + round(at * 1e9), "by_s": by} for at, by in found.jumps],
        }  # fmt: skip

    def _counters(self, place: int, vantage: Vantage) -> dict[str, t.Any] | None:
        before, after = vantage.counters
        if not before or not after:
            return None
        grown = counters.moved(before, after)
        rows = [row for row in self.plain["connections"]["rows"] if row.get(connections.PLACES, 0) >> place & 1]
        read = counters.has_rdma(before) and place in self.located.path.order
        found = counters.readings(grown, counters.figures(rows, vantage.name, self._marks(place)), read)
        return {
            "vantage": vantage.name, "host": vantage.host, "moved": [{"name": name, "by": by} for name, by in sorted(grown.items())], "readings": found,
            "files": [path for path in vantage.files if "/counters/" in path],
        }  # fmt: skip

    def _marks(self, place: int) -> int:
        """Return how many marked packets came to the host at an end of the path."""
        order = self.located.path.order
        if place not in order:
            return 0
        way = {len(order) - 1: 1, 0: -1}.get(order.index(place))
        if way is None:
            return 0
        return self.store.rows(
            f"SELECT coalesce(sum(flow_at.marked), 0)::BIGINT FROM flow_at JOIN routed USING (flow) WHERE flow_at.place = {place} AND onward = "
            f"{way} AND flow_at.roce"
        )[0][0]


def _nowhere() -> Path:
    return Path((), "none", True)
