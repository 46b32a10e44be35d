# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mirror path of the fleets `span` and `span-guests`: a switch that mirrors by ERSPAN, and a monitor that takes it off."""

from __future__ import annotations

import base64
import typing as t

from tests.integration.fleet import Fleet, frames

SWITCH, MONITOR = "10.78.0.4", "10.78.0.5"
#: The name of the device at both ends, and what the module is told of it beside the addresses.
TYPES: dict[str, dict[str, t.Any]] = {
    "type1": {"type": "I"},
    "type2": {"key": 2, "index": 5, "dev": "ens1f0np0"},
    "type3": {"type": "III", "key": 3, "direction": "egress", "hwid": 7},
}
MIRROR = " ".join(f"action mirred egress mirror dev {name}" for name in TYPES)
RULES = "; ".join(f"tc filter add dev swp1 {side} matchall {MIRROR}" for side in ("ingress", "egress"))


def mirror(fleet: Fleet) -> None:
    """Have the switch mirror what passes its first port to the monitor, in all TYPES at once."""
    made = tunnels(fleet, "sw1", local=SWITCH, remote=MONITOR)
    if not made["changed"]:
        raise RuntimeError(str(made))
    fleet.ssh("sw1", f"tc qdisc add dev swp1 clsact; {RULES}")


def tunnels(
    fleet: Fleet,
    host: str = "mon1",
    check: bool = False,
    wanted: dict[str, dict[str, t.Any]] | None = None,
    local: str = MONITOR,
    remote: str = SWITCH,
    **options: t.Any,
) -> dict[str, t.Any]:
    """Call erspan_tunnel for *wanted* (all TYPES) between *local* and *remote*."""
    name, arguments = asked(wanted, local, remote, **options)
    return fleet.module(host, name, arguments, check=check)


def asked(
    wanted: dict[str, dict[str, t.Any]] | None = None, local: str = MONITOR, remote: str = SWITCH, **options: t.Any
) -> tuple[str, dict[str, t.Any]]:
    """Return the module, and its arguments, that tunnels() calls."""
    wanted = TYPES if wanted is None else wanted
    rows = [{"name": name, "local": local, "remote": remote, **more} for name, more in wanted.items()]
    return "erspan_tunnel", {"tunnels": rows, **options}


SENDER = """
import socket, sys, time
device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
device.bind((sys.argv[1], 0))
for line in sys.stdin:
    device.send(bytes.fromhex(line))
    time.sleep(0.001)
"""
#: A shell function: wait until a command succeeds, at most some minutes; else end with what the files after it say.
WITHIN = (
    'within() { left=1200; until sh -c "$1" > /dev/null 2>&1; do [ $((left -= 1)) -gt 0 ] || '
    '{ echo "waited in vain for $1"; shift; tail -n 20 "$@"; ps ax; dmesg | tail -n 20; exit 1; } >&2; sleep 0.1; done; }; '
)


def send(fleet: Fleet, host: str, device: str, frames: t.Iterable[bytes], inside: str = "") -> None:
    """Send *frames* from a device of *host*, one after the other; *inside* is what the sender runs in, such as a network namespace."""
    script = base64.b64encode(SENDER.encode()).decode()
    words = f"echo {script} | base64 -d > /var/tmp/s.py; {inside} python3 /var/tmp/s.py {device}; rm /var/tmp/s.py"
    fleet.ssh(host, words, text="\n".join(frame.hex() for frame in frames))


def sniff(fleet: Fleet, host: str, filter_: str, *devices: str, options: str = "") -> None:
    """Start tcpdump on each of *devices* and return once all listen.

    In immediate mode each packet takes a place as long as the longest one, and the longest frame here has 1,514 bytes.
    """
    start = "".join(
        f"setsid tcpdump -i {device} -s 2048 -U --immediate-mode -B 8192 {options} -w /tmp/{device}.pcap '{filter_}' "
        f"< /dev/null > /dev/null 2> /tmp/{device}.log & "
        for device in devices
    )
    listen = "; ".join(f"within 'grep -q listening /tmp/{device}.log' /tmp/{device}.log" for device in devices)
    fleet.ssh(host, f"{WITHIN}{start}{listen}")


def harvest(fleet: Fleet, host: str, *devices: str, expected: int = 0, on: t.Collection[str] = ()) -> list[list[bytes]]:
    """End tcpdump, once it has written the *expected* frames of devices *on* or some minutes are over, and return those of each device.

    None may have been dropped.
    """
    show = "; ".join(f"base64 -w0 /tmp/{device}.{what}; echo" for device in devices for what in ("log", "pcap"))
    gone = " ".join(f"/tmp/{device}.*" for device in devices)
    said_by = " ".join(f"/tmp/{device}.log" for device in devices)
    count = "[ $(tcpdump -nr /tmp/{}.pcap 2> /dev/null | wc -l) -ge {} ]"
    wait = "".join(f"(within '{count.format(device, expected)}' {said_by}) 2> /dev/null; " for device in on)
    said = fleet.ssh(host, f"{WITHIN}{wait}pkill -INT -x tcpdump; within '! pgrep -x tcpdump' {said_by}; {show}; rm -f {gone}")
    parts = [base64.b64decode(line) for line in said.splitlines()]
    logs = [part.decode() for part in parts[::2]]
    if not all("\n0 packets dropped by kernel" in log for log in logs):
        raise AssertionError(logs)
    return [frames(part) for part in parts[1::2]]
