#!/bin/sh
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ansible_test.sh VENV WORDS...: run ansible-test of VENV on a copy of the collection, with nothing but PyPI.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=$root/$1
shift
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
copy=$("$root/tests/tools/copy.sh" "sanity-$(basename "$venv")")

# ansible-test would fetch get-pip.py from a server of its project; pip's own wheel from PyPI does as well.
HOME=$root/.cache/home/$(basename "$venv")
export HOME
cache=$HOME/.ansible/test/cache
mkdir -p "$cache"
for version in 24.2 25.2; do
    installer=$cache/get_pip_$(echo $version | tr . _).py
    [ -e "$installer" ] && continue
    "$venv/bin/python" -m pip download -q --disable-pip-version-check --no-deps "pip==$version" -d "$cache"
    cp "$root/tests/tools/get_pip.py" "$installer"
done

# Real binaries first: ansible-test takes pyenv's shims for Pythons that can run.
path=$venv/bin
for bin in "$pyenv"/versions/3.*/bin; do
    [ -x "$bin/python3" ] && path=$path:$bin
done
path=$path:$(echo "$PATH" | tr : '\n' | grep -v '/shims$' | paste -sd :)

cd "$copy"
PATH=$path ansible-test "$@"
