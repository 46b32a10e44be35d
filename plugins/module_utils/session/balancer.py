# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections that a DPVS has at both ends of a window: by them the analysis knows which of its two sides belong together."""

from __future__ import annotations

import time
import typing as t

if t.TYPE_CHECKING:
    from ..host import Host
    from .spec import Vantage

#: Before the window engines wait for it, so a balancer with millions of connections is not asked for all of them then.
PATIENCE_S: t.Mapping[str, float] = {"before": 1.0, "after": 10.0}
MOST = 32 << 20


def list_connections(host: Host, vantage: Vantage, when: str) -> dict[str, t.Any] | None:
    """Return {t_ns, text, reason} of DPVS's `ipvsadm -lnc`, None where the vantage is no DPVS's or has no ipvsadm.

    *text* is None with the *reason*, where DPVS did not answer; of a very long list it is the beginning.
    """
    ipc_file = vantage.dpvs.get("ipc_file")
    if not ipc_file or host.which("ipvsadm") is None:
        return None
    asked_ns = time.time_ns()
    done = host.run(["env", f"DPVS_IPC_FILE={ipc_file}", "ipvsadm", "-lnc"], timeout=PATIENCE_S[when])
    wrong = None if done.rc == 0 else f"ipvsadm -lnc: {done.message}"
    return {"t_ns": asked_ns, "text": None if wrong else done.out[:MOST], "reason": wrong}
