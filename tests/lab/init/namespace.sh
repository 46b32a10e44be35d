#!/usr/bin/env bash
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# First process of a namespace host: waits for its links, puts on its root, and becomes the host's PID 1.
# usage: namespace.sh NAME FOLDER LOWER INIT MGMT_ADDRESS DATA_ADDRESS AUTHORIZED_KEYS
set -euo pipefail
name=$1 folder=$2 lower=$3 init=$4 mgmt=$5 data=$6 keys=$7 root=$2/root
read -r _ < "$folder/go"
hostname "$name"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$folder/upper,workdir=$folder/work" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
mkdir "$root"/dev/{pts,shm,net}
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
for node in null zero full random urandom tty net/tun; do : > "$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; done
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
# `ip netns` takes /sys off and mounts another; without root the kernel allows that only where a sysfs is left in sight
mkdir "$root/run/sysfs"
mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/run/sysfs"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
echo "$name" > "$root/etc/hostname"
echo "127.0.0.1 localhost $name" > "$root/etc/hosts"
install -m 644 "$keys" "$root/etc/ssh/lab_authorized_keys"
ip link set lo up
ip address add "$mgmt/16" dev eth0; ip link set eth0 up
ip address add "$data/16" dev eth1; ip link set eth1 up
# knobs of the whole machine stay read-only, the namespace's own net.* stay writable
mount --bind "$root/proc/sys" "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,bind,ro "$root/proc/sys"
if [ "$init" = systemd ]; then mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"; fi
mkdir -p "$root/run/sshd" "$root/mnt"
cd "$root"
pivot_root . mnt
umount -l /mnt
case $init in
  systemd) exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --show-status=no ;;
  sshd) exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c 'trap "" CHLD; /usr/sbin/sshd -D -e & exec sleep infinity' ;;
esac
