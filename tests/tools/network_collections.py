# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""network_collections.py FOLDER: unpack the collections that talk to switches out of PyPI's wheel of all collections.

Galaxy would give them one by one; the wheel comes by the client and the mirror that everything else here comes by.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile
import zipfile

WHEEL = "ansible==12.3.0"
COLLECTIONS = ("ansible/netcommon", "ansible/utils", "arista/eos", "cisco/ios", "cisco/nxos", "junipernetworks/junos")


def unpack(wheel: pathlib.Path, folder: pathlib.Path) -> None:
    wanted = tuple(f"ansible_collections/{name}/" for name in COLLECTIONS)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(wanted)])


def main(folder: pathlib.Path) -> None:
    stamp = folder / ".stamp"
    if stamp.exists() and stamp.read_text() == WHEEL:
        return
    print(f"unpacking {', '.join(COLLECTIONS)} of {WHEEL} into {folder}", flush=True)
    with tempfile.TemporaryDirectory() as place:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--only-binary=:all:", "--dest", place, WHEEL], check=True)
        unpack(next(pathlib.Path(place).glob("*.whl")), folder)
    stamp.write_text(WHEEL)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
