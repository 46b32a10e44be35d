#!/usr/bin/env bash
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Starts Open vSwitch with its userspace datapath: br0 with the switch's ports, and a bridge "uplink" that takes over the data
# device and its address, by which tunnels leave. Debian's units would want a kernel module, and systemd.
# usage: switch_ovs.sh DEVICE ADDRESS PORT ...
set -euo pipefail
device=$1 address=$2
shift 2
mkdir -p /run/openvswitch /var/log/openvswitch
[ -e /etc/openvswitch/conf.db ] || ovsdb-tool create /etc/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server /etc/openvswitch/conf.db --remote=punix:/run/openvswitch/db.sock --pidfile --log-file --detach --no-chdir -vconsole:off
ovs-vsctl --timeout=120 --no-wait init
ovs-vswitchd --pidfile --log-file --detach --no-chdir --disable-system -vconsole:off
words=()
for port; do
  ip link set "$port" up
  words+=(-- add-port br0 "$port")
done
ovs-vsctl --timeout=120 \
  -- add-br uplink -- set Bridge uplink datapath_type=netdev -- add-port uplink "$device" \
  -- add-br br0 -- set Bridge br0 datapath_type=netdev "${words[@]}" \
  -- add-port uplink to-br0 -- set Interface to-br0 type=patch options:peer=to-uplink \
  -- add-port br0 to-uplink -- set Interface to-uplink type=patch options:peer=to-br0
ip address del "$address" dev "$device"
ip address add "$address" dev uplink
ip link set uplink up
for _ in $(seq 2400); do
  if ovs-appctl ovs/route/show | grep -q "dev uplink"; then exit 0; fi
  sleep 0.05
done
echo "Open vSwitch knows no way to the data network" >&2
exit 1
