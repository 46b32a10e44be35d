# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a campaign as its user wrote it into what each host has to do. Pure: the inventory comes in as a function."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.session.dpdk import DEFAULT_PREFIX
from ansible_collections.wirefleet.capture.plugins.module_utils.session.engines.registry import ENGINES
from ansible_collections.wirefleet.capture.plugins.module_utils.session.spec import INDEX, WHOLE, vantage_id
from ansible_collections.wirefleet.capture.plugins.module_utils.session.spec import problems as session_problems
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.dpvs_instance import IPC_FILE
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.ethtool_wish import desired_settings
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Change, Key, Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.modprobe_text import text_of

from . import mirrors, objects, schema, units

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DPVS_ENGINES = tuple(engine.name for engine in ENGINES if engine.on_dpvs)
DPDK_ENGINES = ("dpdk_dumpcap", "dpdk_pdump")
REMOTE_ENGINES = tuple(engine.name for engine in ENGINES if engine.remote)
ENGINE_NAMES = ("auto", *(engine.name for engine in ENGINES))
SNAPLEN = 256
DEFAULTS: dict[str, t.Any] = {
    "campaign_start": "+90s",
    "campaign_lead": "2s",
    "campaign_limits": {"bytes": "2G", "min_free": "10%"},
    "campaign_settings": {},
    "campaign_resources": {},
    "campaign_path": [],
    "campaign_collect": WHOLE,
    "campaign_keep": "7d",
    "campaign_max_clock_error": "100ms",
    "campaign_compress": "auto",
    "campaign_collect_to": "",
    "campaign_collect_endpoint": "",
    "campaign_reason": "",
}


class Context(t.NamedTuple):
    """What a plan depends on besides the campaign's own words."""

    hosts_of: Callable[[str], list[str]]
    expand_filter: Callable[[str], str]
    now_ns: int
    random_hex: str
    system_of: Callable[[str], str | None]
    address_of: Callable[[str], str] = str


def make(name: str, written: Mapping[str, t.Any], context: Context) -> dict[str, t.Any]:
    """Return the plan of a new run; raises Unusable with one sentence a line for everything that is wrong."""
    units.check_name(name)
    if units.name_of(name):
        raise units.Unusable(
            f"{name} is the id of a run; give the campaign's name to start one, or collect.yml this one."
        )
    found = schema.problems(dict(written), schema.load(schema.CAMPAIGN_FILE), "the campaign")
    if found:
        raise units.Unusable("\n".join(found))
    campaign = {**DEFAULTS, **written}
    frame = _frame(name, campaign, context)
    mirrored = _mirrors(campaign, frame, context)
    sessions = _sessions(campaign, frame, context)
    return {
        "schema": 1,
        "campaign": frame["campaign"],
        "name": name,
        "reason": campaign["campaign_reason"],
        "created_ns": context.now_ns,
        "t0_ns": frame["t0_ns"],
        "duration_s": frame["duration_s"],
        "max_clock_error_s": frame["max_clock_error_s"],
        "path": list(campaign["campaign_path"]),
        "compress": campaign["campaign_compress"],
        "store": frame["store"],
        "sessions": sessions,
        "mirrors": mirrored,
    }


def _mirrors(campaign: Mapping[str, t.Any], frame: Mapping[str, t.Any], context: Context) -> list[dict[str, t.Any]]:
    """Return what switches have to mirror or to capture, see mirrors.sessions() and mirrors.captures()."""
    lasts_s = (frame["t0_ns"] - context.now_ns) / 1e9 + frame["duration_s"]
    found = []
    for number, written in enumerate(campaign["campaign_vantages"], 1):
        where = f"campaign_vantages[{number}]"
        _refuse_half(written, where)
        if "mirror" in written:
            found += mirrors.sessions(written, where, _hosts(written["hosts"], f"{where}.hosts", context), context.system_of, lasts_s)
        elif "collector" in written:
            found += mirrors.captures(written, where, _hosts(written["hosts"], f"{where}.hosts", context), context.system_of)
    return found


def _refuse_half(written: Mapping[str, t.Any], where: str) -> None:
    """Raise Unusable for a vantage of which something is missing that belongs to the rest."""
    if "mirror" in written and "rpcap" in written:
        raise units.Unusable(f"{where}: mirror and rpcap are two ways to see what a switch sees; leave one.")
    if ("mirror" in written) != ("collector" in written) and "rpcap" not in written:
        raise units.Unusable(f"{where}: mirror and collector belong together; write both, or neither.")
    if "device" not in written and not ("rpcap" in written and "collector" in written):
        raise units.Unusable(f"{where} lacks 'device'.")


def _hosts(pattern: str, where: str, context: Context) -> list[str]:
    hosts = context.hosts_of(pattern)
    if not hosts:
        raise units.Unusable(f"{where} is {pattern!r}, which matches no host of the inventory.")
    return hosts


def _frame(name: str, campaign: Mapping[str, t.Any], context: Context) -> dict[str, t.Any]:
    """Return the part of a session that is the same on every host."""
    lead = units.duration(campaign["campaign_lead"], "campaign_lead")
    length = units.duration(campaign["campaign_duration"], "campaign_duration")
    t0_ns = units.moment(campaign["campaign_start"], context.now_ns, "campaign_start")
    if length <= 0:
        raise units.Unusable("campaign_duration is 0, so nothing would be captured; write for example 60s.")
    if t0_ns < context.now_ns + round(lead * 1e9):
        raise units.Unusable(
            f"campaign_start is {units.clock_time(t0_ns)}, which is past or less than the lead of {lead:g} s away "
            f"(it is {units.clock_time(context.now_ns)} now); write for example +90s."
        )
    return {
        "schema": 1,
        "campaign": units.run_id(name, context.now_ns, context.random_hex),
        "name": name,
        "t0_ns": t0_ns,
        "duration_s": length,
        "lead_s": lead,
        "keep_s": units.duration(campaign["campaign_keep"], "campaign_keep"),
        "max_clock_error_s": units.duration(campaign["campaign_max_clock_error"], "campaign_max_clock_error"),
        "limits": _limits({**DEFAULTS["campaign_limits"], **campaign["campaign_limits"]}),
        "resources": _resources(campaign["campaign_resources"]),
        "store": _store(campaign["campaign_collect_to"], campaign["campaign_collect_endpoint"]),
        "collect": campaign["campaign_collect"],
    }


def _store(url: str, endpoint: str) -> dict[str, t.Any] | None:
    """Return where hosts write their captures to, None where these come home."""
    if not url:
        if endpoint:
            raise units.Unusable("campaign_collect_endpoint says where campaign_collect_to is; write both, or neither.")
        return None
    where = objects.place(url, endpoint)
    return {"url": where.url, "endpoint": where.endpoint}


def _limits(written: Mapping[str, t.Any]) -> dict[str, t.Any]:
    free_bytes, free_percent = units.size_or_percent(written["min_free"], "campaign_limits.min_free")
    return {
        "bytes": units.size(written["bytes"], "campaign_limits.bytes"),
        "packets": written.get("packets"),
        "min_free_bytes": free_bytes,
        "min_free_percent": free_percent,
    }


def _resources(written: Mapping[str, t.Any]) -> dict[str, t.Any]:
    memory = written.get("memory_max")
    return {
        "cpus": written.get("cpus"),
        "memory_max": None if memory is None else units.size(memory, "campaign_resources.memory_max"),
    }


def _sessions(campaign: Mapping[str, t.Any], frame: dict[str, t.Any], context: Context) -> dict[str, t.Any]:
    sessions: dict[str, t.Any] = {}
    for number, original in enumerate(campaign["campaign_vantages"], 1):
        where = f"campaign_vantages[{number}]"
        for written in _captured(original, where, context):
            for host in _hosts(written["hosts"], f"{where}.{'collector' if 'collector' in original else 'hosts'}", context):
                session = sessions.setdefault(host, {**frame, "host": host, "settings": [], "vantages": []})
                session["vantages"] += _vantages(host, written, where, context)
    for host, session in sessions.items():
        _refuse_twins(session)
        devices = [vantage["device"] for vantage in session["vantages"] if vantage["engine"] not in (*DPVS_ENGINES, *REMOTE_ENGINES)]
        session["settings"] = settings(campaign["campaign_settings"], devices)
        for problem in session_problems(session, resolved=False):
            raise units.Unusable(f"{host}: {problem}.")
    return sessions


def _captured(written: Mapping[str, t.Any], where: str, context: Context) -> list[Mapping[str, t.Any]]:
    """Return *written* as vantages of the hosts that capture."""
    if "mirror" in written:
        return [mirrors.as_capture(written, _hosts(written["hosts"], f"{where}.hosts", context))]
    if "collector" in written:
        return [*mirrors.as_clients(written, _hosts(written["hosts"], f"{where}.hosts", context), context.address_of)]
    return [written]


def _refuse_twins(session: Mapping[str, t.Any]) -> None:
    seen: dict[str, str] = {}
    for vantage in session["vantages"]:
        device, other = _label(vantage["device"], vantage), seen.get(vantage["vantage_id"])
        if other == device:
            raise units.Unusable(f"{session['host']} would capture {device} twice; leave one vantage.")
        if other:
            raise units.Unusable(
                f"{session['host']} would capture {other} and {device} into one folder, {vantage['vantage_id']}; "
                "give them campaigns of their own."
            )
        seen[vantage["vantage_id"]] = device


def _engine(written: Mapping[str, t.Any], where: str) -> tuple[str, dict[str, t.Any]]:
    """Return the name of the engine, and who has the device where that is not the host itself: {"dpvs" | "dpdk" | "rpcap": …}."""
    dpvs, dpdk, rpcap = (written.get(key) for key in ("dpvs", "dpdk", "rpcap"))
    usual = next((names[0] for given, names in ((rpcap, REMOTE_ENGINES), (dpdk, DPDK_ENGINES), (dpvs, DPVS_ENGINES)) if given is not None), "auto")
    engine = written.get("engine", usual)
    if engine not in ENGINE_NAMES:
        raise units.Unusable(f"{where}.engine is {engine!r}; it must be one of {', '.join(ENGINE_NAMES)}.")
    if dpvs is not None and engine not in DPVS_ENGINES:
        raise units.Unusable(f"{where}.dpvs is for the engines {', '.join(DPVS_ENGINES)}; leave it out, or name one of these.")
    if dpdk is not None and (dpvs is not None or engine not in DPDK_ENGINES):
        raise units.Unusable(f"{where}.dpdk is for the engines {', '.join(DPDK_ENGINES)} and excludes dpvs; leave one out.")
    if (rpcap is not None) != (engine in REMOTE_ENGINES):
        raise units.Unusable(f"{where}.rpcap is for the engine {', '.join(REMOTE_ENGINES)}, which needs it; write both, or only rpcap.")
    if rpcap is not None:
        return engine, {"rpcap": mirrors.server(rpcap)}
    if dpdk is not None:
        return engine, {"dpdk": dict(dpdk)}
    return engine, {"dpvs": dict(dpvs or {})} if engine in DPVS_ENGINES else {}


def _vantages(host: str, written: Mapping[str, t.Any], where: str, context: Context) -> list[dict[str, t.Any]]:
    engine, owner = _engine(written, where)
    words = written.get("filter", "").strip()
    if words.startswith("-"):
        raise units.Unusable(
            f"{where}.filter begins with '-', so tcpdump would take it for an option; write a pcap filter."
        )
    devices = [written["device"]] if isinstance(written["device"], str) else list(written["device"])
    return [
        {
            "vantage_id": vantage_id(host, _label(device, owner)),
            "device": device,
            "capture_on": None,
            "engine": engine,
            "engine_reason": None,
            "filter": context.expand_filter(words),
            "snaplen": written.get("snaplen", SNAPLEN),
            "buffer_mib": written.get("buffer_mib"),
            "ring": _ring(written.get("ring"), where),
            "split": _split(written.get("split"), where),
            "limits": _vantage_limits(written.get("limits", {}), where),
            **owner,
            **({"mirror": written["seen_by"]} if "seen_by" in written else {}),
        }
        for device in (_device(device, where) for device in devices)
    ]


def _label(device: str, owner: Mapping[str, t.Any]) -> str:
    """Return what tells a device from others of its name: each DPVS of a host has a dpdk0, each DPDK process a port 0."""
    if owner.get("dpdk") is not None:
        return f"{device}@{owner['dpdk'].get('prefix') or DEFAULT_PREFIX}"
    ipc_file = (owner.get("dpvs") or {}).get("ipc_file") or IPC_FILE
    return device if ipc_file == IPC_FILE else f"{device}@{ipc_file.strip('/').removesuffix('.ipc')}"


def _device(device: str, where: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}", device):
        raise units.Unusable(f"{where}.device is {device!r}, which cannot be a device; write its name as in `ip link`.")
    return device


def _ring(written: Mapping[str, t.Any] | None, where: str) -> dict[str, int] | None:
    if written is None:
        return None
    return {"files": written["files"], "file_bytes": units.size(written["size"], f"{where}.ring.size")}


def _split(written: Mapping[str, t.Any] | None, where: str) -> dict[str, t.Any] | None:
    if not written:
        return None
    return {
        "bytes": units.size(written["size"], f"{where}.split.size") if "size" in written else None,
        "seconds": round(units.duration(written["every"], f"{where}.split.every")) if "every" in written else None,
    }


def _vantage_limits(written: Mapping[str, t.Any], where: str) -> dict[str, t.Any]:
    wanted = written.get("bytes")
    return {
        "bytes": None if wanted is None else units.size(wanted, f"{where}.limits.bytes"),
        "packets": written.get("packets"),
    }


def settings(written: Mapping[str, t.Any], devices: list[str]) -> list[list[t.Any]]:
    """Return [[kind, scope, name], value] pairs: what belongs to a device is asked of every device captured on."""
    try:
        pairs = [
            [list(key), value]
            for key, value in desired_settings(dict.fromkeys(devices), written.get("ethtool", {})).items()
        ]
    except Refused as refused:
        raise units.Unusable(f"campaign_settings.ethtool: {refused}.") from None
    for name, value in written.get("sysctl_floor", {}).items():
        pairs.append([["sysctl_floor", "", name], value])
    for module, options in written.get("modprobe_options", {}).items():
        pairs += [[["modprobe_option", module, name], text_of(value)] for name, value in options.items()]
    return pairs


def changes(preflight: Mapping[str, t.Any]) -> list[Change]:
    """Return what one host would change. Pure."""
    rows = (preflight.get("preview") or {}).get("changes", [])
    return [Change(Key(*key), before, after) for key, before, after in rows]


def describe(session: Mapping[str, t.Any], preflight: Mapping[str, t.Any], name_changes: bool = True) -> str:
    """Return what one host would do, as a text for people; a diff beside it names the changes already."""
    lines = [
        f"{session['host']}: window opens {units.clock_time(session['t0_ns'])}, {session['duration_s']:g} s, "
        f"engines start {session['lead_s']:g} s before"
    ]
    for vantage in session["vantages"]:
        cut = f"{vantage['snaplen']} bytes of each packet" if vantage["snaplen"] else "whole packets"
        of = f" of {vantage['dpvs'].get('ipc_file', IPC_FILE)}" if vantage.get("dpvs") else ""
        lines.append(
            f"  captures {vantage['capture_on'] or vantage['device']}{of} with {vantage['engine']}, {cut}, "
            f"filter {vantage['filter'] or '(everything)'!s}"
        )
        if vantage["engine_reason"]:
            lines.append(f"    because {vantage['engine_reason']}")
    found = changes(preflight)
    lines += [f"  changes {change}" for change in found if name_changes]
    lines += [] if found else ["  changes no setting"]
    lines += [f"  {objects.describe(session)}"] if session.get("store") else []
    predicted = preflight.get("predicted") or {}
    lines.append(
        f"  writes at most {units.human(predicted.get('bytes'))} of {units.human(predicted.get('free_bytes'))} free"
        + (f" ({predicted['why']})" if predicted.get("why") else "")
    )
    lines += _ships(session, predicted)
    return "\n".join(lines)


def _ships(session: Mapping[str, t.Any], predicted: Mapping[str, t.Any]) -> list[str]:
    """Return what travels instead of the captures, where that was asked for. Pure."""
    if session.get("collect") != INDEX:
        return []
    stay = f"stays here for {session['keep_s'] / 86400:g} days" if session["keep_s"] else "goes once that is verified"
    stay = "goes to the store" if session.get("store") else stay
    return [f"  ships its packet keys, at most {units.human(predicted.get('index_bytes'))} and usually a fifth of that; the capture {stay}"]
