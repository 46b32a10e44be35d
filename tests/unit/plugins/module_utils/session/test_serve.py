# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a controller asks, a host answers: with what was asked for, or with a sentence."""

from __future__ import annotations

import io
import json
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session.folder import Folder
from ansible_collections.wirefleet.capture.plugins.module_utils.session.serve import serve
from hypothesis import given
from hypothesis import strategies as st

RAW = "vantages/node1__eth1/raw/0001.pcap"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([RAW, "raw", "gzip"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OPS = st.sampled_from(["time", "heartbeat", "result", "index", "list", "get", "verified"])
REQUESTS = JSON | st.fixed_dictionaries({"op": OPS | JSON}, optional={name: JSON for name in ("path", "segment", "codec", "paths", "start")})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    path = tmp_path_factory.mktemp("var") / "20261123T101500Z-x-3fa9c1"
    (path / RAW).parent.mkdir(parents=True)
    (path / RAW).write_bytes(b"some bytes")
    (path / "result.json").write_text("{}")
    return Folder(str(path))


def answer(folder: Folder, line: bytes) -> bytes:
    sink = io.BytesIO()
    assert serve(folder, io.BytesIO(line), sink) == 0
    return sink.getvalue()


@given(request=REQUESTS)
def test_any_json_is_answered_with_json(folder: Folder, request: t.Any) -> None:
    said = answer(folder, json.dumps(request).encode() + b"\n")
    first = json.loads(said.partition(b"\n")[0])
    asked = request.get("op") if isinstance(request, dict) else None
    assert first.get("error") or asked in ("time", "result", "index", "list", "get", "verified")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b'{"op": []}', "there is no op []: ask time"),
        (b'{"op": {"get": 1}}', "there is no op {'get': 1}: ask time"),
        (b"[" * 100_000, "a request is one line of JSON"),
        (b"\xff\xfe", "a request is one line of JSON"),
        (b"9" * 10_000, "a request is"),
        (b'{"op": "get", "path": "%s", "segment": true}' % RAW.encode(), "segment must be a whole number"),
        (b'{"op": "get", "path": "%s", "segment": NaN}' % RAW.encode(), "segment must be a whole number"),
        (b'{"op": "get", "path": "%s", "codec": []}' % RAW.encode(), "this host has no codec []"),
        (b'{"op": "verified", "paths": {}}', "verified needs paths"),
    ],
)
def test_what_is_no_request_is_refused_with_a_sentence(folder: Folder, line: bytes, sentence: str) -> None:
    assert json.loads(answer(folder, line + b"\n"))["error"].startswith(sentence)
