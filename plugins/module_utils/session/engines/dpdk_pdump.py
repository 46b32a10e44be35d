# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dpdk-pdump, attached to a running DPDK process: of DPVS's own DPDK to a DPVS that was started with pdump on."""

from __future__ import annotations

import ipaddress
import typing as t

from ...settings.dpvs_running import ATTACHED_ZONE
from .base import Engine, Stats, newest

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..spec import Vantage

PROTOCOLS = ("tcp", "udp", "icmp", "icmp6")
HOSTS = ("host", "src-host", "dst-host")
PORTS = ("proto-port", "src-port", "dst-port")
_MEANINGS = (
    ("Mempool creation failed: File exists", "an earlier dpdk-pdump was killed, and until DPVS is restarted no other can attach"),
    ("already exists", "callbacks of a dead capture are left: try again, each try removes some"),
    ("Connection timed out", "DPVS does not answer: it runs without pdump (module dpvs_config), or is hung"),
    ("Cannot init EAL", "there is no DPDK process with this file prefix"),
    ("DPDK version mismatch", "this dpdk-pdump is of another DPDK than the process: use the one that was built with it"),
    ("invalid argument passed", "this dpdk-pdump does not know DPVS's filters: use the one that was built with DPVS"),
    ("vdev creation failed", "the process could not open the file: see its log; its mount namespace must have the folder too"),
)


class DpdkPdump(Engine):
    """One at a time for each DPVS: a second one crashes, and SIGKILL leaves what only a restart of DPVS removes."""

    name = "dpdk_pdump"
    programs = ("dpdk-pdump", "stdbuf")
    on_dpvs = True
    on_process = True
    filters = False
    killable = False
    longest_path = 55

    def argv(self, vantage: Vantage, path: str) -> list[str]:
        """One path for both directions is one file; the core is polled without a pause, so it must be nobody else's.

        stdbuf: what it says would stay in a buffer until it ends.
        """
        process = vantage.process
        pairs = [f"port={process['port_id']}", "queue=*", f"rx-dev={path}", f"tx-dev={path}"]
        pairs += [f"{key}={value}" for key, value in (process.get("pdump_filter") or {}).items()]
        command = ["stdbuf", "-oL", "dpdk-pdump"]
        return [*command, f"--file-prefix={process['prefix']}", "-l", str(process["lcore"]), "--", "--pdump", ",".join(pairs)]

    def marker(self, pid: int) -> str:
        return ATTACHED_ZONE

    def ready(self, text: str) -> bool:
        """Before that telemetry does not answer, and who gives up asking occupies one of its ten connections."""
        return "capture for (" in text

    def statistics(self, text: str) -> Stats:
        found = newest(r"packets transmitted to vdev:\s+(\d+)", text)
        if not found:
            return Stats()
        return Stats(int(found.group(1)), None, None, None, False, "dpdk-pdump does not count what its ring lost")

    def version_argv(self, vantage: Vantage) -> list[str]:
        return ["dpip", "-V"] if vantage.dpvs else ["dpdk-dumpcap", "--version"]

    def explain(self, text: str) -> str | None:
        return next((meaning for words, meaning in _MEANINGS if words in text), None)

    def problems(self, vantage: Vantage) -> list[str]:
        found = [*super().problems(vantage), *filter_problems(vantage.vantage_id, vantage.dpvs.get("pdump_filter") or {})]
        if vantage.ring or vantage.split:
            found.append(f"{vantage.vantage_id}: dpdk-pdump writes one file: leave ring and split out")
        return found


def filter_problems(label: str, filters: Mapping[str, t.Any]) -> Iterator[str]:
    """Yield a sentence for each filter that DPVS would refuse, or worse, take for something else. Pure."""
    for key, value in filters.items():
        if key not in (*HOSTS, "proto", *PORTS):
            yield f"{label}: {key} is no filter of dpdk-pdump: use {', '.join((*HOSTS, 'proto', *PORTS))}"
        elif key == "proto" and value not in PROTOCOLS:
            yield f"{label}: proto is one of {', '.join(PROTOCOLS)}, not {value!r}"
        elif key in PORTS and (isinstance(value, bool) or not str(value).isdecimal() or not 1 <= int(value) <= 65535):
            yield f"{label}: {key} is a number from 1 to 65535, not {value!r}"
    if any(key in filters for key in PORTS) and filters.get("proto", "tcp") not in ("tcp", "udp"):
        yield f"{label}: only tcp and udp have ports, so with proto {filters['proto']} nothing would match"
    yield from _host_problems(label, {key: str(filters[key]) for key in HOSTS if key in filters})


def _host_problems(label: str, hosts: Mapping[str, str]) -> Iterator[str]:
    versions = set()
    for key, text in hosts.items():
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            yield f"{label}: {key} is one address without prefix or name, not {text!r}"
            continue
        versions.add(address.version)
        if "%" in text or (address.version == 6 and not any(address.packed[:4])):
            yield f"{label}: {key} {text} cannot be filtered: DPVS lets every IPv4 packet through for it"
    if len(versions) > 1:
        yield f"{label}: the hosts of one filter are all IPv4 or all IPv6"
