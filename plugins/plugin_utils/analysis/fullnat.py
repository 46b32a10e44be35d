# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two connections of a load balancer in full NAT found to be one: by the client's address that it hands on, and by its own list.

Nothing is guessed: where two clients or two servers could be meant, or the shift of TCP's numbers cannot be learnt, a connection
stays unpaired. Sources: DPVS src/ipvs/ip_vs_proto_tcp.c (numbers move by a constant), tools/ipvsadm/ipvsadm.c (print_conn_entry).
"""

from __future__ import annotations

import re
import typing as t
from collections import Counter, defaultdict

from .model import FlowPair, Reason, Vantage, reason

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .store import Store

TCP, UDP = 6, 17
_PROTOCOLS: t.Mapping[str, int] = {"tcp": TCP, "udp": UDP}
_OPTIONS: t.Mapping[str, int] = {"toa": TCP, "uoa": UDP}
#: Lines of a list that are read, and packets of each connection, side and direction by which shifts are learnt.
MOST_LINES, MOST_PACKETS = 2_000_000, 200
_MODULUS = 1 << 32
_END = r"(\[[0-9a-fA-F:.]{2,45}\]|[\d.]{7,15}):(\d{1,5})"
_LINE = re.compile(rf"\[\d+\](tcp|udp)\s+-?\d+s\s+\S+\s+{_END}\s+{_END}\s+{_END}\s+{_END}\s*")


class Ends(t.NamedTuple):
    """A connection in the direction from the client: addresses and ports."""

    protocol: int
    src: str
    dst: str
    sport: int
    dport: int


class Claim(t.NamedTuple):
    """That *near*, with the client, and *far*, with the real server, are one; *by* says who says so."""

    near: Ends
    far: Ends
    by: str


class Hint(t.NamedTuple):
    """That the connection *far* hides this client."""

    far: Ends
    client: str
    port: int
    by: str


class Sample(t.NamedTuple):
    """A packet by which shifts are learnt: what stays (length, checksum of the payload, flags), and what moves."""

    same: tuple[t.Any, ...]
    seq: int
    ack: int | None


class Paired(t.NamedTuple):
    """Pairs for the store, one for each direction; connections of the balancer that have none; and why."""

    pairs: list[FlowPair]
    lone: list[Ends]
    reasons: list[Reason]


def parse_connections(text: str) -> list[Claim]:
    """Return the connections in the output of DPVS's `ipvsadm -lnc`; lines that are none are passed over. Pure."""
    found = []
    for line in text.splitlines()[:MOST_LINES]:
        match = _LINE.fullmatch(line)
        if match and all(int(port) < 65536 for port in match.groups()[2::2]):
            names = [name.strip("[]") for name in match.groups()[1::2]]
            ports = [int(port) for port in match.groups()[2::2]]
            protocol = _PROTOCOLS[match[1]]
            near = Ends(protocol, names[0], names[1], ports[0], ports[1])
            found.append(Claim(near, Ends(protocol, names[2], names[3], ports[2], ports[3]), "list"))
    return found


def hints(rows: Iterable[Mapping[str, t.Any]]) -> list[Hint]:
    """Return what the options TOA and UOA in a side table say. Pure."""
    found = []
    for row in rows:
        protocol = _OPTIONS.get(str(row.get("kind")))
        if protocol is not None:
            far = Ends(protocol, row["src"], row["dst"], row["sport"], row["dport"])
            found.append(Hint(far, row["client"], row["client_port"], row["kind"]))
    return list(dict.fromkeys(found))


def resolve(said: Sequence[Hint], listed: Sequence[Claim], seen: Iterable[Ends]) -> tuple[list[Claim], list[Claim]]:
    """Return (claims that nothing contradicts, others). A hint counts where one connection that was *seen* can be the client's. Pure."""
    seen = set(seen)
    by_client: dict[tuple[int, str, int], list[Ends]] = defaultdict(list)
    for ends in seen:
        by_client[ends.protocol, ends.src, ends.sport].append(ends)
    claims = [claim for claim in listed if claim.near in seen or claim.far in seen]
    for hint in said:
        mine = [ends for ends in by_client[hint.far.protocol, hint.client, hint.port] if ends != hint.far]
        known = [claim.near for claim in listed if claim.far == hint.far and claim.near in mine]
        claims += [Claim(ends, hint.far, hint.by) for ends in known or mine]
    near: dict[Ends, set[Ends]] = defaultdict(set)
    far: dict[Ends, set[Ends]] = defaultdict(set)
    for claim in claims:
        near[claim.near].add(claim.far)
        far[claim.far].add(claim.near)
    single = [claim for claim in claims if len(near[claim.near]) == len(far[claim.far]) == 1 and claim.near != claim.far]
    sure = {(claim.near, claim.far): claim for claim in reversed(single)}
    return list(sure.values()), [claim for claim in claims if (claim.near, claim.far) not in sure]


def learn(near: Sequence[Sample], far: Sequence[Sample]) -> tuple[int | None, int | None]:
    """Return by how much sequence and acknowledgement numbers move from *near* to *far* in one direction; None for not known.

    Only packets of one kind on both sides count, and more than half of them must agree. Pure.
    """
    sides = [_unique(near), _unique(far)]
    both = sides[0].keys() & sides[1].keys()
    seqs, acks = Counter[int](), Counter[int]()
    for same in both:
        (seq, ack), (moved_seq, moved_ack) = sides[0][same], sides[1][same]
        if seq is not None and moved_seq is not None:
            seqs[(moved_seq - seq) % _MODULUS] += 1
        if ack is not None and moved_ack is not None:
            acks[(moved_ack - ack) % _MODULUS] += 1
    return _majority(seqs), _majority(acks)


def _unique(samples: Sequence[Sample]) -> dict[tuple[t.Any, ...], tuple[int | None, int | None]]:
    """Return {what stays: (its sequence number, its acknowledgement)}, None where there are several."""
    seqs: dict[tuple[t.Any, ...], set[int]] = defaultdict(set)
    acks: dict[tuple[t.Any, ...], set[int]] = defaultdict(set)
    for sample in samples:
        seqs[sample.same].add(sample.seq)
        if sample.ack is not None:
            acks[sample.same].add(sample.ack)
    return {same: (_only(found), _only(acks[same])) for same, found in seqs.items()}


def _only(found: set[int]) -> int | None:
    return next(iter(found)) if len(found) == 1 else None


def _majority(votes: Counter[int]) -> int | None:
    value, count = votes.most_common(1)[0] if votes else (0, 0)
    return value if count * 2 > votes.total() else None


def shifts(there: tuple[int | None, int | None], back: tuple[int | None, int | None]) -> tuple[int, int] | None:
    """Return by how much the client's and the server's numbers move, None where either is not known or the directions disagree. Pure."""
    client = {value for value in (there[0], back[1]) if value is not None}
    server = {value for value in (there[1], back[0]) if value is not None}
    return (client.pop(), server.pop()) if len(client) == len(server) == 1 else None


def flow_pairs(claim: Claim, client: int, server: int) -> list[FlowPair]:
    """Return both directions of *claim* for the store. Pure."""
    a, b = claim.near[1:], claim.far[1:]
    turned = [(ends[1], ends[0], ends[3], ends[2]) for ends in (a, b)]
    return [FlowPair(a, b, claim.near.protocol, client, server), FlowPair(turned[0], turned[1], claim.near.protocol, server, client)]


def pair(store: Store, vantages: Mapping[int, Vantage]) -> Paired:
    """Return what can be paired of the connections that *vantages* (by place, read by the store) saw."""
    said = hints(row for vantage in vantages.values() for row in vantage.cm)
    listed = list(dict.fromkeys(claim for vantage in vantages.values() for text in vantage.balanced for claim in parse_connections(text)))
    if not said and not listed:
        return Paired([], [], [])
    wanted = [(hint.far.protocol, hint.client, hint.port) for hint in said]
    wanted += [(ends.protocol, ends.src, ends.sport) for claim in listed for ends in (claim.near, claim.far)]
    seen = _seen(store, vantages, "src", "sport", wanted)
    claims, doubtful = resolve(said, listed, seen)
    samples = _samples(store, vantages, [claim for claim in claims if claim.near.protocol == TCP])
    pairs: list[FlowPair] = []
    done: set[Ends] = set()
    for claim in claims:
        moved = (0, 0) if claim.near.protocol == UDP else shifts(*(learn(*sides) for sides in samples[claim]))
        if moved is not None:
            pairs += flow_pairs(claim, *moved)
            done |= {claim.near, claim.far}
    lone = sorted(_members(store, vantages, [*claims, *doubtful], said) - done)
    return Paired(pairs, lone, _reasons(lone, len(pairs) // 2))


def _reasons(lone: Sequence[Ends], paired: int) -> list[Reason]:
    if not lone:
        return []
    first = lone[0]
    name = f"{first.src} port {first.sport} to {first.dst} port {first.dport}"
    text = f"{len(lone)} connections of a load balancer have no other side that is known for certain ({paired} have), such as {name}"
    return [reason("unpaired", None, text)]


def _members(store: Store, vantages: Mapping[int, Vantage], claims: Sequence[Claim], said: Sequence[Hint]) -> set[Ends]:
    """Return the seen connections to what the balancer serves and, from its own addresses, to the servers behind it."""
    virtual = {(claim.near.protocol, claim.near.dst, claim.near.dport) for claim in claims}
    far = {claim.far for claim in claims} | {hint.far for hint in said}
    local = {(ends.protocol, ends.src, ends.dst, ends.dport) for ends in far}
    found = _seen(store, vantages, "dst", "dport", virtual | {(ends.protocol, ends.dst, ends.dport) for ends in far})
    return {ends for ends in found if (ends.protocol, ends.dst, ends.dport) in virtual or (ends.protocol, ends.src, ends.dst, ends.dport) in local}


def _seen(store: Store, vantages: Mapping[int, Vantage], address: str, port: str, wanted: Iterable[tuple[int, str, int]]) -> set[Ends]:
    """Return the connections whose *address* and *port* are among *wanted* (protocol, address, port)."""
    rows = list(dict.fromkeys(wanted))
    store.add("wanted", {"protocol": [row[0] for row in rows], "address": [row[1] for row in rows], "port": [row[2] for row in rows]})
    queries = (
        f"SELECT k.protocol, k.src, k.dst, k.sport, k.dport FROM keys_{place} k JOIN wanted w "
        f"ON k.protocol = w.protocol AND k.{address} = w.address AND k.{port} = w.port"
        for place in vantages
    )
    return {Ends(*row) for row in store.rows(f"SELECT DISTINCT * FROM ({' UNION ALL '.join(queries)})")}


Sides = tuple[list[Sample], list[Sample]]


def _samples(store: Store, vantages: Mapping[int, Vantage], claims: Sequence[Claim]) -> dict[Claim, tuple[Sides, Sides]]:
    """Return for each claim the packets (near, far) of the way to the server, and of the way back."""
    found: dict[Claim, tuple[Sides, Sides]] = {claim: (([], []), ([], [])) for claim in claims}
    if not claims:
        return found
    sides = [(n, far, back, _turned(claim[far], back)) for n, claim in enumerate(claims) for far in (0, 1) for back in (0, 1)]
    columns: dict[str, t.Any] = {"claim": [row[0] for row in sides], "far": [row[1] for row in sides], "back": [row[2] for row in sides]}
    columns.update({name: [getattr(row[3], name) for row in sides] for name in ("src", "dst", "sport", "dport")})
    store.add("claimed", columns)
    queries = (
        f"SELECT claim, far, back, payload, content, tcp_flags, seq, ack, k.number FROM keys_{place} k JOIN claimed USING (src, dst, sport, dport) "
        f"WHERE protocol = {TCP} AND (payload > 0 AND content IS NOT NULL OR (tcp_flags & 2) <> 0)"
        for place in vantages
    )
    for n, far, back, payload, content, flags, seq, ack in store.rows(
        f"SELECT * EXCLUDE (number) FROM ({' UNION ALL '.join(queries)}) "
        f"QUALIFY row_number() OVER (PARTITION BY claim, far, back ORDER BY number) <= {MOST_PACKETS}"
    ):
        found[claims[n]][back][far].append(Sample((payload, content, flags), seq, ack if flags & 16 else None))
    return found


def _turned(ends: t.Any, back: int) -> Ends:
    return Ends(ends.protocol, ends.dst, ends.src, ends.dport, ends.sport) if back else ends


__all__ = ["Claim", "Ends", "Hint", "Paired", "Sample", "flow_pairs", "hints", "learn", "pair", "parse_connections", "resolve", "shifts"]
