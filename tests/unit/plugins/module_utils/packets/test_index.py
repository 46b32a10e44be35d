# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of packet keys in Python and in C: each against tshark, and both against each other on whatever one could hand them."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets import hot, native, side
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.index import COVERED, Note, checksum
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.index_hot import HotKernel, HotSegment
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.index_loop import Index, PythonKernel, Totals
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.keyfile import SEGMENT, planes
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.keys import FLAGS, ROW, Key
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.packets import keyed as k
from tests.unit.plugins.module_utils.packets import wrapped as w

LIBRARY = native.load(str(pathlib.Path(__file__).resolve().parents[5] / ".cache" / "native"))
needs_tshark = pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
needs_c = pytest.mark.skipif(LIBRARY.library is None, reason=LIBRARY.reason or "")
both = pytest.mark.parametrize("path", ["python", "c"])


class Memory:
    """Bytes that come in pieces of *step*."""

    def __init__(self, data: bytes, step: int | None = None) -> None:
        self._data, self._at, self._step = data, 0, step or max(1, len(data))

    def read_into(self, view: memoryview) -> int:
        piece = self._data[self._at : self._at + min(self._step, len(view))]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


@dataclasses.dataclass
class Result:
    rows: bytes
    side: list[dict[str, t.Any]]
    damage: str | None
    totals: Totals

    @property
    def keys(self) -> list[Key]:
        return [Key(*row) for row in ROW.iter_unpack(self.rows)]


def run(data: bytes, path: str = "python", step: int | None = None, rows: int = 16, notes: int = 3) -> Result:
    """Index *data*; the loop in C has room for no more than *rows* and *notes* at a time."""
    if path == "c" and LIBRARY.library is None:
        pytest.skip(LIBRARY.reason or "")
    kernel: t.Any = HotKernel(LIBRARY.library, rows, notes) if path == "c" else PythonKernel()
    found = Result(b"", [], None, kernel.totals())

    def take(batch: t.Any) -> None:
        found.side += filter(None, (_said(note, batch.rows, len(found.rows)) for note in batch.notes))
        found.rows += bytes(batch.rows)

    index = Index(t.cast("t.Any", Memory(data, step)), kernel, take)
    index.run()
    found.damage, found.totals = index.damage, kernel.totals()
    return found


def _said(note: Note, rows: t.Any, before: int) -> dict[str, t.Any] | None:
    key = Key(*ROW.unpack_from(rows, note.row * ROW.size))
    return side.row(note.kind, note.data, key._replace(number=before // ROW.size + note.row + 1))


def key_of(frame: bytes, path: str = "python", snap: int = 262144, more: int = 0) -> Key:
    return run(w.pcap([frame], snap=snap, more=more), path).keys[0]


def has(key: Key, *names: str) -> bool:
    return all(key.flags & FLAGS[name] for name in names)


# ---------------------------------------------------------------------------------------------------- against tshark

FIELDS = (
    "frame.time_epoch", "frame.len", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "infiniband.grh.sgid", "infiniband.grh.dgid", "vlan.id",
    "ip.dsfield.dscp", "ip.dsfield.ecn", "ip.ttl", "ip.id", "ip.proto", "ipv6.tclass.dscp", "ipv6.tclass.ecn", "ipv6.hlim",
    "udp.srcport", "udp.dstport", "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.len",
    "infiniband.bth.opcode", "infiniband.bth.destqp", "infiniband.bth.psn", "infiniband.bth.a", "infiniband.aeth.syndrome",
    "infiniband.aeth.msn", "infiniband.reth.dmalen", "infiniband.deth.srcqp", "infiniband.invariant.crc", "erspan.spanid",
    "infiniband.grh.tclass", "infiniband.grh.hoplmt", "ieee8021ad.id",
)  # fmt: skip


def dissected(data: bytes, folder: pathlib.Path, fields: t.Sequence[str] = FIELDS) -> list[dict[str, list[str]]]:
    """Return of each packet the values that tshark has of each field, from the outside in."""
    (folder / "in").write_bytes(data)
    argv = ["tshark", "-r", str(folder / "in"), "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=|"]
    done = subprocess.run([*argv, *(word for field in fields for word in ("-e", field))], check=True, capture_output=True, text=True)
    return [{name: cell.split("|") if cell else [] for name, cell in zip(fields, line.split("\t"))} for line in done.stdout.splitlines()]


def number(text: str) -> int:
    return {"True": 1, "False": 0}[text] if text in ("True", "False") else int(text, 0)


def by_tshark(cells: dict[str, list[str]]) -> dict[str, t.Any]:
    """Return what tshark has of a packet under the names of keys.py; a field that it has not is left out."""
    mirrored = bool(cells["erspan.spanid"])
    last = {
        "sport": ("udp.srcport", "tcp.srcport"), "dport": ("udp.dstport", "tcp.dstport"), "seq": ("tcp.seq_raw",), "ack": ("tcp.ack_raw",),
        "tcp_flags": ("tcp.flags",), "opcode": ("infiniband.bth.opcode",), "dest_qp": ("infiniband.bth.destqp",),
        "psn": ("infiniband.bth.psn",), "syndrome": ("infiniband.aeth.syndrome",), "msn": ("infiniband.aeth.msn",),
        "dma_length": ("infiniband.reth.dmalen",), "src_qp": ("infiniband.deth.srcqp",), "mirror": ("erspan.spanid",),
        "ttl": ("ip.ttl", "ipv6.hlim", "infiniband.grh.hoplmt"), "dscp": ("ip.dsfield.dscp", "ipv6.tclass.dscp"),
        "ecn": ("ip.dsfield.ecn", "ipv6.tclass.ecn"), "ip_id": ("ip.id",),
    }  # fmt: skip
    found: dict[str, t.Any] = {}
    for name, fields in last.items():
        for field in fields:
            if cells[field]:
                found[name] = number(cells[field][-1])
    if cells["infiniband.grh.tclass"]:
        found.update(dscp=number(cells["infiniband.grh.tclass"][0]) >> 2, ecn=number(cells["infiniband.grh.tclass"][0]) & 3)
    sources = cells["ip.src"] + cells["ipv6.src"] + cells["infiniband.grh.sgid"]
    found["src"], found["dst"] = sources[-1], (cells["ip.dst"] + cells["ipv6.dst"] + cells["infiniband.grh.dgid"])[-1]
    if len(sources) > 1:
        found["outer_src"] = sources[0]
    if cells["ieee8021ad.id"] + cells["vlan.id"]:
        found["vlan"] = number((cells["ieee8021ad.id"] + cells["vlan.id"])[0])
    if cells["tcp.len"]:
        found["payload"] = number(cells["tcp.len"][-1])
    if not mirrored:
        found["wire"] = number(cells["frame.len"][0])
    found["t_ns"] = int(cells["frame.time_epoch"][0].replace(".", ""))
    return found


@pytest.mark.real
@needs_tshark
@both
@pytest.mark.parametrize("make", [w.pcap, w.pcapng])
def test_every_field_is_what_tshark_says(path, make, tmp_path):
    data = make(k.KNOWN.values(), nano=True)
    cells = dissected(data, tmp_path)
    keys = run(data, path).keys
    assert len(keys) == len(cells) == len(k.KNOWN)
    for name, key, row in zip(k.KNOWN, keys, cells):
        wanted = by_tshark(row)
        found = {field: getattr(key, field) for field in wanted}
        for field in ("src", "dst", "outer_src"):
            if field in wanted:
                found[field] = ipaddress.ip_address(side.address(found[field]))
                wanted[field] = ipaddress.ip_address(wanted[field])
        assert (name, found) == (name, wanted)
        said = {field for field in ("psn", "syndrome", "dma_length", "src_qp", "seq", "sport", "vlan", "mirror") if field in wanted}
        meant = {"psn": "roce2", "syndrome": "aeth", "dma_length": "reth", "src_qp": "deth", "seq": "tcp", "sport": "ports"}
        flags = {field for field in ("syndrome", "dma_length", "src_qp", "seq", "sport", "vlan", "mirror") if has(key, meant.get(field, field))}
        assert (name, flags | ({"psn"} if key.flags & (FLAGS["roce1"] | FLAGS["roce2"]) else set())) == (name, said)
        assert has(key, "ack_request") == (row["infiniband.bth.a"] in (["1"], ["True"]))
        assert has(key, "icrc") == has(key, "icrc_valid") == bool(row["infiniband.invariant.crc"])
        assert has(key, "ipv6") == bool(row["ipv6.src"] or row["infiniband.grh.sgid"])


CONNECTION = {
    "local_qpn": "infiniband.cm.req.localqpn", "local_gid": "infiniband.cm.req.prim_localgid_ipv4", "remote_gid": "infiniband.cm.req.prim_remotegid_ipv4",
    "ip_src": "infiniband.cm.req.ip_cm.sip4", "ip_dst": "infiniband.cm.req.ip_cm.dip4", "ip_sport": "infiniband.cm.req.ip_cm.sport",
    "ip_dport": "infiniband.cm.req.serviceid.dport",
}  # fmt: skip


@pytest.mark.real
@needs_tshark
def test_a_connection_request_is_what_tshark_says(tmp_path):
    data = w.pcap([k.managed(k.request()), k.managed(k.reply())])
    request, reply = dissected(data, tmp_path, [*CONNECTION.values(), "infiniband.cm.rep.localqpn", "infiniband.cm.rep.remotecommid"])
    found = run(data).side
    assert {name: str(found[0][name]) for name in CONNECTION} == {
        name: str(int(request[field][0], 0)) if request[field][0].startswith("0x") else request[field][0] for name, field in CONNECTION.items()
    }
    assert found[1]["local_qpn"] == number(reply["infiniband.cm.rep.localqpn"][0])
    assert found[1]["remote_comm_id"] == number(reply["infiniband.cm.rep.remotecommid"][0])


# ---------------------------------------------------------------------------------------------------- what tshark does not tell


@both
def test_lengths_of_payloads_and_whether_the_icrc_holds(path):
    wanted = {
        "WRITE First": 64, "WRITE Middle, VLAN": 62, "WRITE Only with immediate": 64, "READ Response First": 64, "ACK": 0, "CNP": 16,
        "RoCE v1": 64, "UD SEND": 64, "RD": 64, "XRC WRITE": 64, "FLUSH": 0, "UDP": 64, "ICMP": 72, "VXLAN": 64, "TSO": 64,
        "later fragment": 64, "ERSPAN II": 64,
    }  # fmt: skip
    keys = dict(zip(k.FRAMES, run(w.pcap(k.FRAMES.values()), path).keys))
    assert {name: keys[name].payload for name in wanted} == wanted
    whole = {name for name, key in keys.items() if has(key, "icrc")}
    assert whole == {name for name, key in keys.items() if key.flags & (FLAGS["roce1"] | FLAGS["roce2"])} - {"RoCE, no length"}
    assert {name for name in whole if not has(keys[name], "icrc_valid")} == {"a wrong ICRC"}
    assert not any(has(key_of(k.KNOWN["WRITE First"], path, snap), "icrc") for snap in (80, 100, len(k.KNOWN["WRITE First"]) - 1))


@both
def test_the_icrc_of_packets_of_any_length(path):
    """Some of them altered in one bit, which no length hides."""
    noise = bytes(number * 73 + number // 256 & 0xFF for number in range(4096))
    frames = [k.v2(k.bth(0x07, flags=0x40), noise[:size]) for size in (*range(200), 255, 256, 1024, 4095, 4096)]
    assert all(has(key, "icrc_valid") for key in run(w.pcap(frames), path).keys)
    altered = [frame[:-5] + bytes([frame[-5] ^ 0x10]) + frame[-4:] for frame in frames[1:]]
    assert not any(has(key, "icrc_valid") for key in run(w.pcap(altered), path).keys)


@both
def test_what_a_switch_truncated_is_known_not_to_be_whole(path):
    frame = k.v2(k.bth(0x07), k.PAYLOAD)
    whole, cut, less = run(w.pcap([w.ethernet(w.ipv4(w.type2(frame[:size]))) for size in (999, 90, 60)]), path).keys
    assert (cut.payload, cut.fingerprint, cut.content) == (64, whole.fingerprint, whole.content)
    assert has(whole, "icrc_valid") and not has(cut, "icrc") and has(cut, "identified") and cut.wire == 90
    assert less.payload == 64 and not has(less, "identified") and not has(less, "content")


@both
def test_tunnels_mirrors_fragments_and_marks(path):
    keys = dict(zip(k.FRAMES, run(w.pcap(k.FRAMES.values()), path).keys))
    for name in ("VXLAN", "IP in IP", "ERSPAN II", "RoCE in Mellanox", "mirror of a mirror"):
        assert has(keys[name], "outer", "ip") and side.address(keys[name].outer_src) == "10.9.0.1", name
        assert side.address(keys[name].src) == "192.0.2.1", name
    assert not has(keys["VXLAN with ARP"], "ip") and has(keys["VXLAN with ARP"], "outer")
    assert not has(keys["VXLAN without a network"], "outer") and keys["VXLAN without a network"].dport == 4789
    assert keys["mirror of a mirror"].mirror == 3 and not has(keys["RoCE in Mellanox"], "mirror")
    assert keys["ERSPAN II"].wire == len(k.v2(k.bth(0x07), k.PAYLOAD)) == keys["ERSPAN II"].captured
    assert {name for name, key in keys.items() if has(key, "fragment")} == {
        "first fragment", "later fragment", "first fragment, IPv6", "later fragment, IPv6",
    }  # fmt: skip
    assert has(keys["first fragment"], "ports") and not has(keys["later fragment"], "ports")
    assert has(keys["CNP"], "becn") and not has(keys["CNP"], "fecn") and has(keys["FECN"], "fecn")
    assert keys["authenticated"].protocol == 6 and has(keys["authenticated"], "tcp")
    assert keys["UOA in a header of its own"].dport == 53


@both
def test_the_side_table(path):
    found = run(w.pcap(k.FRAMES.values()), path).side
    names = list(k.FRAMES)
    by_name = {names[row["number"] - 1]: row for row in found}
    client4, client6 = {"client": "203.0.113.9", "client_port": 51540}, {"client": "2001:db8::9", "client_port": 51540}
    for name, kind, client in (
        ("TOA", "toa", client4), ("TOA, IPv6", "toa", client6), ("UOA", "uoa", client4), ("UOA in a header of its own", "uoa", client6),
        ("UOA in a header of its own, IPv6", "uoa", client6),
    ):  # fmt: skip
        assert by_name[name]["kind"] == kind and client.items() <= by_name[name].items(), name
    assert {name: row["kind"] for name, row in by_name.items() if row["kind"].isupper()} == {
        "REQ": "REQ", "REP": "REP", "RTU": "RTU", "DREQ": "DREQ", "REJ": "REJ", "REQ, IPv6": "REQ",
    }  # fmt: skip
    assert by_name["REQ"] | {"local_comm_id": 0x19AC2F7A, "starting_psn": 0x28A538, "port_space": "tcp", "ip_dport": 18515} == by_name["REQ"]
    assert by_name["REQ, IPv6"]["ip_src"] == "2001:db8::1" == by_name["REQ, IPv6"]["local_gid"]
    assert (by_name["REP"]["starting_psn"], by_name["DREQ"]["remote_qpn"], by_name["REJ"]["reason"]) == (0x111111, 0x1A5, 28)
    assert len(by_name) == 11 and by_name["TOA"]["sport"] == 40000


@both
@pytest.mark.parametrize("make", [w.pcap, w.pcapng])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_times(path, make, order, nano):
    found = run(make(k.KNOWN.values(), order=order, nano=nano), path)
    step = 1 if nano else 1000
    assert [key.t_ns for key in found.keys] == [w.SINCE * w.NS + (n * 1_000_000 + 123_456) // step * step for n in range(len(k.KNOWN))]
    assert (found.totals.first_ns, found.totals.last_ns) == (found.keys[0].t_ns, found.keys[-1].t_ns)


@both
@pytest.mark.parametrize(
    "resolution, ticks, ns",
    [(6, 5_000_001, 5_000_001_000), (9, 7, 7), (3, 2, 2_000_000), (12, 1_999, 1), (18, 10**18 + 10**9, 10**9 + 1), (0x80 | 10, 512, 500_000_000),
     (0x80 | 32, 1 << 31, 500_000_000), (0x80 | 60, (1 << 60) + (1 << 59), 1_500_000_000), (0, 1 << 40, (1 << 40) * 10**9 - (1 << 64) * 59)],
)  # fmt: skip
def test_clocks_of_any_resolution(path, resolution, ticks, ns):
    head = w.section() + w.block(1, struct.pack("<HHI", 1, 0, 0) + w.option(9, bytes([resolution])) + w.option(0, b""))
    found = run(head + w.packet(k.KNOWN["UDP"], ticks), path)
    assert (found.damage, found.keys[0].t_ns) == (None, (ns + (1 << 63)) % (1 << 64) - (1 << 63))


@both
def test_clocks_with_an_offset_and_those_that_cannot_be(path):
    offset = w.option(14, struct.pack("<q", -5))
    found = run(w.section() + w.interface(options=offset) + w.packet(k.KNOWN["UDP"], 7_000_000), path)
    assert found.keys[0].t_ns == 2 * w.NS
    absurd = w.block(1, struct.pack("<HHI", 1, 0, 0) + w.option(9, b"\xff") + w.option(0, b""))
    assert "more finely" in (run(w.section() + absurd, path).damage or "")


@both
def test_directions_and_packets_without_a_time(path):
    marked = [w.option(2, struct.pack("<I", way)) + w.option(0, b"") for way in (0, 1, 2, 3)]
    data = w.section() + w.interface() + b"".join(w.packet(k.KNOWN["UDP"], 9, options=options) for options in marked)
    simple = w.block(3, struct.pack("<I", 60) + k.KNOWN["UDP"][:60])
    found = run(data + simple, path)
    assert [key.direction for key in found.keys] == [0, 1, 2, 0, 0]
    assert (found.keys[4].t_ns, found.keys[4].wire, found.totals.first_ns) == (0, 60, 9000)
    cooked = [struct.pack("!HHH8sH", kind, 1, 6, bytes(8), 0x0800) + k.KNOWN["UDP"][14:] for kind in (0, 3, 4)]
    assert [key.direction for key in run(w.pcap(cooked, link=113), path).keys] == [1, 1, 2]
    cooked2 = [struct.pack("!HHIHBB8s", 0x0800, 0, 1, 1, kind, 6, bytes(8)) + k.KNOWN["UDP"][14:] for kind in (0, 4)]
    assert [key.direction for key in run(w.pcap(cooked2, link=276), path).keys] == [1, 2]


@both
def test_the_same_packet_under_every_link_type(path):
    ip = k.KNOWN["WRITE First"][14:]
    plain = key_of(k.KNOWN["WRITE First"], path)
    for link, head in ((101, b""), (12, b""), (228, b""), (113, struct.pack("!HHH8sH", 0, 1, 6, bytes(8), 0x0800)), (276, b"\x08\0" + bytes(18))):
        key = run(w.pcap([head + ip], link=link), path).keys[0]
        assert (key.fingerprint, key.psn, key.payload, key.content) == (plain.fingerprint, plain.psn, plain.payload, plain.content)
        assert has(key, "icrc_valid", "identified")


@both
def test_foreign_link_types_have_times_and_lengths(path):
    found = run(w.pcap([k.KNOWN["UDP"]] * 3, link=105), path)
    assert (found.totals.packets, found.totals.foreign, found.damage) == (3, 3, None)
    assert {(key.flags, key.captured, key.wire) for key in found.keys} == {(0, len(k.KNOWN["UDP"]), len(k.KNOWN["UDP"]))}


# ---------------------------------------------------------------------------------------------------- the fingerprint

ENDS = k.MACS[0] + k.MACS[1]


def routed(frame: bytes, transport: bool = True) -> bytes:
    """Return an untagged *frame* as routers may pass it on: other MACs, VLAN, TTL, DSCP, ECN, checksums, congestion bits.

    Without *transport* there is no header behind IP, as in a later fragment.
    """
    at, packet = 14, bytearray(frame)
    if frame[12:14] == b"\x08\x00":
        packet[at + 1] ^= 0xFF
        packet[at + 8] ^= 3
        packet[at + 10 : at + 12] = b"\x12\x34"
        packet[at + 6] ^= 0x40
        behind, kind = at + (packet[at] & 15) * 4, packet[at + 9]
    else:
        packet[at] ^= 0x0F
        packet[at + 1 : at + 4] = b"\xfe\xdc\xba"
        packet[at + 7] ^= 3
        behind, kind = at + 40, packet[at + 6]
    kind = kind if transport else 0
    if kind == 6:
        packet[behind + 16 : behind + 18] = b"\x55\x66"
    elif kind == 17:
        packet[behind + 6 : behind + 8] = b"\x55\x66"
    if kind == 17 and packet[behind + 2 : behind + 4] == b"\x12\xb7":
        packet[behind + 12] ^= 0xC0
    if kind == 0x1B:
        packet[behind + 4] ^= 0x80
    return bytes(range(12)) + b"\x81\x00\x00\x2a" + bytes(packet[12:])


UNTAGGED = [name for name, frame in k.FRAMES.items() if frame[12:14] in (b"\x08\x00", b"\x86\xdd", b"\x89\x15")]
PLAIN = [name for name in UNTAGGED if not has(key_of(k.FRAMES[name]), "outer") and "MAD" not in name]


@both
@pytest.mark.parametrize("name", PLAIN)
def test_routers_and_snap_lengths_leave_the_fingerprint_alone(path, name):
    before = key_of(k.FRAMES[name], path)
    after = routed(k.FRAMES[name], "later" not in name)
    for snap in (262144, 128, 98):
        key = key_of(after, path, snap)
        # An IPv4 header with options, and DPVS's own, leave too little of 98 bytes.
        if snap == 98 and not has(key, "identified") and ("UOA" in name or "authenticated" in name or "IPv6, options" in name):
            continue
        assert key.fingerprint == before.fingerprint
        assert has(key, "identified") == has(before, "identified")


@both
def test_packets_that_differ_in_anything_else_have_other_fingerprints(path):
    frames = [w.ethernet(k.ip4(k.tcp(seq=1000 + n), 6)) for n in range(50)] + [w.ethernet(k.ip4(k.tcp(), 6, identification=n)) for n in range(8, 99)]
    frames += [k.v2(k.bth(0x07, psn=n), k.PAYLOAD) for n in range(200)] + [k.v2(k.bth(0x07, qp=n), k.PAYLOAD) for n in range(1, 200)]
    frames += [w.ethernet(k.ip4(k.udp(k.PAYLOAD[:23] + bytes([n])), 17)) for n in range(256)]
    frames += [w.ethernet(k.ip4(k.udp(k.PAYLOAD[:n]), 17)) for n in range(30)]
    keys = run(w.pcap(dict.fromkeys(frames)), path).keys
    marks = [key.fingerprint for key in keys if has(key, "identified")]
    assert len(set(marks)) == len(marks) > 800


@both
def test_what_does_not_tell_a_packet_from_its_neighbours_is_not_identified(path):
    bare = k.tcp(b"", 0x10)
    cases = {
        False: [
            w.ethernet(k.ip4(bare, 6, identification=0)), w.ethernet(k.ip6(bare, 6), 0x86DD), k.FRAMES["CNP"], k.FRAMES["ARP"], b"",
            w.ethernet(k.ip4(k.udp(b"1234567"), 17, identification=0)), k.KNOWN["WRITE First"][:60],
        ],
        True: [
            w.ethernet(k.ip4(bare, 6)), w.ethernet(k.ip6(k.tcp(b"", 0x10, k.STAMPS), 6), 0x86DD), w.ethernet(k.ip6(k.tcp(), 6), 0x86DD),
            w.ethernet(k.ip6(k.tcp(b"", 2), 6), 0x86DD), w.ethernet(k.ip4(k.udp(b"12345678"), 17, identification=0)), k.KNOWN["ACK"],
        ],
    }  # fmt: skip
    for wanted, frames in cases.items():
        assert [has(key, "identified") for key in run(w.pcap(frames), path).keys] == [wanted] * len(frames)


@given(st.binary(min_size=20 + COVERED, max_size=20 + COVERED), st.integers(0, 8 * (20 + COVERED) - 64), st.integers(1, (1 << 64) - 1))
@settings(max_examples=300, deadline=None)
def test_no_change_within_eight_bytes_leaves_the_checksum_as_it_was(covered, shift, change):
    """Bits in the order in which CRC-32 takes them: the lowest of each byte first."""
    other = (int.from_bytes(covered, "little") ^ change << shift).to_bytes(len(covered), "little")
    assert checksum(other) != checksum(covered)


# ---------------------------------------------------------------------------------------------------- damage

GOOD = list(k.KNOWN.values())[:4]
DAMAGED = [
    ("no bytes", b"", 0, "not one byte"),
    ("text", b"hello world, this is no capture", 0, "neither pcap nor pcapng"),
    ("half a header", w.pcap([])[:20], 0, "ends within"),
    ("cut in a packet", w.pcap(GOOD)[:-1], 3, "ends within"),
    ("cut in a block", w.pcapng(GOOD)[:-2], 3, "ends within"),
    ("a record longer than anything", w.pcap(GOOD[:2]) + struct.pack("<IIII", 1, 1, 1 << 30, 9), 2, "more than"),
    ("a block of no length", w.pcapng(GOOD) + struct.pack("<II", 6, 0) + bytes(8), 4, "cannot be"),
    ("lengths that differ", w.pcapng(GOOD)[:-1] + b"\x01", 3, "differ"),
    ("an unknown interface", w.pcapng(GOOD) + w.packet(GOOD[0], 5, number=3), 4, "nothing was said"),
    ("a simple packet of no interface", w.section() + w.block(3, struct.pack("<I", 4) + bytes(4)), 0, "nothing was said"),
    ("a packet larger than its block", w.pcapng(GOOD) + w.block(6, struct.pack("<IIIII", 0, 0, 0, 999, 999)), 4, "does not fit"),
]


@both
@pytest.mark.parametrize("data, packets, said", [row[1:] for row in DAMAGED], ids=[row[0] for row in DAMAGED])
def test_damage_ends_it_after_everything_readable(path, data, packets, said):
    found = run(data, path)
    assert (found.totals.packets, len(found.keys)) == (packets, packets)
    assert said in (found.damage or "")


@both
def test_disorder_is_counted(path):
    first, second = w.pcap(GOOD[:1]), w.pcap(GOOD[:2])
    found = run(second + first[24:] + second[24:], path)
    assert (found.totals.packets, found.totals.out_of_order) == (5, 1)


# ---------------------------------------------------------------------------------------------------- anything at all

VALID = [make(k.FRAMES.values(), order=order) for make in (w.pcap, w.pcapng) for order in "<>"]
MIRRORED = [w.ethernet(w.ipv4(w.type2(frame))) for frame in k.FRAMES.values()]
SOURCES = [*k.FRAMES.values(), *MIRRORED, *w.variants(w.inner(0x21, 90)).values()]


@st.composite
def mutated(draw: t.Any) -> bytes:
    """Return a good file with some bytes overwritten, and some cut out or put in."""
    data = bytearray(draw(st.sampled_from(VALID)))
    for _change in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(data)


@st.composite
def noisy_packets(draw: t.Any) -> bytes:
    """Return a good file of packets whose headers are not: most noise dies in the file's own structure otherwise."""
    packets = []
    for _packet in range(draw(st.integers(1, 8))):
        data = bytearray(draw(st.sampled_from(SOURCES)))
        for _change in range(draw(st.integers(0, 4)) if data else 0):
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
        packets.append(bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data))
    make, order = draw(st.sampled_from([w.pcap, w.pcapng])), draw(st.sampled_from("<>"))
    return make(packets, order=order, link=draw(st.sampled_from([1, 1, 1, 101, 113, 228, 229, 276, 105])), more=draw(st.integers(0, 60)))


@needs_c
@given(mutated() | noisy_packets() | noisy_packets() | st.binary(max_size=200), st.integers(1, 4000))
@example(VALID[0], 1)
@settings(max_examples=700, deadline=None)
def test_both_paths_give_the_same_rows_however_it_comes(data, step):
    slow = run(data)
    assert run(data, "c", step) == slow
    assert run(data, "c", rows=3, notes=1) == slow


@needs_c
@pytest.mark.parametrize("parts", [[1], [2], [63], [64], [65], [300], [15, 49, 16, 200], [SEGMENT], [SEGMENT - 70, 70]])
def test_rows_are_turned_the_same_way(parts):
    segment, whole = HotSegment(LIBRARY.library), b""
    for rows in parts:
        data = bytearray(os.urandom(rows * ROW.size))
        segment.put(memoryview(data), len(whole) // ROW.size)
        whole += data
    assert bytes(segment.planes(sum(parts))) == planes(whole)
    with pytest.raises(ValueError, match="room"):
        segment.put(memoryview(data), SEGMENT)


@needs_c
def test_the_c_loop_touches_nothing_outside(tmp_path):
    """Under the compiler's sanitizers, in buffers that end where they must."""
    library = tmp_path / "hot.so"
    flags = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wall", "-Wextra", "-Werror"]
    built = subprocess.run([*native.CC, *flags, "-o", library, "-"], input=hot.SOURCE.encode(), capture_output=True, check=False)
    runtime = subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip()
    if b"cannot find" in built.stderr or not os.path.isabs(runtime):
        pytest.skip("the compiler has no sanitizers")
    assert built.returncode == 0, built.stderr.decode()
    watched = {**os.environ, "LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"}
    argv = [sys.executable, str(pathlib.Path(__file__).with_name("fuzz_hot.py")), str(library), "5000", "1", "index"]
    done = subprocess.run(argv, env=watched, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, "5000 rounds\n"), done.stderr[-3000:]
