#!/usr/bin/env bash
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# First process of a User-Mode Linux host. What it is to be comes on the kernel's command line as lab.KEY=VALUE; the public
# key lies on the host folder that the kernel can read through hostfs.
# shellcheck disable=SC2154 # lab_*: declared in a loop
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
for word in $(</proc/cmdline); do case $word in lab.*=*) word=${word#lab.}; declare "lab_${word%%=*}=${word#*=}" ;; esac; done
mountpoint -q /sys || mount -t sysfs sys /sys
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/hostfs /run/sshd
mount -t hostfs -o "$lab_folder" none /run/hostfs
install -m 644 /run/hostfs/authorized_keys /etc/ssh/lab_authorized_keys
umount /run/hostfs
hostname "$lab_name"
echo "$lab_name" > /etc/hostname
echo "127.0.0.1 localhost $lab_name" > /etc/hosts
ip link set lo up
ip address add "$lab_mgmt/16" dev eth0
ip link set eth0 up
# the ConnectX-like NIC: its far end is bridged to the wire, as if the bridge were the cable
modprobe labnic name="$lab_device"
ip link add cable type bridge forward_delay 0
ip link set eth1 master cable up
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
