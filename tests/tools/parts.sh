#!/usr/bin/env bash
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# parts.sh PART...: make each part, go on after a failure, and end with a table and one line of counts.
set -uo pipefail
table=
passed=0
failed=0
mkdir -p .cache/log
for part in "$@"; do
    printf '\n== make %s\n' "$part"
    begin=$SECONDS
    if "${MAKE:-make}" --no-print-directory "$part" </dev/null 2>&1 | tee ".cache/log/$part"; then
        word=passed passed=$((passed + 1))
    else
        word=FAILED failed=$((failed + 1))
    fi
    # What pytest said last, if the part is one of pytest's.
    said=$(sed -n 's/^=* *\([0-9]* \(passed\|failed\|skipped\).*\) in [0-9].*/\1/p' ".cache/log/$part" | tail -1)
    table+=$(printf '%-12s %-6s %4d s  %s' "$part" "$word" $((SECONDS - begin)) "$said")$'\n'
done
printf '\n%s\n%d passed, %d failed\n' "$table" "$passed" "$failed"
[ "$failed" -eq 0 ]
