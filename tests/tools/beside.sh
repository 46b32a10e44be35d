#!/usr/bin/env bash
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# beside.sh COMMAND...: run commands at the same time, and print what each said whole, in their order; fail if one did.
set -uo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pids=()
for command in "$@"; do
    bash -c "$command" </dev/null >"$folder/${#pids[@]}" 2>&1 &
    pids+=($!)
done
failed=0
for number in "${!pids[@]}"; do
    wait "${pids[number]}" || failed=1
    cat "$folder/$number"
done
exit $failed
