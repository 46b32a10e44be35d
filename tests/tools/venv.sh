#!/bin/sh
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# venv.sh FOLDER REQUIREMENTS MINOR...: make a virtual environment on the first Python 3.MINOR that really runs here.
# With OPTIONAL=1, no such Python is not an error: the folder then holds the stamp only.
set -eu
folder=$1
requirements=$2
shift 2

# pyenv's shims are on PATH also for versions that are not active, so each candidate is run.
find_python() {
    for minor in "$@"; do
        for bin in $(echo "$PATH" | tr : ' ') "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin /opt/python*/bin; do
            if "$bin/python3.$minor" -c 'import ensurepip, venv' 2>/dev/null; then
                echo "$bin/python3.$minor"
                return
            fi
        done
    done
}

python=$(find_python "$@")
if [ -z "$python" ] && [ -z "${OPTIONAL:-}" ]; then
    "$(dirname "$0")/need.sh" "a Python environment" never=python3-venv
    python=$(find_python "$@")
fi
mkdir -p "$folder"
if [ -n "$python" ]; then
    echo "installing $requirements into $folder ($("$python" --version))"
    "$python" -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
elif [ -z "${OPTIONAL:-}" ]; then
    echo "no Python 3.$(echo "$*" | sed 's/ /, 3./g') with its venv module runs here: install one and try again" >&2
    exit 1
else
    echo "no Python 3.$(echo "$*" | sed 's/ /, 3./g') runs here: $requirements is not tried on a newer one"
fi
touch "$folder/.stamp"
