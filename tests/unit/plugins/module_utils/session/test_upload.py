# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host sends to an object store, in which parts, and how it says what went wrong. A real server is asked in tests/integration."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import ssl
import struct

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session import objects, s3
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused

URL = "http://127.0.0.1:9/captures/x?X-Amz-Signature=secret"
NOWHERE = (None, None)


def capture(path, size):
    """Write a capture file of about *size* bytes that hardly shrinks."""
    noise = random.Random(3)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        while file.tell() < size:
            file.write(struct.pack("<IIII", 1_795_428_900, 0, 1000, 1000) + noise.randbytes(1000))
    return path


def parts_of(path, codec, folder):
    """Return ([(MD5, bytes as stored)] of each part, what is said of all)."""
    with path.open("rb", buffering=0) as handle:
        parts = objects.Parts(handle, codec, NOWHERE, str(folder))
        found = []
        for part in parts:
            part.source.seek(0)
            data = b"".join(iter(lambda part=part: part.source.read(objects.BLOCK), b""))
            assert (hashlib.md5(data).hexdigest(), len(data)) == (part.md5, part.stored_bytes)
            part.source.close()
            found.append(data)
        return found, parts.about()


@pytest.fixture
def small_segments(monkeypatch):
    monkeypatch.setattr(objects, "SEGMENT", 1 << 20)
    monkeypatch.setattr("ansible_collections.wirefleet.capture.plugins.module_utils.session.serve.SEGMENT", 1 << 20)


def test_a_part_is_a_segment_as_it_is_where_that_is_enough(small_segments, tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "LEAST_PART", 1 << 20)
    path = capture(tmp_path / "x.pcap", 3_500_000)
    found, about = parts_of(path, "raw", tmp_path)
    assert [len(part) for part in found] == [1 << 20, 1 << 20, 1 << 20, path.stat().st_size - 3 * (1 << 20)]
    assert b"".join(found) == path.read_bytes()
    assert about["sha256_raw"] == about["sha256_stored"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert about["summary"]["status"] == "ok" and about["summary"]["packets"] == (path.stat().st_size - 24) // 1016


def test_compressed_segments_are_put_together_until_the_store_takes_them_as_a_part(small_segments, tmp_path):
    path = capture(tmp_path / "x.pcap", 13_000_000)
    found, about = parts_of(path, "gzip", tmp_path)
    assert len(found) == 3 and all(len(part) >= s3.LEAST_PART for part in found[:-1])
    whole = b"".join(found)
    assert gzip.decompress(whole) == path.read_bytes(), "frames one after the other are one file"
    assert about["sha256_stored"] == hashlib.sha256(whole).hexdigest() and about["stored_bytes"] == len(whole)
    assert os.listdir(tmp_path) == ["x.pcap"], "what was compressed lies in files without a name"


def test_a_file_of_too_many_segments_has_larger_parts(small_segments, tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "MOST_PARTS", 2)
    monkeypatch.setattr(objects, "LEAST_PART", 1)
    found, _about = parts_of(capture(tmp_path / "x.pcap", 4_500_000), "raw", tmp_path)
    assert [len(part) for part in found][:1] == [3 << 20] and len(found) == 2


def test_an_empty_file_is_one_empty_part(tmp_path):
    (tmp_path / "x.pcap").touch()
    found, about = parts_of(tmp_path / "x.pcap", "raw", tmp_path)
    assert found == [b""] and about["summary"]["status"] == "unreadable"


def test_parts_that_are_there_are_not_sent_and_a_part_without_a_url_is_an_error(small_segments, tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "LEAST_PART", 1)
    path = capture(tmp_path / "x.pcap", 2_500_000)
    found, about = parts_of(path, "raw", tmp_path)
    there = [[hashlib.md5(part).hexdigest(), len(part)] for part in found]
    with path.open("rb", buffering=0) as handle:
        lines = list(objects.upload(objects.Parts(handle, "raw", NOWHERE, str(tmp_path)), [URL] * 3, there))
    assert [line.get("sent") for line in lines] == [False] * len(found) + [None]
    assert lines[-1] == {"done": True, **about}
    with path.open("rb", buffering=0) as handle, pytest.raises(Refused, match="2 URLs and this is part 3"):
        list(objects.upload(objects.Parts(handle, "raw", NOWHERE, str(tmp_path)), [URL] * 2, there[:2]))


def test_a_part_that_differs_from_what_is_there_is_sent(small_segments, tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "ATTEMPTS", 1)
    path = capture(tmp_path / "x.pcap", 500_000)
    wrong = [["0" * 32, path.stat().st_size]]
    with path.open("rb", buffering=0) as handle, pytest.raises(Refused, match="cannot be reached from here"):
        list(objects.upload(objects.Parts(handle, "raw", NOWHERE, str(tmp_path)), [URL], wrong))


def test_what_cannot_be_reached_is_tried_again_within_bounds_and_the_url_stays_secret():
    bodies = []

    def body():
        bodies.append(1)
        return b"x"

    with pytest.raises(Refused, match="http://127.0.0.1:9 cannot be reached from here") as caught:
        objects.put(URL, body, 1, "0" * 32, pause_s=0)
    assert len(bodies) == objects.ATTEMPTS
    assert "secret" not in str(caught.value) and "captures" not in str(caught.value)


@pytest.mark.parametrize("url", [None, "", "http:///x", "file:///etc/passwd", "http://h/ a\nb", "http://[h", "http://h:x/", "http://" + "h" * 9000])
def test_a_url_that_is_none_is_refused_without_being_said(url):
    with pytest.raises(Refused, match="must begin with http") as caught:
        objects.place_of(url)
    assert not url or url not in str(caught.value)


# an S3 error document, what it says
DOCUMENTS = [
    (b"<Error><Code>NoSuchBucket</Code><Message>It does not exist.</Message></Error>", ("NoSuchBucket", "It does not exist.")),
    (b"<Error><Code>a b</Code><Message>x</Message></Error>", ("", "x")),
    (b"<html>502 Bad Gateway</html>", ("", "")),
    (b"\xff\xfe", ("", "")),
    (b"<Code>" + b"A" * 100_000, ("", "")),
]


@pytest.mark.parametrize("body, found", DOCUMENTS)
def test_the_servers_own_words_are_read_with_bounds(body, found):
    assert s3.s3_error(body) == found


@pytest.mark.parametrize(
    "status, code, message, sentence",
    [
        (404, "NoSuchBucket", "It does not exist.", "answers 404 NoSuchBucket (It does not exist): create the bucket"),
        (403, "SignatureDoesNotMatch", "", "answers 403 SignatureDoesNotMatch: check the secret key"),
        (502, "", "", "answers 502 without a reason"),
        (400, "Odd", "a\nb\tc" + "x" * 500, "answers 400 Odd (a b c"),
    ],
)
def test_an_error_is_one_sentence(status, code, message, sentence):
    said = s3.explain("https://s3.example.net", status, code, message)
    assert said.startswith("the object store https://s3.example.net ") and sentence in said
    assert "\n" not in said and len(said) < 400


def test_a_certificate_that_is_not_trusted_names_the_remedy():
    problem = ssl.SSLCertVerificationError(1, "x")
    problem.verify_message = "self-signed certificate"
    said = objects.unreachable("https://s3.example.net", problem)
    assert "self-signed certificate" in said and "install its CA" in said


@pytest.mark.parametrize(
    "method, status, code, refused",
    [
        ("PUT", 200, "", False),
        ("PUT", 403, "AccessDenied", True),
        ("PUT", 404, "NoSuchBucket", True),
        ("DELETE", 204, "", False),
        ("DELETE", 403, "AccessDenied", False),
        ("GET", 404, "NoSuchKey", False),
        ("GET", 403, "AccessDenied", False),
        ("GET", 404, "NoSuchBucket", True),
        ("GET", 403, "InvalidAccessKeyId", True),
        ("GET", 503, "", True),
    ],
)
def test_which_answers_to_a_probe_mean_that_writing_would_fail(method, status, code, refused):
    assert s3.refuses(method, status, code) is refused
