# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a port of a DPDK process is captured, found out by its telemetry (since 21.11): whether it can be, and on which core."""

from __future__ import annotations

import json
import typing as t

from ..settings.dpvs_instance import instances, parse_cpus, parse_lcores
from ..settings.dpvs_running import ATTACHED_ZONE, DUMPCAP_ZONE, PDUMP_ZONE, RUNTIME, answer, memzones
from ..settings.model import Refused, Value
from .choose import Choice

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..host import Host

DEFAULT_PREFIX = "rte"
PDUMP, DUMPCAP = "dpdk_pdump", "dpdk_dumpcap"
#: What each engine is called.
TOOLS: t.Mapping[str, str] = {PDUMP: "dpdk-pdump", DUMPCAP: "dpdk-dumpcap"}
REASONS: t.Mapping[str, str] = {
    PDUMP: (
        "dpdk-pdump takes copies of what {port} receives and sends out of {owner}, on core {lcore}; both go into one file, which does not "
        "tell the directions apart, and what its ring loses is counted nowhere"
    ),
    DUMPCAP: (
        "dpdk-dumpcap takes copies of what {port} receives and sends out of {owner}, on {core}; both go into one file, which does not tell "
        "the directions apart, and packets are stamped when they are written, up to milliseconds late"
    ),
}
WARNING = "{owner} copies every packet of {port} during the capture, which costs it throughput: keep the window short"
STALE = "a dpdk-pdump is attached to this {owner}, or one was killed: wait for the first to end, after the second restart {owner}; two would crash"
BUSY = "a dpdk-dumpcap (process {pid}) is attached to this {owner}, which takes one at a time: wait for its end, or send it SIGINT"
DEAD = "a dpdk-dumpcap failed or was killed on this {owner}: if the capture cannot attach, only a restart of {owner} helps"
_PROCESS = "DPDK process"


class Found(t.NamedTuple):
    """A choice, and what of the process the engine has to know."""

    choice: Choice
    facts: dict[str, Value]


class Primary(t.NamedTuple):
    """A DPDK process as its telemetry describes it: *ports* are names by number, *lcores* None where they are not read here."""

    pid: int
    ports: dict[int, str]
    lcores: frozenset[int] | None
    zones: list[str]


def choose_dpdk(host: Host, vantage: Mapping[str, t.Any]) -> Found:
    """Return how a port of the process with the prefix in the vantage's `dpdk` is captured. Raises Refused, saying why it cannot be."""
    wish, engine = vantage["dpdk"], vantage["engine"]
    if engine not in TOOLS:
        raise Refused(f"{engine} cannot capture a DPDK process: use {' or '.join(TOOLS)}")
    prefix = str(wish.get("prefix") or DEFAULT_PREFIX)
    primary = read_primary(host, prefix)
    number = port_number(primary.ports, vantage["device"], prefix)
    if PDUMP_ZONE not in primary.zones:
        raise Refused(f"the DPDK process {primary.pid} has not initialised the pdump library, so nothing can attach to it")
    refuse_occupied(host, primary.zones, _PROCESS)
    core = spare_core(host, primary.lcores, wish.get("lcore"), engine)
    facts: dict[str, Value] = {"prefix": prefix, "pid": primary.pid, "port_id": number, "lcore": core}
    return Found(choice_of(engine, vantage["device"], core, _PROCESS, primary.zones), {**wish, **facts})


def choice_of(engine: str, port: str, core: int | None, owner: str, zones: Collection[str]) -> Choice:
    name = "a core of its own choice" if core is None else f"core {core}"
    reason = REASONS[engine].format(port=port, owner=owner, lcore=core, core=name)
    warning = WARNING.format(port=port, owner=owner)
    if engine == DUMPCAP and dumpcaps(zones):
        warning += ". " + DEAD.format(owner=owner)[0].upper() + DEAD.format(owner=owner)[1:]
    return Choice(port, engine, port, reason, {}, warning)


def read_primary(host: Host, prefix: str) -> Primary:
    """Return the process with this file prefix. Raises Refused where none answers, or its DPDK is too old to say enough."""
    path = f"{RUNTIME}/{prefix}/dpdk_telemetry.v2"
    try:
        hello, listed, params = host.converse(path, ["/ethdev/list", "/eal/params"])
        numbers = [int(number) for number in answer(listed) or []]
        told = host.converse(path, [f"/ethdev/info,{number}" for number in numbers])[1:]
        zones = memzones(host, prefix)
        return parse_primary(hello, numbers, told, params, zones)
    except OSError as error:
        raise Refused(f"no DPDK process with --file-prefix={prefix} answers at {path} ({error.strerror or error}): it must run, with telemetry") from None
    except (KeyError, TypeError, ValueError):
        raise Refused(f"the telemetry of the DPDK process with --file-prefix={prefix} says too little: it needs DPDK 21.11 or later") from None


def parse_primary(hello: str, numbers: list[int], told: list[str], params: str, zones: list[str] | None) -> Primary:
    """Read the answers of telemetry. Raises KeyError, TypeError or ValueError where they are not what DPDK 21.11 answers. Pure."""
    if zones is None:
        raise ValueError("no memory zones")
    names = [str(answer(text)["name"]) for text in told]
    words = [str(word) for word in answer(params) or []]
    return Primary(int(json.loads(hello)["pid"]), dict(zip(numbers, names)), parse_lcores(words), zones)


def port_number(ports: Mapping[int, str], device: str, prefix: str) -> int:
    """Return the number of the port *device*, which is a number or a name. Raises Refused with the ports there are. Pure."""
    found = next((number for number, name in ports.items() if device in (str(number), name)), None)
    if found is None:
        known = ", ".join(f"{number} ({name})" for number, name in ports.items()) or "none"
        raise Refused(f"the DPDK process with --file-prefix={prefix} has no port {device!r}: it has {known}")
    return found


def dumpcaps(zones: Collection[str]) -> list[int]:
    """Return the processes of dpdk-dumpcap that left a memory zone, living ones and dead. Pure."""
    return [int(zone[len(DUMPCAP_ZONE) :]) for zone in zones if zone.startswith(DUMPCAP_ZONE) and zone[len(DUMPCAP_ZONE) :].isdecimal()]


def occupied(host: Host, zones: Collection[str], owner: str) -> str | None:
    """Return why no capture can attach, None where one can."""
    if ATTACHED_ZONE in zones:
        return STALE.format(owner=owner)
    living = next((pid for pid in dumpcaps(zones) if (host.read(f"/proc/{pid}/comm") or "").startswith("dpdk-dump")), None)
    return None if living is None else BUSY.format(owner=owner, pid=living)


def refuse_occupied(host: Host, zones: Collection[str], owner: str) -> None:
    wrong = occupied(host, zones, owner)
    if wrong:
        raise Refused(wrong)


def spare_core(host: Host, lcores: frozenset[int] | None, wanted: int | None, engine: str = PDUMP, owner: str = _PROCESS) -> int | None:
    """Return the core that *engine* may use: *wanted*, or the last that neither the process, which has *lcores*, nor a DPVS has.

    dpdk-dumpcap sleeps, so where none is spare it does without (None). Raises Refused.
    """
    online = parse_cpus(host.read("/sys/devices/system/cpu/online") or "")
    if wanted is None and lcores is None:
        if engine == DUMPCAP:
            return None
        raise Refused(f"the cores of {owner} could not be read from its command line: name one that it does not use (lcore)")
    taken = (lcores or frozenset()).union(*(other.lcores or () for other in instances(host)))
    free = sorted(online - taken)
    if wanted is not None and wanted not in free:
        raise Refused(f"core {wanted} is {f'used by {owner}' if wanted in online else 'not online'}: {TOOLS[engine]} needs one of its own")
    if wanted is None and not free and engine == PDUMP:
        raise Refused(f"{owner} uses every core of this host, and dpdk-pdump needs one of its own: use dpdk_dumpcap")
    return wanted if wanted is not None else free[-1] if free else None
