#!/bin/sh
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Make a virtual environment from a requirements file, with a Python that really runs.
# usage: bootstrap.sh VENV REQUIREMENTS MINIMUM (for example 3.11); exits 3 where no such Python exists
set -eu
venv=$1 requirements=$2 minimum=$3

works() { "$1" -c "import sys; sys.exit(sys.version_info < tuple(map(int, '$minimum'.split('.'))))" 2>/dev/null; }

find_python() {
    for python in python3.11 python3.12 python3.13 python3 "$HOME"/.pyenv/versions/3.1[1-3]*/bin/python3; do
        if command -v "$python" >/dev/null 2>&1 && works "$python"; then echo "$python"; return; fi
    done
    return 3
}

if ! python=$(find_python); then
    echo "no Python $minimum or newer was found: install python3 (Debian 12 has 3.11)" >&2
    exit 3
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    [ "$(id -u)" = 0 ] || { echo "virtual environments are missing: as root, apt-get install python3-venv" >&2; exit 2; }
    echo "installing the Debian package python3-venv"
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3-venv >/dev/null
fi
echo "installing into $venv ($("$python" --version)): $(grep -vE '^(#|-r|$)' "$requirements" | tr '\n' ' ')"
"$python" -m venv "$venv"
"$venv/bin/pip" --quiet --disable-pip-version-check install -r "$requirements" 2>&1 | grep -v '^WARNING: Location' || true
"$venv/bin/ansible" --version >/dev/null
