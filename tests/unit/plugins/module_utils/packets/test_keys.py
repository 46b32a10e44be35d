# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The row of a packet has one layout for struct, for numpy and for whoever reads the table of fields."""

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets import keys


def test_the_names_are_those_of_the_fields():
    assert keys.Key._fields == tuple(field.name for field in keys.FIELDS)


def test_numpy_reads_what_struct_wrote():
    numpy = pytest.importorskip("numpy")
    values = [bytes(range(n, n + 16)) if field.code == "16s" else n + 1 for n, field in enumerate(keys.FIELDS)]
    (row,) = numpy.frombuffer(keys.ROW.pack(*values), dtype=numpy.dtype(dict(keys.DTYPE)))
    assert [bytes(row[name]) if isinstance(value, bytes) else int(row[name]) for name, value in zip(keys.Key._fields, values)] == values


def test_fields_depend_on_flags_that_exist():
    assert {field.flag for field in keys.FIELDS} - {None, "roce"} <= set(keys.FLAGS)
    assert keys.present("roce", keys.FLAGS["roce2"]) and not keys.present("roce", keys.FLAGS["ip"])
    assert keys.present(None, 0)
