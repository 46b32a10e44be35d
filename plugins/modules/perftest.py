#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: perftest
short_description: Send a known amount of RDMA traffic between two hosts with perftest
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Runs C(ib_send_bw), C(ib_write_bw) and C(ib_read_bw) with each of O(sizes), one after the other, and returns what they
    report, so that a capture can be compared with it.
  - Both hosts must run it at the same time with the same options, one as V(server) and the other as V(client), which one task
    over both does. The client waits until the server listens.
  - While a test runs, its servers take whoever connects to their ports; perftest knows no passwords.
options:
  role:
    description: Which side this host is. The client sends and writes, and reads what the server sends.
    type: str
    required: true
    choices: [server, client]
  peer:
    description: An IP address of the server's RDMA port, needed by the client unless in check mode.
    type: str
  device:
    description: The RDMA device. V(auto) is the first with an active port that RoCE v2 reaches by IP.
    type: str
    default: auto
  verbs:
    description: What to do.
    type: list
    elements: str
    choices: [send, write, read]
    default: [send, write, read]
  sizes:
    description: Bytes of a message.
    type: list
    elements: int
    default: [65536]
  iterations:
    description: Messages in each test, at least 5.
    type: int
    default: 1000
  tos:
    description:
      - Type of service of the packets, the DSCP times 4. Queue pairs are then connected by the RDMA connection manager
        (C(-R)), without which perftest honours no C(--tos).
      - When left out, queue pairs are connected over TCP.
    type: int
  port:
    description:
      - Port of the first test's server; each further test takes the next one.
      - With O(tos), two spare servers of each test take as many more after them.
    type: int
    default: 18515
  connect_timeout:
    description: Seconds for which the client tries to reach the server.
    type: int
    default: 30
  test_timeout:
    description: Seconds that one test may take.
    type: int
    default: 60
extends_documentation_fragment: [wirefleet.capture.attributes]
attributes:
  check_mode:
    support: full
    details: Says what would be run, and fails where that cannot be.
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Send 1000 messages of each verb with DSCP 26
  wirefleet.capture.perftest:
    role: "{{ 'client' if inventory_hostname == 'storage1' else 'server' }}"
    peer: 192.0.2.12
    tos: 104
  register: sent
"""

RETURN = r"""
role:
  description: Which side this host was.
  returned: success
  type: str
  sample: client
device:
  description: The RDMA device that is used.
  returned: success
  type: str
  sample: rocep193s0f0
addresses:
  description: IP addresses under which RoCE v2 reaches that device.
  returned: success
  type: list
  elements: str
  sample: [192.0.2.11]
commands:
  description: The tests in their order, without those of spare servers.
  returned: success
  type: list
  elements: str
  sample: [ib_send_bw -d rocep193s0f0 -s 65536 -n 1000 -p 18515 -F -R --tos 104 192.0.2.12]
runs:
  description:
    - What each test reported here, empty in check mode. GIDs are 32 hexadecimal digits, times nanoseconds since 1970 by this
      host's clock.
  returned: success
  type: list
  elements: dict
  sample:
    - {verb: send, size: 65536, iterations: 1000, mtu: 4096, tos: 104, rate: 11021.40 MB/sec,
       local: {gid: 00000000000000000000ffffc000020b, qp: 301}, remote: {gid: 00000000000000000000ffffc000020c, qp: 298},
       began_ns: 1795428900000000000, ended_ns: 1795428901200000000, command: ib_send_bw -d rocep193s0f0 192.0.2.12}
"""

import re
import shlex
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import run
from ..module_utils.host import Host
from ..module_utils.perftest import FEWEST_ITERATIONS, PROGRAMS, SPARES, Wish, argv, missing
from ..module_utils.perftest import run as run_tests
from ..module_utils.session.rdma import CLASS, Port, read_ports
from ..module_utils.settings.model import Refused


def wrong(options: dict[str, t.Any], check_mode: bool) -> str | None:
    """Return what is wrong with the options, a sentence; None where nothing is. Pure."""
    tests = len(options["verbs"]) * len(options["sizes"])
    if options["role"] == "client" and not options["peer"] and not check_mode:
        return "say the server's address in peer, which the client connects to"
    if options["peer"] and not re.fullmatch(r"[A-Za-z0-9:][A-Za-z0-9.:%_-]*", options["peer"]):
        return f"peer is {options['peer']!r}, which is no address"
    if not tests or min(options["sizes"]) < 1:
        return "there must be a verb and a size, and a size is at least 1"
    if options["iterations"] < FEWEST_ITERATIONS:
        return f"iterations is {options['iterations']}, but perftest makes no fewer than {FEWEST_ITERATIONS}"
    if options["tos"] is not None and not 0 <= options["tos"] <= 255:
        return f"tos is {options['tos']}; it must be 0 to 255, which is the DSCP times 4"
    ports = tests * (1 if options["tos"] is None else 1 + SPARES)
    if not 1024 <= options["port"] <= 65536 - ports:
        return f"port is {options['port']}; it and the {ports - 1} after it must lie between 1024 and 65535"
    return None


def choose(ports: list[Port], device: str) -> Port:
    """Return the port to use; raises Refused where there is none."""
    if not ports:
        raise Refused("this host has no RDMA device (/sys/class/infiniband is empty or missing): is its driver loaded?")
    if device != "auto":
        ports = [port for port in ports if port.device == device] or _no(device, ports)
    usable = [port for port in ports if port.active and port.addresses]
    if not usable:
        states = ", ".join(f"{port.capture_name} is {port.state} with {len(port.addresses)} IP addresses" for port in ports)
        raise Refused(f"no RDMA port is active and has an IP address that RoCE v2 reaches: {states}")
    return usable[0]


def _no(device: str, ports: list[Port]) -> t.NoReturn:
    raise Refused(f"there is no RDMA device {device}: this host has {', '.join(port.device for port in ports)}")


def work(module: AnsibleModule) -> dict[str, t.Any]:
    host, options = Host(), module.params
    problem = wrong(options, module.check_mode)
    if problem:
        raise Refused(problem)
    absent = missing(host, options["verbs"])
    if absent:
        raise Refused(f"{', '.join(absent)} are not installed on this host: install perftest")
    port = choose([port for device in host.names(CLASS) for port in read_ports(host, device)], options["device"])
    peer = (options["peer"] or "PEER") if options["role"] == "client" else None
    limits = (options["port"], options["connect_timeout"], options["test_timeout"])
    wish = Wish(port.device, peer, options["verbs"], options["sizes"], options["iterations"], options["tos"], *limits)
    return {
        "changed": False,
        "role": options["role"],
        "device": port.device,
        "addresses": port.addresses,
        "commands": [shlex.join(argv(wish, *test)) for test in wish.tests()],
        "runs": [] if module.check_mode else run_tests(host, wish),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "role": {"type": "str", "required": True, "choices": ["server", "client"]},
            "peer": {"type": "str"},
            "device": {"type": "str", "default": "auto"},
            "verbs": {"type": "list", "elements": "str", "choices": list(PROGRAMS), "default": list(PROGRAMS)},
            "sizes": {"type": "list", "elements": "int", "default": [65536]},
            "iterations": {"type": "int", "default": 1000},
            "tos": {"type": "int"},
            "port": {"type": "int", "default": 18515},
            "connect_timeout": {"type": "int", "default": 30},
            "test_timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    run(module, lambda: work(module))


if __name__ == "__main__":
    main()
