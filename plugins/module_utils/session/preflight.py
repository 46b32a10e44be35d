# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this host can do its part, and exactly how: every problem is found in one go and nothing is touched."""

from __future__ import annotations

import os
import re
import time
import typing as t

from ..host import CommandMissing
from ..packets.bpf import lacks_vlan_branch
from ..settings.apply import kind_of, preview, refuse_conflicts
from ..settings.journal import Store
from ..settings.model import Key, Refused
from . import expiry
from .arm import existing, state_of
from .choose import AUTO_RDMA, Choice, choose, expand
from .clock import read_clock
from .dpdk import choose_dpdk
from .dpvs import choose_dpvs
from .engines.registry import ENGINES, engine_named
from .folder import Folder, free_space
from .limits import budget, floor_bytes, index_bytes
from .rdma import Facts, gather, probe
from .spec import INDEX, keeps_whole, parse_session, problems, vantage_id

if t.TYPE_CHECKING:
    from ..host import Host
    from .spec import Session, Vantage

#: Memory for bursts in MiB, for packets cut to a few headers and for whole ones, which a disk may hold up for longer.
CUT_BUFFER_MIB, WHOLE_BUFFER_MIB = 64, 256
#: The buffers of a host together take at most this part of its available memory, in which the host has its own work to do.
BUFFER_SHARE = 8

DPVS_ENGINES = tuple(engine.name for engine in ENGINES if engine.on_dpvs)
REMOTE_ENGINES = tuple(engine.name for engine in ENGINES if engine.remote)


class Checked(t.NamedTuple):
    """What was found; *session* is resolved, or None where a problem prevents that."""

    session: dict[str, t.Any] | None
    problems: list[str]
    warnings: list[str]
    preview: dict[str, t.Any] | None
    predicted: dict[str, t.Any] | None


def check(host: Host, root: str, data: dict[str, t.Any]) -> Checked:
    """Resolve the session *data* and look at everything that could stand in its way."""
    found = problems(data, resolved=False)
    if found:
        return Checked(None, _sentences(found), [], None, None)
    if os.geteuid() != 0:
        found.append("capturing needs root on the host: use become")
    resolved, more, warnings = resolve(data, gather(host), lambda device: probe(host, device), lambda vantage: choose_port(host, vantage))
    resolved["vantages"] = with_buffers(resolved["vantages"], available_memory(host.read("/proc/meminfo") or ""))
    broken = problems(resolved, resolved=True) if resolved["vantages"] else []
    found += more + broken
    late = (time.time_ns() - data["t0_ns"]) / 1e9
    if late >= 0:
        found.append(f"the window began {late:.1f} s ago by this host's clock: choose a later start")
    if broken or not resolved["vantages"]:
        return Checked(None, _sentences(found), _sentences(warnings), None, None)
    session = parse_session(resolved)
    for vantage in session.vantages:
        found += vantage_problems(host, vantage)
        warnings += vantage_warnings(vantage)
    predicted, disk = predict(session, *free_space(existing(root)))
    foreseen, refused = foresee(host, root, session.campaign, resolved["settings"])
    return Checked(None if more else resolved, _sentences(found + disk + refused), _sentences(warnings), foreseen, predicted)


def resolve(data: dict[str, t.Any], facts: Facts, prober: t.Any, dpvs: t.Any = None) -> tuple[dict[str, t.Any], list[str], list[str]]:
    """Return (the session with engine and device filled in, problems, warnings). Pure but for *prober* and *dpvs*."""
    vantages: list[dict[str, t.Any]] = []
    choices: dict[str, list[Choice]] = {}
    found: list[str] = []
    for vantage in data["vantages"]:
        try:
            if vantage.get("engine") in DPVS_ENGINES:
                choice, process = dpvs(vantage)
                choices[str(vantage.get("vantage_id"))] = [choice]
                vantages.append(_resolved(data, {**vantage, _owner(vantage): process}, choice, facts))
                continue
            mine = [pick(facts, device, vantage.get("engine") or "auto", prober) for device in expand(facts, vantage["device"])]
        except Refused as refused:
            found.append(str(refused))
            continue
        choices[vantage["device"]] = mine
        vantages += [_resolved(data, vantage, choice, facts) for choice in mine]
    try:
        settings = resolve_settings(data.get("settings") or [], choices, facts)
    except Refused as refused:
        found.append(str(refused))
        settings = []
    warnings = [choice.warning for mine in choices.values() for choice in mine if choice.warning]
    return {**data, "vantages": vantages, "settings": settings}, found, warnings


def choose_port(host: Host, vantage: dict[str, t.Any]) -> t.Any:
    """Return how the port of a DPVS or other DPDK process is captured, and what of it the engine has to know. Raises Refused."""
    return choose_dpdk(host, vantage) if _owner(vantage) == "dpdk" else choose_dpvs(host, vantage)


def _owner(vantage: dict[str, t.Any]) -> str:
    return "dpvs" if vantage.get("dpdk") is None else "dpdk"


def pick(facts: Facts, device: str, wanted: str, prober: t.Any) -> Choice:
    """Return how to capture *device* with the engine the user asked for, or with the one that fits best."""
    if wanted in REMOTE_ENGINES:
        return Choice(device, wanted, device, "asked for")
    port = next((port for port in facts.ports if device == port.capture_name), None)
    if port is not None and wanted in ("ibdump", "container"):
        return Choice(device, wanted, device, "asked for")
    choice = choose(facts, device, prober)
    if wanted in ("auto", choice.engine) or (wanted == "tcpdump" and choice.engine == "tcpdump_rdma"):
        return choice
    if engine_named(wanted).on_rdma != engine_named(choice.engine).on_rdma:
        raise Refused(f"{wanted} cannot capture {device}: use engine auto, which takes {choice.engine} because {choice.reason}")
    return choice._replace(engine=wanted, reason="asked for")


def _resolved(data: dict[str, t.Any], vantage: dict[str, t.Any], choice: Choice, facts: Facts) -> dict[str, t.Any]:
    name = vantage.get("vantage_id")
    if vantage["device"] == AUTO_RDMA or not name:
        name = vantage_id(str(data.get("host") or "host"), choice.device)
    filled: dict[str, t.Any] = {"device": choice.device, "capture_on": choice.capture_on, "engine": choice.engine, "engine_reason": choice.reason}
    if choice.engine == "container" and not vantage.get("container"):
        runtime = os.path.basename(facts.tools.container_runtime or "docker")
        filled["container"] = {"runtime": runtime, "image": "mellanox/tcpdump-rdma"}
    return {**vantage, "vantage_id": name, **filled}


def with_buffers(vantages: list[dict[str, t.Any]], available: int | None) -> list[dict[str, t.Any]]:
    """Return *vantages* with memory for bursts each where none was asked for; *available* is the host's in bytes. Pure.

    What bursts take was measured (docs/bench.md, "What capturing loses"); all of them together get a part of the memory.
    """
    room = available // BUFFER_SHARE // (1 << 20) // len(vantages) if available and vantages else WHOLE_BUFFER_MIB
    return [{**vantage, "buffer_mib": vantage.get("buffer_mib") or max(4, min(_buffer_for(vantage), room))} for vantage in vantages]


def _buffer_for(vantage: dict[str, t.Any]) -> int:
    return WHOLE_BUFFER_MIB if keeps_whole(vantage.get("snaplen", 256)) else CUT_BUFFER_MIB


def available_memory(meminfo: str) -> int | None:
    """Return the bytes that /proc/meminfo says can be had without swapping, None where it does not. Pure."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def resolve_settings(pairs: list[t.Any], choices: dict[str, list[Choice]], facts: Facts) -> list[list[t.Any]]:
    """Return *pairs* with the interfaces that the devices stand for, and with what the engines need."""
    found: dict[Key, t.Any] = {}
    for raw, value in pairs:
        key = Key(*raw)
        scopes = [interface_of(choice, facts) for choice in choices.get(key.scope, [])] if key.kind.startswith("ethtool_") else []
        for scope in scopes or [key.scope]:
            found[key._replace(scope=scope)] = value
    for key, value in ((key, value) for mine in choices.values() for choice in mine for key, value in choice.settings.items()):
        if found.setdefault(key, value) != value:
            raise Refused(f"{key} must be {value} for this capture, but the campaign wants {found[key]}: leave it out")
    return [[list(key), value] for key, value in found.items()]


def interface_of(choice: Choice, facts: Facts) -> str:
    """Return the network interface whose settings count for *choice*."""
    port = next((port for port in facts.ports if port.capture_name == choice.capture_on), None)
    return (port.netdev if port else None) or choice.capture_on


def vantage_problems(host: Host, vantage: Vantage) -> list[str]:
    """Return what prevents *vantage*: tools, device, filter."""
    engine = engine_named(vantage.engine)
    missing = [f"{program} is not installed on this host: install it" for program in engine.programs if host.which(program) is None]
    if missing:
        return missing
    found = engine.problems(vantage)
    if engine.on_interface and (host.read(f"/sys/class/net/{vantage.capture_on}/operstate") or "").strip() in ("down", "lowerlayerdown"):
        found.append(f"{vantage.capture_on} is down and would see nothing: set it up, or leave it out")
    wrong = filter_problem(host, vantage)
    return [*found, wrong] if wrong else found


def filter_problem(host: Host, vantage: Vantage) -> str | None:
    """Return tcpdump's own words about a filter that does not compile for the device's link type."""
    engine = engine_named(vantage.engine)
    if not vantage.filter or not engine.filters:
        return None
    if host.which("tcpdump") is None:
        return f"tcpdump, which compiles the filter of {vantage.vantage_id} for a check, is not installed: install it"
    where = ["-p", "-i", vantage.capture_on] if engine.on_interface else ["-y", "EN10MB"]
    done = host.run(["tcpdump", *where, "-d", "--", vantage.filter])
    return None if done.rc == 0 else f"the filter {vantage.filter!r} of {vantage.vantage_id} does not compile: {done.message}"


def vantage_warnings(vantage: Vantage) -> list[str]:
    found = []
    if lacks_vlan_branch(vantage.filter):
        found.append(f"the filter of {vantage.vantage_id} has no vlan branch and cannot match frames with an inline VLAN tag")
    if vantage.engine in REMOTE_ENGINES:
        found.append(
            f"RPCAP of {vantage.vantage_id} is neither authenticated nor encrypted: its server belongs on the management network, "
            "reached by its management address; packets have the times of the server's clock, which nobody compares"
        )
    if vantage.engine in ("ibdump", "dpdk_pdump") and vantage.snaplen:
        found.append(f"{vantage.engine} keeps whole packets: the snaplen of {vantage.vantage_id} has no effect")
    if vantage.engine == "dpdk_dumpcap" and vantage.snaplen:
        found.append(
            f"dpdk-dumpcap writes what it keeps of a packet as its length, too: with its snaplen {vantage.vantage_id} has no true lengths, with 0 it has"
        )
    return found


def predict(session: Session, free: int, size: int) -> tuple[dict[str, t.Any], list[str]]:
    """Return what the session may write beside what is free, and a sentence where it does not fit. Pure."""
    floor, most = floor_bytes(session.limits, size), budget(session)
    room = max(0, free - floor)
    why = "the limits of bytes and rings" if most is not None else "no limit of bytes is set, so free disk is the bound"
    indexed = session.collect == INDEX
    predicted = {"bytes": room if most is None else most, "free_bytes": free, "why": why}
    index = predicted["index_bytes"] = index_bytes(t.cast("int", predicted["bytes"])) if indexed else None
    if room == 0:
        return predicted, [f"{free >> 20} MiB are free and {floor >> 20} MiB must stay so: make room, or lower min_free"]
    if most is not None and most > room:
        return predicted, [f"the capture may take {most >> 20} MiB and {room >> 20} MiB are there to use: lower the limits, or make room"]
    if most is not None and index is not None and most + index > room:
        needs = f"the capture may take {most >> 20} MiB and its index {index >> 20} MiB, and {room >> 20} MiB are there to use"
        return predicted, [f"{needs}: lower the limits, make room, or leave campaign_collect at whole"]
    return predicted, []


def foresee(host: Host, root: str, campaign: str, settings: list[t.Any]) -> tuple[dict[str, t.Any] | None, list[str]]:
    """Return what applying *settings* would do, and a sentence where it cannot be done."""
    try:
        outcome = preview(host, {Key(*key): value for key, value in settings})
        refuse_conflicts(Store(host, root).open_states(), campaign, outcome.after)
    except (Refused, CommandMissing) as problem:
        return None, [str(problem)]
    rows = {name: [[list(entry.key), entry.before, entry.after] for entry in getattr(outcome, name)] for name in ("changes", "side_effects")}
    return {**rows, "commands": outcome.commands}, []


def captures(host: Host, root: str, wanted: str | None) -> list[dict[str, t.Any]]:
    """Return what is armed, kept or changed on this host: one entry per folder below *root*, or that of *wanted*."""
    folders = [Folder(os.path.join(root, name)) for name in host.names(root) if os.path.isdir(os.path.join(root, name))]
    found = [_capture(host, folder) for folder in folders]
    return [entry for entry in found if wanted in (None, entry["campaign"], entry["name"])]


def _capture(host: Host, folder: Folder) -> dict[str, t.Any]:
    session = folder.read_json("session.json") or {}
    try:
        journal = Store(host, folder.root).journal(folder.campaign).state()
        held = journal.held if journal and not journal.closed else {}
        changes = [[list(key), entry.before, entry.after, _now(host, key)] for key, entry in held.items()]
        deadline, error = journal.header.get("deadline") if journal and changes else None, None
    except Refused as refused:
        changes, deadline, error = [], None, str(refused)
    return {
        "campaign": folder.campaign,
        "name": session.get("name", folder.campaign),
        "state": state_of(folder) if session else "changed" if changes or error else "restored",
        "session": session or None,
        "heartbeat": folder.read_json("heartbeat.json"),
        "result": folder.read_json("result.json"),
        "stored_bytes": stored_bytes(folder),
        "open_changes": changes,
        "deadline": deadline,
        "expiry": folder.read_json(expiry.RECORD) if changes or error else None,
        "error": error,
    }


def _now(host: Host, key: Key) -> t.Any:
    try:
        return kind_of(key).read(host, key.scope, [key.name]).values.get(key.name)
    except (Refused, CommandMissing):
        return None


def stored_bytes(folder: Folder) -> int:
    """Return the bytes of capture files that are still here."""
    vantages = folder.file("vantages")
    names = os.listdir(vantages) if os.path.isdir(vantages) else []
    return sum(size for name in names for _file, size in folder.raw_files(name))


def facts_of_host(host: Host, root: str) -> dict[str, t.Any]:
    return {
        "now_ns": time.time_ns(),
        "free_bytes": free_space(existing(root))[0],
        "clock": read_clock(host)._asdict(),
    }


def _sentences(found: list[str]) -> list[str]:
    """Return *found* as sentences, each once."""
    return list(dict.fromkeys(text if text.endswith(".") else text + "." for text in found))
