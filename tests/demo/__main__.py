# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo`: the embedded fleet, real traffic, the shipped playbooks, and evidence compared with the truth."""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import time
import typing as t

from .story import BALANCERS, MIRROR, PACKETS, PSN_MASK, PSN_VALUE, Check, Flow, copies_of, echoes_in, flag_of, packets_at, packets_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
SENDER, RECEIVER = "rdma1", "rdma2"
RDMA_DEVICE = "ens1f0np0"
LOAD_BALANCER = "lb1"
MIRRORS = ["-e", f"@{ROOT / 'tests/demo/mirror.yml'}"]


class Failed(Exception):
    """The demo cannot go on; the message is for the person at the terminal."""


def say(text: str) -> None:
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


class Lab:
    """The demo's own instance of the lab; more than one may be up, each with its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *words: str, **options: t.Any) -> subprocess.CompletedProcess[str]:
        """Run a verb of the lab on this instance."""
        verb, *rest = words
        argv = [sys.executable, "-m", "tests.lab", verb, "--lab", self.name, *rest]
        return subprocess.run(argv, cwd=ROOT, text=True, check=False, **options)

    def on_host(self, host: str, *argv: str) -> str:
        done = self("ssh", host, *argv, capture_output=True)
        if done.returncode:
            raise Failed(f"{host}: {' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout

    def playbook(self, name: str, inventory: str, *words: str) -> None:
        """Run a shipped playbook inside the lab exactly as a user would type it, and show the command."""
        argv = ["ansible-playbook", "-i", inventory, f"playbooks/{name}", *words]
        print("$ " + " ".join(argv).replace(f"{ROOT}/", ""), flush=True)
        program = pathlib.Path(sys.executable).parent / "ansible-playbook"
        if self("exec", "--", str(program), *argv[1:]).returncode:
            raise Failed(f"playbooks/{name} failed; with KEEP=1 the fleet stays up to be looked at")

    def sniffer(self) -> str:
        """Return what both RoCE peers say of the private flag now."""
        shown = {host: self.on_host(host, "ethtool", "--show-priv-flags", RDMA_DEVICE) for host in (SENDER, RECEIVER)}
        flags = {host: flag_of(text, "sniffer") for host, text in shown.items()}
        print("  sniffer: " + ", ".join(f"{host} {value}" for host, value in flags.items()), flush=True)
        return "/".join(sorted({str(value) for value in flags.values()}))

    def copies(self) -> list[str | None]:
        """Return whether each DPVS instance copies the packets of its first port now."""
        words = [["env", f"DPVS_IPC_FILE={balancer.ipc_file}", "dpip", "link", "show", "dpdk0"] for balancer in BALANCERS]
        return [copies_of(self.on_host(LOAD_BALANCER, *argv)) for argv in words]

    def mirrors(self) -> list[str]:
        """Return the names of the switch's mirrors now."""
        return self.on_host(MIRROR.switch, "ovs-vsctl", "--bare", "--columns=name", "list", "Mirror").split()


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the fleet up and say how to log in")
    parser.add_argument("--lab", default="demo", help="name of the lab, so that several people can have one (default: demo)")
    parser.add_argument("--evidence", help="folder for the evidence (default: ./evidence, or ./evidence/LAB in a lab of another name)")
    options = parser.parse_args()
    lab, evidence = Lab(options.lab), options.evidence or default_evidence(options.lab)
    started = time.monotonic()
    say("The fleet: hosts of their own network, systemd and sshd; two with a kernel and a NIC module of their own")
    if code := lab("up", "demo").returncode:
        return code
    try:
        checks = run(lab, evidence)
    except Failed as failure:
        print(f"\nThe demo stopped: {failure}", file=sys.stderr)
        checks = [Check("the demo ran to its end", True, False)]
    finally:
        if not options.keep:
            say("Taking the fleet down")
            lab("down")
    if options.keep:
        hints(lab.name)
    print(f"\nThe demo took {time.monotonic() - started:.0f} s.")
    return 0 if all(check.good for check in checks) else 1


def default_evidence(lab: str) -> str:
    """Return a folder of its own for each lab: the newest run in it is taken for this demo's."""
    return str(ROOT / "evidence" / ("" if lab == "demo" else lab))


def run(lab: Lab, evidence: str) -> list[Check]:
    inventory = lab("inventory", capture_output=True).stdout.strip()
    lab("status")
    flags, copies, mirrors = [lab.sniffer()], lab.copies(), [lab.mirrors()]
    say("Make RDMA visible")
    lab.playbook("enable_rdma_sniffer.yml", inventory)
    flags.append(lab.sniffer())
    say("A switch mirrors one of its ports to the monitor, by ERSPAN")
    lab.on_host(MIRROR.switch, "ping", "-q", "-c", "1", MIRROR.monitor_address)
    lab.playbook("switch_mirror.yml", inventory, *MIRRORS)
    mirrors.append(lab.mirrors())
    say("Traffic, and a switch that drops a known number of packets between the RoCE peers")
    flow = Flow(PACKETS, first_psn=(1 << 24) - PACKETS // 2)
    traffic = start_traffic(lab, flow, evidence)
    say("The campaign")
    try:
        lab("clocks")
        lab.playbook("capture_campaign.yml", inventory, "-e", "campaign=demo", "-e", f"campaign_evidence_root={evidence}")
    except BaseException:
        traffic.kill()
        raise
    finish(traffic)
    say("Turn the flag off again: the host would do it by itself after two hours")
    lab.playbook("disable_rdma_sniffer.yml", inventory)
    flags.append(lab.sniffer())
    say("The mirror too")
    lab.playbook("switch_mirror.yml", inventory, *MIRRORS, "-e", "switch_mirror_state=absent")
    mirrors.append(lab.mirrors())
    say("Does the evidence agree with what is known to be true?")
    folder = newest(evidence)
    report = json.loads((folder / "report/report.json").read_text())
    checks = [*compare(lab, folder, flow, flags), *compare_dpvs(lab, folder, copies), *compare_mirror(folder, mirrors)]
    checks += [Check("packets that the network lost, as the report says: hop, at least, at most", network_loss(flow), losses(report))]
    print("\n".join(map(str, checks)))
    say("What the evidence answers")
    print("\n".join([*report["verdict"]["sentences"], f"\nThe whole report: {folder / 'report/report.html'}"]))
    return checks


def network_loss(flow: Flow) -> list[list[t.Any]]:
    return [[f"{SENDER}__{RDMA_DEVICE}", f"{RECEIVER}__{RDMA_DEVICE}", flow.dropped(), flow.dropped()]]


def losses(report: dict[str, t.Any]) -> list[list[t.Any]]:
    """Return the hops on which *report* says that the network lost something, with the bounds."""
    lost = [(hop, hop["lost_in_network"]) for hop in report["path"]["hops"]]
    return [[hop["from"], hop["to"], bound["min"], bound["max"]] for hop, bound in lost if bound["max"]]


def start_traffic(lab: Lab, flow: Flow, evidence: str) -> subprocess.Popen[str]:
    """Install the drop rule and start both senders, which begin once the window is open.

    Their ssh makes a stderr that is no terminal non-blocking, so they have one of their own: Ansible refuses to run with such a one.
    """
    if lab("drop", "on", SENDER, "--psn-mask", hex(PSN_MASK), "--psn-value", hex(PSN_VALUE)).returncode:
        raise Failed("the drop rule could not be installed")
    words = ["--lab", lab.name, "--evidence", evidence, "--packets", str(flow.packets), "--first-psn", str(flow.first_psn)]
    argv = [sys.executable, "-m", "tests.demo.traffic", *words]
    return subprocess.Popen(argv, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(traffic: subprocess.Popen[str]) -> None:
    out, complaints = traffic.communicate(timeout=60)
    print(f"  sent: {out.strip()}")
    print(complaints, end="", file=sys.stderr)
    if traffic.returncode:
        raise Failed("the traffic generator failed")


def newest(evidence: str) -> pathlib.Path:
    folders = sorted(path for path in pathlib.Path(evidence).glob("*-demo-*") if path.suffix != ".partial")
    if not folders:
        raise Failed(f"no evidence in {evidence}")
    return folders[-1]


def compare(lab: Lab, folder: pathlib.Path, flow: Flow, flags: list[str]) -> list[Check]:
    manifest = json.loads((folder / "campaign.json").read_text())
    sums = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=False)
    return [
        Check("RoCE packets captured at the sender", flow.packets, packets_of(manifest, SENDER)),
        Check("RoCE packets captured at the receiver", flow.packets - flow.dropped(), packets_of(manifest, RECEIVER)),
        Check("the private flag before, during and after", ["off", "on", "off"], flags),
        Check("packets that the switch dropped", flow.dropped(), int(lab("drop", "count", SENDER, capture_output=True).stdout)),
        Check("sha256sum -c SHA256SUMS", 0, sums.returncode),
    ]


def compare_dpvs(lab: Lab, folder: pathlib.Path, before: list[str | None]) -> list[Check]:
    manifest = json.loads((folder / "campaign.json").read_text())
    return [
        *(
            Check(f"echoes and replies through DPVS ({row.ipc_file})", 2 * row.echoes, packets_at(manifest, row.vantage_id))
            for row in BALANCERS
        ),
        Check("whether DPVS copies packets, before and after", [["off"] * len(BALANCERS)] * 2, [before, lab.copies()]),
    ]


def compare_mirror(folder: pathlib.Path, mirrors: list[list[str]]) -> list[Check]:
    return [
        Check("echoes and replies through the switch, as the monitor got them", 2 * MIRROR.echoes, unwrapped(folder)),
        Check("the switch's mirrors before, during and after", [[], ["demo"], []], mirrors),
    ]


def unwrapped(folder: pathlib.Path) -> int | None:
    """Return the echoes in the monitor's capture, once the switch's headers are off; None where it cannot be read."""
    for raw in sorted((folder / "vantages" / MIRROR.vantage_id / "raw").iterdir()):
        done = subprocess.run([ROOT / "scripts/pcap-decap", "--quiet", raw, "-"], stdout=subprocess.PIPE, check=False)
        return None if done.returncode else echoes_in(done.stdout)
    return None


def hints(lab: str) -> None:
    command = "python3 -m tests.lab"
    print(f"""
The fleet is still up. Things to try:
  {command} status --lab {lab}
  {command} ssh --lab {lab} {SENDER}
  {command} exec --lab {lab} -- .venv/bin/ansible-playbook -i $({command} inventory --lab {lab}) playbooks/status.yml
  {command} exec --lab {lab} -- .venv/bin/ansible-playbook -i $({command} inventory --lab {lab}) playbooks/capture_campaign.yml \\
      -e campaign=demo --check --diff
  {command} down --lab {lab}""")


if __name__ == "__main__":
    sys.exit(main())
