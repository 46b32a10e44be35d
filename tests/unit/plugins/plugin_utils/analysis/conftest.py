# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds up the truth test's verdicts and prints precision and recall at the end of the run."""

from __future__ import annotations

from collections import Counter

import pytest

_PAIRS: Counter[tuple[str, str]] = Counter()


@pytest.fixture
def truth_scores():
    return _PAIRS


def pytest_terminal_summary(terminalreporter):
    if not _PAIRS:
        return
    from tests.truth.judge import scores

    terminalreporter.section("verdicts against the truth")
    terminalreporter.line(f"{'verdict':<16} {'expected':>9} {'found':>9} {'precision':>10} {'recall':>8}")
    for verdict, expected, found, _right, precision, recall in scores(_PAIRS):
        shown = ["-" if share is None else f"{share:.4f}" for share in (precision, recall)]
        terminalreporter.line(f"{verdict:<16} {expected:>9} {found:>9} {shown[0]:>10} {shown[1]:>8}")
