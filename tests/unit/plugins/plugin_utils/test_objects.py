# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where captures go, what is signed, and what of an upload is there already. A real server is asked in tests/integration."""

from __future__ import annotations

import sys
import urllib.parse

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.pcapfile import Walker
from ansible_collections.wirefleet.capture.plugins.plugin_utils import channel, objects, units, upload

KEYS = {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": "a-secret"}


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """An environment without credentials, whoever runs the tests."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", *KEYS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


@pytest.fixture
def keys(alone):
    for name, value in KEYS.items():
        alone.setenv(name, value)
    return alone


@pytest.mark.parametrize(
    "written, place",
    [
        ("s3://captures", ("captures", "")),
        ("s3://captures/", ("captures", "")),
        ("s3://captures/lab-7/site=a/", ("captures", "lab-7/site=a")),
    ],
)
def test_a_place(written, place):
    found = objects.place(written, "")
    assert (found.bucket, found.prefix, found.endpoint) == (*place, None)
    assert found.url == "s3://" + "/".join(filter(None, place))
    assert found.key("ID", "x") == "/".join(filter(None, (place[1], "ID", "x")))


NO_PLACES = [
    "captures/x", "gs://captures", "s3://", "s3:///x", "s3://a", "s3://cap tures", "s3://captures/../x", "s3://captures//x",
    "s3://captures/a b", "s3://user:key@captures/x",
]  # fmt: skip


@pytest.mark.parametrize("written", NO_PLACES)
def test_a_place_that_is_none_says_what_to_write(written):
    with pytest.raises(units.Unusable, match="campaign_collect_to is .*write for example s3://"):
        objects.place(written, "")


@pytest.mark.parametrize("endpoint", ["s3.example.net", "ftp://x", "https://user:key@x", "https://x?y", "https://x/ y"])
def test_an_endpoint_that_is_none_says_what_to_write(endpoint):
    with pytest.raises(units.Unusable, match="campaign_collect_endpoint is .*write for example https://"):
        objects.place("s3://captures", endpoint)


@pytest.mark.parametrize("size, parts", [(0, 1), (1, 1), (64 << 20, 1), ((64 << 20) + 1, 2), (1 << 40, 10_000)])
def test_how_many_parts_a_file_may_have(size, parts):
    assert objects.parts_for(size, 64 << 20) == parts


def test_what_is_there_counts_up_to_the_first_gap():
    listed = [{"PartNumber": number, "ETag": f'"e{number}"', "Size": number} for number in (4, 1, 2)]
    assert objects.beginning(listed) == [["e1", 1], ["e2", 2]]
    assert objects.beginning([]) == []


def test_the_etag_of_parts_is_what_a_server_gives():
    # two parts, 5 MiB of zeros and 3000 bytes, as OpenStack Swift and Amazon S3 name them
    assert objects.etag_of(["5f363e0e58a95f06cbe9bbc662c5dfb6", "ca346fb14c6e439211624de8a316be56"]) == "360b7b57d62811c13157cc68af898e0c-2"


def test_a_url_is_for_one_request_on_one_object_and_expires(keys):
    store = objects.Store(objects.place("s3://captures/lab", "https://s3.example.net"))
    first, second = store.part_urls("lab/ID/x", "an-upload", 2)
    place, words = urllib.parse.urlsplit(first), dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(first).query))
    assert (place.scheme, place.netloc, place.path) == ("https", "s3.example.net", "/captures/lab/ID/x")
    assert words["uploadId"] == "an-upload" and words["partNumber"] == "1"
    assert words["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256" and words["X-Amz-Expires"] == str(objects.EXPIRES_S)
    assert words["X-Amz-SignedHeaders"] == "host", "a host adds Content-MD5, which is known when a part is made"
    assert "partNumber=2" in second and "a-secret" not in first + second
    assert not {name.lower() for name in words} & {"x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm"}, "which older stores refuse"
    assert set(store.probe_urls("ID", "node1", touch=True)) == {"put", "delete"}
    assert set(store.probe_urls("ID", "node1", touch=False)) == {"get"}


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_the_endpoint_is_found_as_other_tools_find_it(keys, variable):
    keys.setenv(variable, "https://elsewhere.example.net")
    assert objects.Store(objects.place("s3://captures", "")).endpoint == "https://elsewhere.example.net"
    assert objects.Store(objects.place("s3://captures", "https://written.example.net")).endpoint == "https://written.example.net"


def test_no_credentials_is_one_sentence(alone):
    with pytest.raises(units.Unusable, match="no credentials for s3://captures .*AWS_ACCESS_KEY_ID"):
        objects.Store(objects.place("s3://captures", "https://s3.example.net"))


def test_an_unknown_profile_is_one_sentence(alone):
    alone.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(units.Unusable, match="profile .*nobody"):
        objects.Store(objects.place("s3://captures", "https://s3.example.net"))


def test_no_botocore_is_one_sentence(monkeypatch):
    for name in ("botocore", "botocore.session", "botocore.config", "botocore.exceptions"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(units.Unusable, match="needs botocore on the controller, which is missing: pip install botocore"):
        objects.Store(objects.place("s3://captures", "https://s3.example.net"))


@pytest.mark.parametrize(
    "code, status, kind",
    [
        ("NoSuchUpload", 404, "gone"),
        ("404", 404, "gone"),
        ("403", 403, "forbidden"),
        ("AccessDenied", 403, "forbidden"),
        ("NoSuchBucket", 404, "other"),
        ("SlowDown", 503, "other"),
    ],
)
def test_kinds_of_trouble(code, status, kind):
    found = objects.trouble("https://s3.example.net", {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}})
    assert found.kind == kind and f"answers {status} {code} (m)" in str(found)


def test_people_read_where_captures_would_go():
    session = {"campaign": "ID", "store": {"url": "s3://captures/lab", "endpoint": "https://s3.example.net"}}
    assert objects.describe(session) == "writes its captures to s3://captures/lab/ID/ at https://s3.example.net itself, none comes to the controller"


PART = {"part": 1, "md5": "0" * 32, "etag": "0" * 32, "raw_bytes": 24, "stored_bytes": 24, "sent": True}
FILE = {"done": True, "raw_bytes": 24, "stored_bytes": 24, "sha256_raw": "a" * 64, "sha256_stored": "a" * 64, "summary": Walker().summary()._asdict()}


def test_what_a_host_says_is_taken_where_it_can_be():
    upload.check_part(PART)
    assert upload.about(FILE) == {name: FILE[name] for name in ("sha256_raw", "sha256_stored", "summary")}


@pytest.mark.parametrize("wrong", [{"md5": "x"}, {"etag": "a b"}, {"raw_bytes": -1}, {"stored_bytes": "24"}, {"sent": 1}, {"raw_bytes": True}], ids=str)
def test_what_cannot_be_of_a_part_is_refused(wrong):
    with pytest.raises(channel.ChannelError, match="said of a part what cannot be"):
        upload.check_part({**PART, **wrong})


WRONG_FILES = [
    {"sha256_raw": "x"},
    {"sha256_stored": None},
    {"summary": None},
    {"summary": {}},
    {"summary": {**FILE["summary"], "packets": "1"}},
    {"summary": {**FILE["summary"], "status": "x" * 1000}},
    {"summary": {**FILE["summary"], "more": 1}},
    {"raw_bytes": None},
]


@pytest.mark.parametrize("wrong", WRONG_FILES, ids=lambda wrong: str(wrong)[:40])
def test_what_cannot_be_of_a_file_is_refused(wrong):
    with pytest.raises(channel.ChannelError, match="said of a file what cannot be"):
        upload.about({**FILE, **wrong})
