#!/bin/sh
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# need.sh WHY PROGRAM=PACKAGE...: install the Debian packages of the programs that are missing, or say which.
set -eu
why=$1
shift
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
packages=
for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || packages="$packages ${pair#*=}"
done
[ -n "$packages" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "$why needs what is not installed here: as root, apt-get install$packages" >&2
    exit 1
fi
echo "installing Debian packages for $why:$packages"
# One at a time, also beside a lab that installs its own.
lock=${XDG_CACHE_HOME:-$HOME/.cache}/wirefleet-lab/packages.lock
mkdir -p "$(dirname "$lock")"
exec 9>"$lock"
flock 9
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # one word for each package
if ! said=$(apt-get -qq update 2>&1 && apt-get -qq install -y --no-install-recommends $packages 2>&1); then
    echo "$said" >&2
    exit 1
fi
