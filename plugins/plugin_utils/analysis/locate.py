# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where packets were lost: a verdict for each packet on each leg of its way, counted."""

from __future__ import annotations

import typing as t

from . import clock, match
from . import path as paths
from .model import CAPTURE, DIRECTIONS, FORWARD, NETWORK, NOT_MIRRORED, OUTSIDE, REVERSE, UNKNOWN, Reason, Vantage, reason
from .store import FAR, IDENTIFIED, Store

try:
    import numpy as np
except ImportError:
    np = None

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Common packets that are looked at for a comparison of clocks.
SAMPLE = 200_000
#: Without a packet that was seen at both ends, how long one may take.
PATIENCE_S = 0.01
#: Packets that are sorted in memory at once.
CHUNK = 2_000_000
#: The longest way that is believed.
LONGEST_S = 1.0
#: Routers on the way from one vantage to another, as an average that no rounding makes.
TTL_FELL = 0.5
MISSING_CODES = ("", "drops", "drops_untrusted")
COUNTS = ("packets", "seen", "missing", "lost_in_capture", "outside_window", "not_mirrored", "unknown", "duplicates", "reordered")
FIELDS = (("dscp", 0, 0x3F), ("ecn", 6, 0x3), ("ttl", 8, 0xFF), ("vlan", 16, 0x1FFF), ("address", FAR.bit_length() - 1, 1))


class Leg(t.NamedTuple):
    """From place *one* to place *other*; *kind* as in paths.route, *classes* are the flows that go there."""

    one: int
    other: int
    way: int
    kind: str
    classes: tuple[int, ...]


class Hop(t.NamedTuple):
    """What the legs between two vantages in one direction say together; names as in report.schema.json."""

    one: int
    other: int
    way: int
    packets: int = 0
    seen: int = 0
    missing: int = 0
    lost: tuple[int, int] = (0, 0)
    lost_in_capture: int = 0
    outside_window: int = 0
    not_mirrored: int = 0
    unknown: int = 0
    duplicates: int = 0
    reordered: int = 0
    delay: tuple[int, float, float, float, float] | None = None
    margin_s: float | None = None


def apart(a: Vantage, b: Vantage) -> tuple[float, float] | None:
    """Return (seconds, error) by which the clock of *b* is ahead of that of *a*, as the controller compared both; None where it did not. Pure."""
    if a.offset_s is None or b.offset_s is None or a.error_s is None or b.error_s is None:
        return None
    return b.offset_s - a.offset_s, a.error_s + b.error_s


def by_controller(a: Vantage, b: Vantage) -> paths.Time:
    """Return how times of *b* become those of *a* where no packet can tell. Pure."""
    known = apart(a, b)
    if known is None:
        return paths.Time("none", error_s=None, residual_s=None)
    return paths.Time("controller", known[0], error_s=known[1], residual_s=None)


class Located(t.NamedTuple):
    path: paths.Path
    epoch_ns: int
    times: Mapping[int, paths.Time]
    windows: Mapping[int, tuple[float, float]]
    hops: list[Hop]
    missed: Mapping[int, int]
    rewrites: list[tuple[int, int, int, str, t.Any, t.Any, int]]
    reasons: list[Reason]


class Locator:
    """One comparison; *vantages* by place, of which the store has read the keys. *declared* is the path as places, or empty."""

    def __init__(self, store: Store, vantages: Mapping[int, Vantage], declared: Sequence[int]) -> None:
        self.store, self.vantages, self.declared = store, vantages, declared
        self.places = sorted(vantages)
        self.reasons: list[Reason] = []
        self.epoch_ns = 0
        self.times: Mapping[int, paths.Time] = {}
        self.windows: dict[int, tuple[float, float]] = {}
        self.path = paths.Path((), "none", True)
        self.ways: dict[tuple[int, int], int] = {}
        self.delays: dict[tuple[int, int], float] = {}
        #: Places of mirrors that send only some packets, as bits: they prove what they show and nothing by what they do not.
        self.sampled = sum(1 << place for place, vantage in vantages.items() if (vantage.sampled or 1) > 1)

    def run(self) -> Located:
        self._flows()
        pairs, ttl = self._compare()
        self.path = self._order(pairs, ttl)
        self.ways = self._directed(paths.ways_on(self.path.order, pairs), pairs, ttl)
        self.times = paths.timeline(self.path.order, pairs, self._by_controller)
        self.windows = {place: self._window(place) for place in self.path.order}
        self._classes()
        legs = list(self._legs())
        self.delays = self._first_delays(legs)
        self._regroup()
        self.store.run(
            "CREATE OR REPLACE TABLE verdict (fingerprint UBIGINT, occurrence UINTEGER, flow UBIGINT, one INTEGER, other INTEGER, way INTEGER, "
            "verdict VARCHAR, code VARCHAR, t_s DOUBLE)"
        )
        parts = [self._leg(leg) for leg in legs]
        hops = self._bounded(_summed(parts))
        missed = self._missed(hops)
        rewrites = [row for leg in legs if leg.kind == "follow" for row in self._rewrites(leg)]
        return Located(self.path, self.epoch_ns, self.times, self.windows, hops, missed, _merged(rewrites), self.reasons)

    # -- who talks to whom --------------------------------------------------------------------------------------------

    def _flows(self) -> None:
        run = self.store.run
        run("CREATE OR REPLACE TABLE talk AS SELECT row_number() OVER (ORDER BY key) - 1 AS talk, key FROM (SELECT DISTINCT least(hash(src, dst), hash(dst, "
            "src)) AS key FROM flow_at)")
        run(
            "CREATE OR REPLACE TABLE flow AS WITH known AS (SELECT flow, any_value(src) AS src, any_value(dst) AS dst, any_value(protocol) AS protocol, "
            "any_value(sport) AS sport, any_value(dport) AS dport, any_value(dest_qp) AS dest_qp, bool_or(roce) AS roce, bool_or(asks) AS asks, "
            "bit_or((1::BIGINT << place)) AS places, "
            "max(packets) AS packets, max(bytes) AS bytes, max(marked) AS marked, min(first_ns) AS first_ns, max(last_ns) AS last_ns "
            "FROM flow_at GROUP BY flow) "
            "SELECT known.*, talk.talk AS talk, CASE WHEN hash(src, dst) <= hash(dst, src) THEN 1 ELSE -1 END AS way, "
            # What may go on under another name is not missed where others of the same hosts were seen.
            "CASE WHEN EXISTS (SELECT 1 FROM lone l WHERE l.src = known.src AND l.dst = known.dst AND l.protocol = known.protocol AND "
            "l.sport = known.sport AND l.dport = known.dport) THEN places ELSE bit_or(places) OVER (PARTITION BY talk.talk) END AS near "
            "FROM known JOIN talk ON talk.key = least(hash(src, dst), hash(dst, src))"
        )
        self.epoch_ns = self.store.rows("SELECT min(first_ns) FROM flow_at")[0][0] or 0

    def _busiest(self) -> tuple[int, int] | None:
        rows = self.store.rows("SELECT talk, way, sum(bytes) AS b FROM flow GROUP BY talk, way ORDER BY b DESC, talk, way LIMIT 1")
        return (rows[0][0], rows[0][1]) if rows else None

    # -- clocks and order ---------------------------------------------------------------------------------------------

    def _compare(self) -> tuple[dict[tuple[int, int], clock.Comparison], dict[tuple[int, int], float]]:
        total = self.store.rows("SELECT count(*) FROM passage")[0][0]
        every = max(1, total // SAMPLE)
        self.store.run("CREATE OR REPLACE TABLE again AS SELECT DISTINCT fingerprint FROM passage WHERE occurrence > 0")
        self.store.run(
            f"CREATE OR REPLACE TABLE sample AS SELECT passage.*, flow.talk, flow.way FROM passage JOIN flow USING (flow) "
            f"WHERE passage.fingerprint % {every} = 0 AND passage.fingerprint NOT IN (SELECT fingerprint FROM again)"
        )
        pairs, ttl = {}, {}
        for at, one in enumerate(self.places):
            for other in self.places[at + 1 :]:
                found = clock.compare(self._sample(one, other), self._known(one, other))
                if found:
                    pairs[one, other] = found
                    ttl[one, other] = self._ttl(one, other)
        return pairs, ttl

    def _sample(self, one: int, other: int) -> clock.Sample:
        got = self.store.columns(
            f"SELECT (t_{one} - {self.epoch_ns}) * 1e-9 AS a, (t_{other} - {self.epoch_ns}) * 1e-9 AS b, talk, way FROM sample "
            f"WHERE t_{one} IS NOT NULL AND t_{other} IS NOT NULL AND (m_{one} & {IDENTIFIED}) <> 0"
        )
        return clock.Sample(got["a"], got["b"], got["talk"], got["way"])

    def _ttl(self, one: int, other: int) -> float:
        busiest = self._busiest()
        if busiest is None:
            return 0.0
        rows = self.store.rows(
            f"SELECT avg(((m_{one} >> 8) & 255)::INTEGER - ((m_{other} >> 8) & 255)::INTEGER) FROM sample WHERE t_{one} IS NOT NULL AND t_{other} IS NOT NULL "
            f"AND talk = {busiest[0]} AND way = {busiest[1]}"
        )
        return float(rows[0][0] or 0.0)

    def _known(self, one: int, other: int) -> tuple[float, float] | None:
        return apart(self.vantages[one], self.vantages[other])

    def _order(self, pairs: Mapping[tuple[int, int], clock.Comparison], ttl: Mapping[tuple[int, int], float]) -> paths.Path:
        if self.declared:
            return paths.Path(tuple(self.declared), "declared", True)
        joined = [place for place in self.places if any(place in pair for pair in pairs)] or self.places[:1]
        return paths.infer(joined, pairs, ttl, self._busiest())

    def _directed(
        self, ways: dict[tuple[int, int], int], pairs: Mapping[tuple[int, int], clock.Comparison], ttl: Mapping[tuple[int, int], float]
    ) -> dict[tuple[int, int], int]:
        """Where all traffic went one way, let TTL say which; else take it to be the path's and say so."""
        if self.path.source != "declared" or not pairs or any(found.error_s is not None for found in pairs.values()):
            return ways
        place = {vantage: number for number, vantage in enumerate(self.path.order)}
        fallen = sum(by if place[one] < place[other] else -by for (one, other), by in ttl.items() if one in place and other in place)
        if fallen < -TTL_FELL:
            return {group: -way for group, way in ways.items()}
        if fallen < TTL_FELL:
            self.reasons.append(reason("direction_unknown", None, "traffic went one way only, and was taken to go in the order of campaign_path"))
        return ways

    def _by_controller(self, place: int) -> paths.Time:
        return by_controller(self.vantages[self.path.order[0]], self.vantages[place])

    def _window(self, place: int) -> tuple[float, float]:
        """Return when the vantage's capture was open, in seconds on the common clock; where nobody says, from first to last packet."""
        vantage = self.vantages[place]
        first, last = self.store.rows(f"SELECT min(first_ns), max(last_ns) FROM flow_at WHERE place = {place}")[0]
        opened = vantage.opened_ns if vantage.opened_ns is not None else first
        closed = vantage.closed_ns if vantage.closed_ns is not None else last
        if any(found.code == "truncated" for found in vantage.reasons):
            closed = min(closed or last, last)
        if opened is None or closed is None:
            return 0.0, 0.0
        return self.times[place].seconds(opened, self.epoch_ns), self.times[place].seconds(closed, self.epoch_ns)

    # -- routes -------------------------------------------------------------------------------------------------------

    def _classes(self) -> None:
        """Give flows that take one route one number; -1 where the route is not known."""
        ways = [(talk, way, found) for (talk, way), found in self.ways.items()]
        columns = {name: [row[n] for row in ways] for n, name in enumerate(("talk", "way", "found"))}
        self.store.add("ways", columns if ways else {"talk": [-1], "way": [0], "found": [0]})
        self.store.run(
            "CREATE OR REPLACE TABLE routed AS SELECT flow.*, ways.found AS onward, dense_rank() OVER (ORDER BY places, near, ways.found) - 1 AS "
            "class, row_number() OVER () AS number "
            "FROM flow LEFT JOIN ways USING (talk, way)"
        )

    def _legs(self) -> Iterator[Leg]:
        found: dict[tuple[int, int, int, str], list[int]] = {}
        for number, at, near, way in self.store.rows("SELECT DISTINCT class, places, near, onward FROM routed WHERE onward IS NOT NULL ORDER BY class"):
            for one, other, kind in paths.route(self.path.order, at & ~self.sampled, near, way):
                found.setdefault((one, other, way, kind), []).append(number)
        for (one, other, way, kind), classes in sorted(found.items()):
            yield Leg(one, other, way, kind, tuple(classes))

    def _after(self, place: int, way: int) -> list[int]:
        line = list(self.path.order)[:: 1 if way == FORWARD else -1]
        return line[line.index(place) + 1 :]

    def _time(self, place: int) -> str:
        return self.times[place].sql(f"t_{place}", self.epoch_ns)

    def _doubtful(self, place: int) -> str:
        return self.times[place].doubtful(f"t_{place}", self.epoch_ns)

    def _passing(self, leg: Leg) -> str:
        """Return what is true of packets that passed the leg's beginning for certain."""
        later = [leg.other, *self._after(leg.other, leg.way)]
        onward = " OR ".join(f"t_{place} IS NOT NULL" for place in later)
        return f"(t_{leg.one} IS NOT NULL OR (({onward}) AND born NOT IN ({', '.join(map(str, later))})))"

    def _of(self, leg: Leg) -> str:
        return f"passage JOIN routed USING (flow) WHERE class IN ({', '.join(map(str, leg.classes))})"

    # -- repeated packets ---------------------------------------------------------------------------------------------

    def _first_delays(self, legs: Sequence[Leg]) -> dict[tuple[int, int], float]:
        """Return the median delay of each leg in both senses, of packets that came once."""
        found: dict[tuple[int, int], float] = {}
        for at, one in enumerate(self.path.order):
            for other in self.path.order[at + 1 :]:
                if self.times[one].known and self.times[other].known:
                    for way, begin, end in ((FORWARD, one, other), (REVERSE, other, one)):
                        flows = f"(SELECT flow FROM routed WHERE onward = {way})"
                        sql = (
                            f"SELECT median({self._time(end)} - {self._time(begin)}) FROM sample WHERE t_{one} IS NOT NULL AND t_{other} IS "
                            f"NOT NULL AND flow IN {flows}"
                        )
                        found[begin, end] = float(self.store.rows(sql)[0][0] or 0.0)
        return found

    def _regroup(self) -> None:
        """Tell the copies of repeated packets apart by their stamps where some vantage saw fewer than another."""
        places = self.path.order
        counts = [f"count(t_{place})" for place in places]
        groups = (
            "SELECT fingerprint FROM passage JOIN routed USING (flow) WHERE onward IS NOT NULL AND fingerprint IN (SELECT fingerprint FROM again) "
            f"GROUP BY fingerprint HAVING greatest({', '.join(counts)}) > least({', '.join(counts)})"
        )
        self.store.run(f"CREATE OR REPLACE TABLE uneven AS {groups}")
        compared = [place for place in self.places if place in places]
        cells = ", ".join(f"t_{place}, m_{place}, CASE WHEN t_{place} IS NULL THEN NULL ELSE {self._time(place)} END" for place in compared)
        sql = (
            f"SELECT fingerprint, flow, onward, wire, {cells} FROM passage JOIN routed USING (flow) WHERE fingerprint IN (SELECT fingerprint FROM uneven) "
            f"ORDER BY fingerprint, occurrence LIMIT {self.store.limits.repeated + 1}"
        )
        rows = self.store.rows(sql)
        if not rows:
            return
        if len(rows) > self.store.limits.repeated:
            many = f"more than {self.store.limits.repeated} packets were repeated: their copies are told apart by number only"
            self.reasons.append(reason("unidentified", None, many))
            return
        self._replace(rows, compared)

    def _replace(self, rows: Sequence[tuple[t.Any, ...]], places: Sequence[int]) -> None:
        made: dict[str, t.Any] = {name: [] for name in ("fingerprint", "occurrence", "flow", "wire", "born")}
        made.update({f"{kind}_{place}": [] for place in self.places for kind in "tm"})
        start = 0
        while start < len(rows):
            end = start
            while end < len(rows) and rows[end][0] == rows[start][0]:
                end += 1
            self._regrouped(rows[start:end], places, made)
            start = end
        made["fingerprint"] = np.array(made["fingerprint"], dtype=np.uint64)
        made["flow"] = np.array(made["flow"], dtype=np.uint64)
        self.store.add("regrouped", made)
        self.store.run("DELETE FROM passage WHERE fingerprint IN (SELECT fingerprint FROM uneven)")
        names = [row[0] for row in self.store.rows("SELECT column_name FROM (DESCRIBE passage)")]
        self.store.run(f"INSERT INTO passage SELECT {', '.join(names)} FROM regrouped")

    def _regrouped(self, rows: Sequence[tuple[t.Any, ...]], places: Sequence[int], made: dict[str, list[t.Any]]) -> None:
        order = list(self.path.order)[:: 1 if rows[0][2] == FORWARD else -1]
        seen = {
            place: sorted((match.Copy(row[6 + 3 * n], row[4 + 3 * n : 6 + 3 * n]) for row in rows if row[4 + 3 * n] is not None), key=lambda copy: copy.t_s)
            for n, place in enumerate(places)
        }
        for number, (row, born) in enumerate(match.regroup(seen, order, self.delays)):
            for name, value in zip(("fingerprint", "occurrence", "flow", "wire", "born"), (rows[0][0], number, rows[0][1], rows[0][3], born)):
                made[name].append(value)
            for place in self.places:
                stamp, mark = row[place].cell if place in row else (None, None)
                made[f"t_{place}"].append(stamp)
                made[f"m_{place}"].append(mark)

    # -- verdicts -----------------------------------------------------------------------------------------------------

    def _leg(self, leg: Leg) -> Hop:
        if leg.kind == "follow":
            delay = self._delay(leg)
            seen = self.store.rows(f"SELECT count(*) FROM {self._of(leg)} AND {self._passing(leg)} AND t_{leg.other} IS NOT NULL")[0][0]
        else:
            delay, seen = None, 0
        low, high = self._margins(leg, delay)
        self._judge(leg, low, high)
        of_leg = f"one = {leg.one} AND other = {leg.other} AND way = {leg.way}"
        classes = f"flow IN (SELECT flow FROM routed WHERE class IN ({', '.join(map(str, leg.classes))}))"
        rows = self.store.rows(f"SELECT verdict, code, count(*) FROM verdict WHERE {of_leg} AND {classes} GROUP BY ALL")
        counts = {(verdict, code): count for verdict, code, count in rows}
        missing = sum(count for (verdict, code), count in counts.items() if verdict == NETWORK or (verdict == UNKNOWN and code in MISSING_CODES))

        def total(wanted: str) -> int:
            return sum(count for (verdict, _code), count in counts.items() if verdict == wanted)

        return Hop(
            leg.one,
            leg.other,
            leg.way,
            packets=seen + sum(counts.values()),
            seen=seen,
            missing=missing,
            lost_in_capture=total(CAPTURE),
            outside_window=total(OUTSIDE),
            not_mirrored=total(NOT_MIRRORED),
            unknown=total(UNKNOWN) + total(NETWORK) - missing,
            duplicates=self._count(leg, f"born = {leg.other} AND t_{leg.other} IS NOT NULL"),
            reordered=self._reordered(leg),
            delay=delay,
            margin_s=high if leg.kind == "follow" else None,
        )

    def _count(self, leg: Leg, condition: str) -> int:
        return self.store.rows(f"SELECT count(*) FROM {self._of(leg)} AND {condition}")[0][0] if leg.kind == "follow" else 0

    def _delay(self, leg: Leg) -> tuple[int, float, float, float, float] | None:
        """Return (packets, smallest, median, 99th percentile, largest delay) in seconds."""
        if not (self.times[leg.one].known and self.times[leg.other].known):
            return None
        took = f"{self._time(leg.other)} - {self._time(leg.one)}"
        both = f"t_{leg.one} IS NOT NULL AND t_{leg.other} IS NOT NULL AND NOT ({self._doubtful(leg.one)}) AND NOT ({self._doubtful(leg.other)})"
        sums = "count(*), min(d), approx_quantile(d, 0.5), approx_quantile(d, 0.99), max(d)"
        row = self.store.rows(f"SELECT {sums} FROM (SELECT {took} AS d FROM {self._of(leg)} AND {both})")[0]
        return row if row[0] else None

    def _margins(self, leg: Leg, delay: tuple[int, float, float, float, float] | None) -> tuple[float, float]:
        """Return the shortest and the longest that a packet may take, with the doubt of the clocks."""
        doubt = sum((self.times[place].residual_s or 0.0) for place in (leg.one, leg.other))
        doubt += sum((self.times[place].error_s or 0.0) for place in (leg.one, leg.other) if self.times[place].method == "controller")
        low, high = (delay[1], min(delay[4], LONGEST_S)) if delay else (0.0, PATIENCE_S)
        return low - doubt, high + doubt

    def _judge(self, leg: Leg, low: float, high: float) -> None:
        """Add a verdict for each packet that passed the beginning of *leg* and was not seen at its end."""
        later = self._after(leg.other, leg.way)
        onward = " OR ".join(f"t_{place} IS NOT NULL" for place in later) or "FALSE"
        earlier = [place for place in self.path.order if place not in later and place not in (leg.one, leg.other)]
        sighted = [leg.one, *(earlier[::-1] if leg.way == FORWARD else earlier), *later]
        t_s = "coalesce(" + ", ".join(f"CASE WHEN t_{place} IS NULL THEN NULL ELSE {self._time(place)} END" for place in sighted) + ")"
        mark = "coalesce(" + ", ".join(f"m_{place}" for place in sighted) + ")"
        passing = self._passing(leg) if leg.kind == "follow" else f"t_{leg.one} IS NOT NULL"
        opened, closed = self.windows[leg.other]
        back = max((-by for _at, by in self.times[leg.one].jumps if by < 0), default=0.0)
        slack = f"CASE WHEN {self._doubtful(leg.one)} THEN {back!r} ELSE 0 END"
        cases = " ".join(
            f"WHEN {condition} THEN '{verdict}:{code}'"
            for condition, verdict, code in self._cases(leg, f"({onward})", f"(t_s + {low!r} - {slack} < {opened!r} OR t_s + {high!r} + {slack} > {closed!r})")
        )
        self.store.run(
            f"INSERT INTO verdict SELECT fingerprint, occurrence, flow, {leg.one}, {leg.other}, {leg.way}, split_part(found, ':', 1), "
            "split_part(found, ':', 2), t_s "
            f"FROM (SELECT *, CASE {cases} END AS found FROM (SELECT *, {t_s} AS t_s, {mark} AS mark FROM {self._of(leg)} AND {passing} AND "
            f"t_{leg.other} IS NULL))"
        )

    def _cases(self, leg: Leg, onward: str, outside: str) -> Iterator[tuple[str, str, str]]:
        """Yield (condition, verdict, code) in the order in which they decide."""
        here, there = self.vantages[leg.one], self.vantages[leg.other]
        alike = not there.filter or (here.filter is not None and _words(here.filter) == _words(there.filter))
        differ = "flow_not_seen" if alike else "filters_differ"
        if self.sampled >> leg.other & 1:
            yield "TRUE", NOT_MIRRORED, "sampled"
        if leg.kind == "bypass":
            yield "TRUE", NOT_MIRRORED, differ
        if self.times[leg.other].known and self.times[leg.one].known:
            yield outside, OUTSIDE, "window_edge"
        yield onward, CAPTURE, ""
        if not (self.times[leg.other].known and self.times[leg.one].known):
            yield "TRUE", UNKNOWN, "clock_unknown"
        if not self.path.certain:
            yield "TRUE", UNKNOWN, "order_unknown"
        yield f"(mark & {IDENTIFIED}) = 0", UNKNOWN, "unidentified"
        if not alike:
            yield "TRUE", NOT_MIRRORED if leg.kind == "beyond" else UNKNOWN, "filters_differ"
        ends = self.path.source == "declared" and not there.mirror and not self._after(leg.other, leg.way)
        if leg.kind == "beyond" and not ends:
            yield "TRUE", NOT_MIRRORED if there.mirror else UNKNOWN, "flow_not_seen"
        if there.lossy is None:
            yield "TRUE", UNKNOWN, "drops_untrusted"
        elif there.lossy > 0:
            yield "TRUE", UNKNOWN, "drops"
        yield "TRUE", NETWORK, ""

    def _reordered(self, leg: Leg) -> int:
        if leg.kind != "follow":
            return 0
        both = f"t_{leg.one} IS NOT NULL AND t_{leg.other} IS NOT NULL"
        parts = 1 + self._count(leg, both) // CHUNK
        late = 0
        for part in range(parts):
            got = self.store.columns(
                f"SELECT number, t_{leg.one} - {self.epoch_ns} AS a, t_{leg.other} - {self.epoch_ns} AS b FROM {self._of(leg)} AND {both} AND "
                f"number % {parts} = {part}"
            )
            late += overtaken(got["number"], got["a"], got["b"])
        return late

    def _rewrites(self, leg: Leg) -> Iterator[tuple[int, int, int, str, t.Any, t.Any, int]]:
        one, other, rest = f"m_{leg.one}", f"m_{leg.other}", IDENTIFIED - 1
        rows = self.store.rows(
            f"SELECT {one} & {rest} AS a, {other} & {rest} AS b, count(*) AS n FROM {self._of(leg)} AND {one} IS NOT NULL AND {other} IS NOT NULL "
            f"AND ({one} & {rest}) <> ({other} & {rest}) GROUP BY ALL ORDER BY n DESC LIMIT {10 * self.store.limits.rewrites}"
        )
        for before, after, count in rows:
            for name, shift, mask in FIELDS:
                old, new = (before >> shift) & mask, (after >> shift) & mask
                if old != new:
                    yield (leg.one, leg.other, leg.way, name, *_change(name, old, new), count)

    # -- sums ---------------------------------------------------------------------------------------------------------

    def _bounded(self, hops: list[Hop]) -> list[Hop]:
        """Set what the network lost at least and at most: drops that explain no proven capture loss may explain what is missing."""
        spare = {place: self._spare(place, hops) for place in self.path.order}
        found = []
        for hop in hops:
            low = 0 if spare[hop.other] is None else max(0, hop.missing - t.cast(int, spare[hop.other]))
            hidden = sum(min(before.missing, before.missing if spare[hop.one] is None else t.cast(int, spare[hop.one]))
                         for before in hops if before.other == hop.one and before.way == hop.way)  # fmt: skip
            found.append(hop._replace(lost=(low, hop.missing + hidden)))
        return found

    def _spare(self, place: int, hops: Sequence[Hop]) -> int | None:
        lossy = self.vantages[place].lossy
        return None if lossy is None else max(0, lossy - sum(hop.lost_in_capture for hop in hops if hop.other == place))

    def _missed(self, hops: Sequence[Hop]) -> dict[int, int]:
        """Count packets proven to have passed a vantage that it did not capture, also where it is the first of the way."""
        missed = {place: sum(hop.lost_in_capture for hop in hops if hop.other == place) for place in self.path.order}
        for number, at, way in self.store.rows("SELECT DISTINCT class, places, onward FROM routed WHERE onward IS NOT NULL"):
            line = [place for place in self.path.order[:: 1 if way == FORWARD else -1] if (at & ~self.sampled) >> place & 1]
            if len(line) > 1 and self.times[line[0]].known:
                opened, closed = self.windows[line[0]]
                later = [f"CASE WHEN t_{place} IS NULL THEN NULL ELSE {self._time(place)} END" for place in line[1:]]
                slack = LONGEST_S if any(self.times[place].jumps for place in line) else PATIENCE_S
                missed[line[0]] += self.store.rows(
                    f"SELECT count(*) FROM (SELECT coalesce({', '.join(later)}) AS t_s FROM passage JOIN routed USING (flow) "
                    f"WHERE class = {number} AND t_{line[0]} IS NULL AND born = -1) WHERE t_s - {slack!r} > {opened!r} AND t_s < {closed!r}"
                )[0][0]
        return missed


def overtaken(flow: t.Any, left: t.Any, came: t.Any) -> int:
    """Count packets that came after one of their flow that had left later, as RFC 4737 does; times are whole numbers. Pure."""
    if not len(flow):
        return 0
    order = np.lexsort((left, came, flow))
    flow, left = flow[order].astype(np.int64), left[order].astype(np.int64)
    low = left.min()
    # One flow's times above all of the flow before, so that one running maximum serves all.
    lifted = left - low + np.unique(flow, return_inverse=True)[1] * (left.max() - low + 1)
    return int((lifted[1:] < np.maximum.accumulate(lifted)[:-1]).sum())


def _change(name: str, old: int, new: int) -> tuple[t.Any, t.Any]:
    if name == "ttl":
        return None, old - new
    if name == "vlan":
        return old - 1 if old else None, new - 1 if new else None
    return ("near side", "far side") if name == "address" and new else ("far side", "near side") if name == "address" else (old, new)


def _words(text: str) -> str:
    return " ".join(text.split())


def _summed(parts: Sequence[Hop]) -> list[Hop]:
    """Add up legs of different kinds between the same vantages."""
    found: dict[tuple[int, int, int], Hop] = {}
    for part in parts:
        name = (part.one, part.other, part.way)
        if name in found:
            old = found[name]
            sums = {field: getattr(old, field) + getattr(part, field) for field in COUNTS}
            found[name] = old._replace(**sums, delay=old.delay or part.delay, margin_s=part.margin_s if old.margin_s is None else old.margin_s)
        else:
            found[name] = part
    return list(found.values())


def _merged(rows: t.Iterable[tuple[int, int, int, str, t.Any, t.Any, int]]) -> list[tuple[int, int, int, str, t.Any, t.Any, int]]:
    sums: dict[tuple[t.Any, ...], int] = {}
    for *name, count in rows:
        sums[tuple(name)] = sums.get(tuple(name), 0) + count
    return [(*name, count) for name, count in sorted(sums.items(), key=lambda item: -item[1])]


__all__ = ["DIRECTIONS", "Hop", "Leg", "Located", "Locator"]
