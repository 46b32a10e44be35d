# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a session is, as text from outside becomes it: every wish is checked before anything is touched."""

from __future__ import annotations

import hashlib
import re
import typing as t

from ..settings.journal import valid_id
from ..settings.model import Refused

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCHEMA = 1
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}\Z")
_PREFIX = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\Z")
LONGEST_S = 30 * 86400
MAX_SNAPLEN = 262144
#: Bytes of a packet that are still but its headers.
CUT = 1024
_LONGEST_HOST = 100
#: Engines of which a DPDK process takes one at a time.
ATTACHING = ("dpdk_pdump", "dpdk_dumpcap")
START_MARGIN_S = 1.0
#: What a vantage has that does not say it.
UNSAID: Mapping[str, t.Any] = {"engine_reason": "", "filter": "", "snaplen": 256}
#: What travels to the controller: the captures, or tables of packet keys that the host makes of them.
COLLECT = WHOLE, INDEX = "whole", "index"


class Ring(t.NamedTuple):
    files: int
    file_bytes: int


class Split(t.NamedTuple):
    bytes: int | None
    seconds: float | None


class Limits(t.NamedTuple):
    """What ends a capture before its time; None means no such limit."""

    bytes: int | None = None
    packets: int | None = None
    min_free_bytes: int | None = None
    min_free_percent: float | None = None


class Vantage(t.NamedTuple):
    vantage_id: str
    device: str
    capture_on: str
    engine: str
    engine_reason: str
    filter: str
    snaplen: int
    buffer_mib: int
    ring: Ring | None
    split: Split | None
    limits: Limits
    container: Mapping[str, str]
    dpvs: Mapping[str, t.Any] = {}
    dpdk: Mapping[str, t.Any] = {}
    rpcap: Mapping[str, t.Any] = {}

    @property
    def process(self) -> Mapping[str, t.Any]:
        """What is known of the DPDK process that has the device, whether DPVS or another."""
        return self.dpdk or self.dpvs

    @property
    def whole(self) -> bool:
        return keeps_whole(self.snaplen)


def keeps_whole(snaplen: int) -> bool:
    """Return whether more than a few headers of each packet are kept, so that the disk may be too slow for them."""
    return snaplen == 0 or snaplen > CUT


class Session(t.NamedTuple):
    campaign: str
    name: str
    host: str
    t0_ns: int
    duration_s: float
    lead_s: float
    keep_s: float
    limits: Limits
    vantages: tuple[Vantage, ...]
    resources: Mapping[str, t.Any]
    collect: str = WHOLE

    @property
    def t1_ns(self) -> int:
        return self.t0_ns + int(self.duration_s * 1e9)


def nearest(data: dict[str, t.Any], now_ns: int) -> dict[str, t.Any]:
    """Return the session *data* with the nearest window that leaves its engines time to listen. Pure."""
    lead = data.get("lead_s", 2.0)
    early = lead if isinstance(lead, (int, float)) else 0
    return {**data, "t0_ns": now_ns + int((early + START_MARGIN_S) * 1e9)}


def in_full(data: Mapping[str, t.Any], host: str) -> dict[str, t.Any]:
    """Return the session *data*, as *host* took it, with what evidence tells of one although nobody need say it. Pure."""
    vantages = [{**vantage, **{name: value for name, value in UNSAID.items() if vantage.get(name) is None}} for vantage in data["vantages"]]
    return {**data, "name": data.get("name") or data["campaign"], "host": data.get("host") or host, "vantages": vantages}


def parse_session(data: Mapping[str, t.Any]) -> Session:
    """Return the resolved session that *data* describes; raise Refused with everything that is wrong with it."""
    found = problems(data, resolved=True)
    if found:
        raise Refused("; ".join(found))
    return Session(
        campaign=data["campaign"],
        name=str(data.get("name", data["campaign"])),
        host=str(data.get("host", "")),
        t0_ns=data["t0_ns"],
        duration_s=float(data["duration_s"]),
        lead_s=float(data.get("lead_s", 2.0)),
        keep_s=float(data.get("keep_s", 604800)),
        limits=_limits(data.get("limits")),
        vantages=tuple(_vantage(entry) for entry in data["vantages"]),
        resources=data.get("resources") or {},
        collect=data.get("collect", WHOLE),
    )


def problems(data: t.Any, resolved: bool) -> list[str]:
    """Return a sentence for each thing that is wrong with *data*; *resolved* asks for engine and device too."""
    if not isinstance(data, dict):
        return ["the session must be a mapping"]
    if data.get("schema") != SCHEMA:
        return [f"the session has schema {data.get('schema')!r} and this host reads {SCHEMA}: use one version everywhere"]
    return [*_problems_of_window(data), *_problems_of_limits("the session", data.get("limits")), *_each(data, resolved)]


def _problems_of_window(data: Mapping[str, t.Any]) -> Iterator[str]:
    try:
        valid_id(str(data.get("campaign", "")))
    except Refused as refused:
        yield str(refused)
    if not _whole(data.get("t0_ns"), 1):
        yield "t0_ns must be a whole number of nanoseconds since 1970"
    if not _number(data.get("duration_s"), 0, LONGEST_S) or data["duration_s"] == 0:
        yield f"duration_s must be more than 0 and at most {LONGEST_S}"
    if not _number(data.get("lead_s", 2.0), 0, 600):
        yield "lead_s must be between 0 and 600"
    if not _number(data.get("keep_s", 0), 0, 10 * 365 * 86400):
        yield "keep_s must be between 0 and ten years in seconds"
    if data.get("collect", WHOLE) not in COLLECT:
        yield f"collect must be {WHOLE} or {INDEX}"


def _each(data: Mapping[str, t.Any], resolved: bool) -> Iterator[str]:
    vantages = data.get("vantages")
    if not isinstance(vantages, list) or not vantages or not all(isinstance(entry, dict) for entry in vantages):
        yield "the session names no vantage: say at least one device to capture on"
        return
    for vantage in vantages:
        yield from vantage_problems(vantage, resolved)
    if resolved:
        names = [vantage.get("vantage_id") for vantage in vantages]
        for name in sorted({str(name) for name in names if names.count(name) > 1}):
            yield f"the vantage {name} is named twice: give each device one vantage, or another vantage_id"
        prefixes = [str((vantage.get("dpdk") or vantage.get("dpvs") or {}).get("prefix")) for vantage in vantages if vantage.get("engine") in ATTACHING]
        if len(set(prefixes)) < len(prefixes):
            yield "two vantages attach a capture to one DPDK process, which takes one (a second dpdk-pdump crashes): leave one; DPVS has dpvs_kni"


def vantage_id(host: str, device: str) -> str:
    """Return the folder's name of a vantage, `<host>__<device>`, which no other host of a run has. Pure.

    The first `__` ends the host: where the host's name has one of its own, or letters that a folder's name cannot have,
    it is written without and its checksum follows.
    """
    plain = re.sub(r"\.\.+|[^A-Za-z0-9.-]+", "_", host).strip("_").lstrip(".-")[:_LONGEST_HOST]
    if plain != host:
        plain = f"{plain or 'host'}-{hashlib.sha256(host.encode()).hexdigest()[:8]}"
    return f"{plain}__{re.sub(r'[^A-Za-z0-9._-]', '_', device).lstrip('.') or '_'}"


def vantage_problems(data: Mapping[str, t.Any], resolved: bool) -> Iterator[str]:
    """Yield a sentence for each thing that is wrong with one vantage."""
    label = f"vantage {data.get('vantage_id') or data.get('device')!r}"
    if not _word(data.get("device")):
        yield f"{label}: device must be the name of an interface or RDMA device"
    if resolved and (not NAME.match(str(data.get("vantage_id"))) or ".." in data["vantage_id"]):
        yield f"{label}: vantage_id must be letters, digits, '.', '_' and '-'"
    if resolved and not (_word(data.get("capture_on")) and _word(data.get("engine"))):
        yield f"{label}: engine and capture_on are not resolved: run capture_info with this session first"
    if not _whole(data.get("snaplen", UNSAID["snaplen"]), 0, MAX_SNAPLEN):
        yield f"{label}: snaplen must be between 0 (everything) and {MAX_SNAPLEN}"
    if not _whole(data.get("buffer_mib") or 64, 1, 4096):
        yield f"{label}: buffer_mib must be between 1 and 4096"
    yield from _problems_of_dpvs(label, data.get("dpvs") or {})
    yield from _problems_of_dpdk(label, data.get("dpdk"))
    yield from _problems_of_rpcap(label, data.get("rpcap") or {})
    yield from _problems_of_filter(label, data.get("filter", ""))
    yield from _problems_of_files(label, data.get("ring"), data.get("split"))
    yield from _problems_of_limits(label, data.get("limits"))


def _problems_of_dpvs(label: str, dpvs: t.Any) -> Iterator[str]:
    if not isinstance(dpvs, dict):
        yield f"{label}: dpvs must be a mapping"
        return
    for name in ("ipc_file", "netns", "kni"):
        value = dpvs.get(name)
        if value is not None and not (isinstance(value, str) and len(value) < 256 and value.isprintable() and ".." not in value):
            yield f"{label}: dpvs.{name} must be a text without control characters"
    if not _whole(dpvs.get("lcore") or 0, 0, 1023):
        yield f"{label}: dpvs.lcore must be the number of a core"
    if not isinstance(dpvs.get("pdump_filter") or {}, dict):
        yield f"{label}: dpvs.pdump_filter must be a mapping"
    if dpvs.get("ipc_file") and not str(dpvs["ipc_file"]).startswith("/"):
        yield f"{label}: dpvs.ipc_file must be an absolute path"


def _problems_of_dpdk(label: str, dpdk: t.Any) -> Iterator[str]:
    if dpdk is None:
        return
    if not isinstance(dpdk, dict) or not _PREFIX.match(str(dpdk.get("prefix", "rte"))):
        yield f"{label}: dpdk must be a mapping, its prefix the --file-prefix of the process"
    elif not _whole(dpdk.get("lcore") or 0, 0, 1023):
        yield f"{label}: dpdk.lcore must be the number of a core"


def _problems_of_rpcap(label: str, rpcap: t.Any) -> Iterator[str]:
    if not isinstance(rpcap, dict):
        yield f"{label}: rpcap must be a mapping"
        return
    server, interface = rpcap.get("server"), rpcap.get("interface")
    if server is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.:%-]{0,252}|::[0-9A-Fa-f:.]{0,40}", str(server)):
        yield f"{label}: rpcap.server must be the address or name of who captures"
    if rpcap.get("port") is not None and not _whole(rpcap["port"], 1, 65535):
        yield f"{label}: rpcap.port must be a number from 1 to 65535"
    if interface is not None and not (isinstance(interface, str) and len(interface) < 256 and interface.isprintable()):
        yield f"{label}: rpcap.interface must be the name that the server gives its interface"


def _problems_of_filter(label: str, text: t.Any) -> Iterator[str]:
    if text is None:
        return
    if not isinstance(text, str) or len(text) > 65536 or any(ord(letter) < 32 and letter not in "\t\n" for letter in text):
        yield f"{label}: the filter must be text of at most 65536 characters without control characters"
    elif text.lstrip().startswith("-"):
        yield f"{label}: the filter {text!r} begins with '-', which a capture tool would take for an option: remove it"


def _problems_of_files(label: str, ring: t.Any, split: t.Any) -> Iterator[str]:
    if ring and split:
        yield f"{label}: ring and split exclude each other: a ring forgets, a split keeps"
    if ring and not (_whole(ring.get("files"), 2, 10000) and _whole(ring.get("file_bytes"), 1_000_000)):
        yield f"{label}: a ring needs files (2 to 10000) and file_bytes (at least 1000000)"
    if not split:
        return
    sizes = [split.get("bytes") is None or _whole(split["bytes"], 1_000_000)]
    sizes.append(split.get("seconds") is None or _number(split["seconds"], 1, LONGEST_S))
    if not all(sizes):
        yield f"{label}: split takes bytes (at least 1000000) and seconds (at least 1)"


def _problems_of_limits(label: str, limits: t.Any) -> Iterator[str]:
    for name, value in (limits or {}).items():
        if name not in Limits._fields:
            yield f"{label}: there is no limit called {name}: use {', '.join(Limits._fields)}"
        elif name == "min_free_percent" and value is not None and not _number(value, 0, 99):
            yield f"{label}: min_free_percent must be between 0 and 99"
        elif name != "min_free_percent" and value is not None and not _whole(value, 1):
            yield f"{label}: the limit {name} must be a whole number above 0"


def _vantage(data: Mapping[str, t.Any]) -> Vantage:
    ring, split = data.get("ring"), data.get("split")
    return Vantage(
        vantage_id=data["vantage_id"],
        device=data["device"],
        capture_on=data["capture_on"],
        engine=data["engine"],
        engine_reason=str(data.get("engine_reason") or UNSAID["engine_reason"]),
        filter=(data.get("filter") or UNSAID["filter"]).strip(),
        snaplen=data.get("snaplen", UNSAID["snaplen"]),
        buffer_mib=data.get("buffer_mib") or 64,
        ring=Ring(ring["files"], ring["file_bytes"]) if ring else None,
        split=Split(split.get("bytes"), split.get("seconds")) if split else None,
        limits=_limits(data.get("limits")),
        container=data.get("container") or {},
        dpvs=data.get("dpvs") or {},
        dpdk=data.get("dpdk") or {},
        rpcap=data.get("rpcap") or {},
    )


def cpu_list(cpus: t.Any) -> str:
    """Return CPUs as both systemd and taskset read them, from `"0-3"`, `2` or `[0, 2]`. Pure."""
    if cpus is None:
        return ""
    return ",".join(map(str, cpus)) if isinstance(cpus, (list, tuple)) else str(cpus)


def _limits(data: Mapping[str, t.Any] | None) -> Limits:
    return Limits(**dict(data or {}))


def _word(value: t.Any) -> bool:
    return isinstance(value, str) and bool(re.match(r"[A-Za-z0-9_][^\s/\x00-\x1f]{0,127}\Z", value))


def _whole(value: t.Any, low: int, high: float = 2**63) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _number(value: t.Any, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
