#!/bin/sh
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The lab's hosts are in a network of their own: ssh has to start inside it.
cd "$(dirname "$0")/../.." && exec .venv/bin/python -m tests.lab exec --lab molecule -- ssh "$@"
