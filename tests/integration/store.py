# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's object store as tests ask it: by a client of their own, beside ours."""

from __future__ import annotations

import os
import typing as t

import pytest

from tests.lab.objectstore import ACCESS_KEY, SECRET_KEY, swift

BUCKET = "captures"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}

#: Answers one question about the store, in a process that may be inside the lab: argv is the endpoint and what to do.
ASK = """
import hashlib, json, sys
import botocore.session
from botocore.config import Config
client = botocore.session.get_session().create_client("s3", region_name="us-east-1", endpoint_url=sys.argv[1], config=Config(signature_version="s3v4"))
bucket, what = sys.argv[2], sys.argv[3]
if what == "make":
    client.create_bucket(Bucket=bucket)
found = {}
for entry in client.list_objects_v2(Bucket=bucket).get("Contents", []) if what == "list" else []:
    body, digest = client.get_object(Bucket=bucket, Key=entry["Key"])["Body"], hashlib.sha256()
    for block in iter(lambda: body.read(1 << 20), b""):
        digest.update(block)
    found[entry["Key"]] = [entry["Size"], digest.hexdigest()]
print(json.dumps(found))
"""


def installed() -> None:
    """Skip the tests where the server cannot be had."""
    try:
        swift()
    except Exception as problem:  # pip has many ways to say so
        pytest.skip(f"OpenStack Swift cannot be installed from PyPI here: {problem}")


def words(endpoint: str, what: str) -> list[str]:
    return ["-c", ASK, endpoint, BUCKET, what]


def environment(**changed: str) -> dict[str, t.Any]:
    return {**os.environ, **CREDENTIALS, **changed}
