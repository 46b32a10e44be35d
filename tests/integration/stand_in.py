# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for a program on a lab host: says what was recorded, and remembers private flags that are set. Python 3.9.

What ethtool is asked of a device that was not recorded it leaves to the real one.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import sys

SAID = pathlib.Path("/var/tmp/rdma-host/said.json")


def main() -> int:
    name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
    said = json.loads(SAID.read_text())
    if words[:1] == ["--set-priv-flags"]:
        shown = said[f"ethtool --show-priv-flags {words[1]}"]
        for flag, value in zip(words[2::2], words[3::2]):
            shown[1] = re.sub(rf"^({re.escape(flag)} *: ).*$", rf"\g<1>{value}", shown[1], flags=re.MULTILINE)
        SAID.write_text(json.dumps(said))
        return 0
    answer = said.get(" ".join([name, *words]))
    if answer is None and name == "ethtool":
        os.execv("/usr/sbin/ethtool", ["ethtool", *words])
    code, out, err = answer or (64, "", f"{name}: nobody recorded what it says of {' '.join(words)}\n")
    sys.stdout.write(out)
    sys.stderr.write(err)
    return code


if __name__ == "__main__":
    sys.exit(main())
