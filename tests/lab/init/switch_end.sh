#!/usr/bin/env bash
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Lets a host send through a switch that works on raw packets: the host completes the checksums itself.
# usage: switch_end.sh DEVICE ...
set -euo pipefail
ethtool -K "$1" tx off > /dev/null
