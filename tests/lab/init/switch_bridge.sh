#!/usr/bin/env bash
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes a Linux bridge br0 of the NICs that come after eth1, under the names of a switch's ports.
# usage: switch_bridge.sh DEVICE ADDRESS PORT ...
set -euo pipefail
shift 2
ip link add br0 type bridge forward_delay 0 mcast_snooping 0
number=2
for port; do
  ip link set "eth$number" down
  ip link set "eth$number" name "$port"
  ip link set "$port" master br0 up
  number=$((number + 1))
done
ip link set br0 addrgenmode none up
