#!/bin/sh
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# copy.sh NAME: copy what .gitignore lets through into a collection tree of its own, and print the folder.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
copy=$root/.cache/build/$1/ansible_collections/wirefleet/capture
rm -rf "$root/.cache/build/$1"
mkdir -p "$copy"
# The copy is a git work tree because ansible-test would otherwise find the one above it, which ignores .cache.
git init -q "$copy"
cd "$root"
git --git-dir="$copy/.git" --work-tree=. ls-files -z --others --exclude-standard |
    tar --create --null --files-from=- | tar --extract --directory="$copy"
echo "$copy"
