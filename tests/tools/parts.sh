#!/usr/bin/env bash
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# parts.sh "PART..."...: make each part, those of one argument at the same time; go on after a failure, and end with a
# table and one line of counts. What a part says lies in .cache/log, and is printed whole. A part that has not ended after
# LIMIT seconds has hung, and failed.
set -uo pipefail
table=
passed=0
failed=0
mkdir -p .cache/log

# Leaves the exit code and the seconds beside the log.
run() {
    local begin=$SECONDS
    timeout --kill-after=60 "${LIMIT:-2700}" "${MAKE:-make}" --no-print-directory "$1" </dev/null >".cache/log/$1" 2>&1
    local code=$?
    [ "$code" -ne 124 ] || echo "make $1 had not ended after ${LIMIT:-2700} s" >>".cache/log/$1"
    echo "$code $((SECONDS - begin))" >".cache/log/$1.end"
}

tell() {
    local code seconds said word
    printf '\n== make %s\n' "$1"
    cat ".cache/log/$1"
    read -r code seconds <".cache/log/$1.end"
    if [ "$code" -eq 0 ]; then
        word=passed passed=$((passed + 1))
    else
        word=FAILED failed=$((failed + 1))
    fi
    # What pytest said last, if the part is one of pytest's.
    said=$(sed -n 's/^=* *\([0-9]* \(passed\|failed\|skipped\).*\) in [0-9].*/\1/p' ".cache/log/$1" | tail -1)
    table+=$(printf '%-12s %-6s %4d s  %s' "$1" "$word" "$seconds" "$said")$'\n'
}

for group in "$@"; do
    pids=()
    read -ra parts <<<"$group"
    printf '\nmaking %s, see .cache/log\n' "$group"
    for part in "${parts[@]}"; do
        run "$part" &
        pids+=($!)
    done
    for number in "${!parts[@]}"; do
        wait "${pids[number]}"
        tell "${parts[number]}"
    done
done
printf '\n%s\n%d passed, %d failed, %d s\n' "$table" "$passed" "$failed" "$SECONDS"
[ "$failed" -eq 0 ]
