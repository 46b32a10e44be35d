# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of host systems says what hosts and tests said, and `not run` where nobody looked."""

from __future__ import annotations

from ansible_collections.wirefleet.capture.tests.matrix import page

# The host sid of the fleet systems, on the machine's kernel.
SAID = """forky/sid
6.18.44
Python 3.14.10
ethtool version 7.2
tcpdump version 4.99.6
libpcap version 1.11.0 (64-bit time_t, with TPACKET_V3)
OpenSSL 3.6.0 1 Oct 2025
systemd 262 (262.1-1)
+PAM +AUDIT +SELINUX
iproute2 7.3.0-1
kmod 34.2-2
procps 2:4.0.7-1
"""


def test_versions_are_read_from_what_the_host_said() -> None:
    assert page.versions(SAID) == {
        "Debian": "forky/sid", "Linux": "6.18.44", "Python": "3.14.10", "ethtool": "7.2", "tcpdump": "4.99.6", "libpcap": "1.11.0",
        "systemd": "262", "procps": "4.0.7", "iproute2": "7.3.0", "kmod": "34.2",
    }  # fmt: skip
    assert set(page.versions("").values()) == {"?"}


def test_a_claim_is_what_the_test_says_and_holds_only_where_it_was_seen() -> None:
    known = {suite: page.versions(SAID) for suite in page.SUITES}
    seen = {("it works", page.SUITES[0]): "yes", ("it works", page.SUITES[1]): "FAILED"}
    assert page.table("systems", known, seen).rows[-1] == ("it works", "yes", "FAILED", "not run", "not run")
    assert page.claim(test_versions_are_read_from_what_the_host_said) == "test_versions_are_read_from_what_the_host_said"
