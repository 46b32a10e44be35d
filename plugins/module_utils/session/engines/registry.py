# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every engine by its name."""

from __future__ import annotations

import typing as t

from ...settings.model import Refused
from .dpdk_dumpcap import DpdkDumpcap
from .dpdk_pdump import DpdkPdump
from .dpvs_kni import DpvsKni
from .dumpcap import Dumpcap
from .ibdump import Ibdump
from .rpcap import Rpcap
from .tcpdump import Tcpdump, TcpdumpRdma
from .tcpdump_container import TcpdumpContainer

if t.TYPE_CHECKING:
    from .base import Engine

ENGINES: t.Final = (Tcpdump, TcpdumpRdma, Dumpcap, Ibdump, TcpdumpContainer, DpvsKni, DpdkPdump, DpdkDumpcap, Rpcap)


def engine_named(name: str) -> Engine:
    """Return the engine called *name*; raise Refused with the names there are."""
    for engine in ENGINES:
        if engine.name == name:
            return engine()
    raise Refused(f"there is no engine {name!r}: use {', '.join(engine.name for engine in ENGINES)} or auto")
