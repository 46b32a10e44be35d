#!/usr/bin/env bash
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# First process of a User-Mode Linux host. What it is to be comes on the kernel's command line as lab.KEY=VALUE.
# shellcheck disable=SC2154 # lab_*: declared in a loop
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
for word in $(</proc/cmdline); do case $word in lab.*=*) word=${word#lab.}; declare "lab_${word%%=*}=${word#*=}" ;; esac; done
mountpoint -q /sys || mount -t sysfs sys /sys
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/sshd
echo "ssh-ed25519 $lab_key lab" > /etc/ssh/lab_authorized_keys
hostname "$lab_name"
echo "$lab_name" > /etc/hostname
echo "127.0.0.1 localhost $lab_name" > /etc/hosts
for nic in /sys/class/net/vec*; do [ ! -e "$nic" ] || ip link set "${nic##*/}" name "eth${nic##*/vec}"; done
ip link set lo up
ip address add "$lab_mgmt/16" dev eth0
ip link set eth0 up
# the host's NIC: its far end is bridged to the wire, as if the bridge were the cable
ip link set eth1 name wire0
case $lab_device in
  eth1) ip link add eth1 type veth peer name labwire0 ;;
  *) modprobe labnic name="$lab_device" ;; # the ConnectX-like one
esac
ip link add cable type bridge forward_delay 0
ip link set wire0 master cable up
ip link set labwire0 master cable up
ip link set cable up
ip address add "$lab_data/16" dev "$lab_device"
ip link set "$lab_device" up
case $lab_init in
  systemd) exec /lib/systemd/systemd --system --show-status=no ;;
  sshd)
    mount -t tmpfs -o mode=1777 tmpfs /tmp
    mkdir -p /dev/pts /dev/shm
    mount -t devpts -o gid=5,mode=620,ptmxmode=0666 pts /dev/pts
    exec /usr/sbin/sshd -D ;;
esac
