# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter as templates use it."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.wirefleet.capture.plugins.filter import capture_filter as plugin
from ansible_collections.wirefleet.capture.plugins.module_utils.packets import bpf

DOCUMENT = pathlib.Path(plugin.__file__).with_suffix(".yml")


def test_names_mappings_keywords_and_filters():
    use = plugin.FilterModule().filters()["capture_filter"]
    assert use("cnp") == use({"cnp": True}) == bpf.expand("cnp")
    assert use("cnp", vlan=6) == use({"cnp": True, "vlan": 6})
    assert use({"qp": 1}, dscp=26) == use({"qp": 1, "dscp": 26})
    assert use("tcp port 443") == "tcp port 443"


@pytest.mark.parametrize("wishes", [{"nack": True}, "dscp", {"qp": "many"}, 5, None, ["roce"]])
def test_bad_input_is_a_filter_error_of_one_sentence(wishes):
    with pytest.raises(AnsibleFilterError) as caught:
        plugin.capture_filter(wishes)
    assert "\n" not in str(caught.value)


def test_text_that_is_no_name_takes_no_further_terms():
    with pytest.raises(AnsibleFilterError):
        plugin.capture_filter("tcp port 443", vlan=6)


def test_every_term_is_documented():
    words = yaml.safe_load(DOCUMENT.read_text())["DOCUMENTATION"]["options"]["_input"]["description"]
    missing = [name for name in (*bpf.TERMS, *bpf.MODIFIERS) if f"V({name})" not in " ".join(words)]
    assert not missing
