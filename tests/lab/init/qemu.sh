#!/usr/bin/env bash
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# First process of a QEMU guest after Debian's initramfs, before systemd. What it is to be comes on the kernel's command line
# as lab.KEY=VALUE. The order in which the drivers are loaded gives the NICs their names.
# shellcheck disable=SC2154 # lab_*: declared in a loop
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mountpoint -q /proc || mount -t proc proc /proc
mountpoint -q /sys || mount -t sysfs sys /sys
for word in $(</proc/cmdline); do case $word in lab.*=*) word=${word#lab.}; declare "lab_${word%%=*}=${word#*=}" ;; esac; done
echo "ssh-ed25519 $lab_key lab" > /etc/ssh/lab_authorized_keys
hostname "$lab_name"
echo "$lab_name" > /etc/hostname
echo "127.0.0.1 localhost $lab_name" > /etc/hosts
for driver in virtio_net e1000e vmxnet3 igb; do modprobe "$driver"; done
ip link set lo up
ip address add "$lab_mgmt/16" dev eth0
ip link set eth0 up
ip address add "$lab_data/16" dev "$lab_device"
ip link set "$lab_device" up
# Soft-RoCE computes its checksums by the crypto API's crc32, which nothing loads for it
for driver in crc32_generic rdma_rxe ib_uverbs rdma_ucm; do modprobe "$driver"; done
rdma link add rxe0 type rxe netdev "$lab_device"
exec /lib/systemd/systemd --system --show-status=no
