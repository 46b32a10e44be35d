#!/bin/sh
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# galaxy.sh: build the collection from a copy of what git would track, and import the archive as Galaxy does.
set -eu
copy=$(tests/tools/copy.sh galaxy)
cd "$copy/../../.."
ansible-galaxy collection build --output-path . "$copy"
python -m galaxy_importer.main wirefleet-capture-*.tar.gz
