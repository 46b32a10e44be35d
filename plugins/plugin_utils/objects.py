# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The object store that hosts write to: only the controller has credentials, hosts get presigned URLs, each for one request."""

from __future__ import annotations

import hashlib
import re
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.session.s3 import MOST_PARTS, PROBE, explain

from . import units

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: Long enough for most files; a host that takes longer gets new URLs and goes on.
EXPIRES_S = 3600
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9_=.-]+(/[A-Za-z0-9_=.-]+)*")
_GONE = ("NoSuchUpload", "404", "NoSuchKey", "NotFound")
_FORBIDDEN = ("403", "AccessDenied", "Forbidden")
_WHAT_TO_WRITE = "write for example s3://captures/lab-7"


class Trouble(Exception):
    """The store did not do what was asked; the message is a sentence. *kind*: gone | forbidden | other."""

    def __init__(self, sentence: str, kind: str = "other") -> None:
        super().__init__(sentence)
        self.kind = kind


class Place(t.NamedTuple):
    """Where objects go: *prefix* has no slash at its ends; *endpoint* None means what AWS_ENDPOINT_URL or ~/.aws/config say, else AWS."""

    bucket: str
    prefix: str
    endpoint: str | None

    @property
    def url(self) -> str:
        return "s3://" + "/".join(filter(None, (self.bucket, self.prefix)))

    def key(self, *parts: str) -> str:
        return "/".join(filter(None, (self.prefix, *parts)))


def place(url: str, endpoint: str | None) -> Place:
    """Return what campaign_collect_to and campaign_collect_endpoint mean. Pure; raises Unusable."""
    scheme, _colon, rest = url.strip().partition("://")
    bucket, _slash, prefix = rest.partition("/")
    prefix = prefix.rstrip("/")
    if scheme != "s3" or not _BUCKET.fullmatch(bucket):
        raise units.Unusable(f"campaign_collect_to is {url!r}, which names no bucket; {_WHAT_TO_WRITE}.")
    if prefix and (not _PREFIX.fullmatch(prefix) or len(prefix) > 512 or {".", ".."} & set(prefix.split("/"))):
        raise units.Unusable(f"campaign_collect_to is {url!r}, whose prefix has more than letters, digits, '_', '=', '.', '-' and '/'; {_WHAT_TO_WRITE}.")
    if endpoint and not re.fullmatch(r"https?://[A-Za-z0-9_.:\[\]-]+(/[A-Za-z0-9_./-]*)?", endpoint):
        raise units.Unusable(f"campaign_collect_endpoint is {endpoint!r}, which is no URL; write for example https://s3.example.net.")
    return Place(bucket, prefix, endpoint or None)


def parts_for(size: int, segment: int) -> int:
    """Return how many parts a file of *size* raw bytes may have: 1 means an object in one piece. Pure."""
    return min(max(1, -(-size // segment)), MOST_PARTS)


def etag_of(md5s: list[str]) -> str:
    """Return the ETag that S3 gives to an object of parts with these MD5s, in hexadecimal. Pure."""
    return f"{hashlib.md5(b''.join(map(bytes.fromhex, md5s)), usedforsecurity=False).hexdigest()}-{len(md5s)}"


def beginning(parts: Iterable[Mapping[str, t.Any]]) -> list[list[t.Any]]:
    """Return [MD5, bytes] of the parts that the store has without a gap from the first on, as it lists them. Pure."""
    found: list[list[t.Any]] = []
    for part in sorted(parts, key=lambda part: part["PartNumber"]):
        if part["PartNumber"] != len(found) + 1:
            break
        found.append([part["ETag"].strip('"'), part["Size"]])
    return found


class Store:
    """The bucket as the controller asks it. Raises Unusable where it cannot be asked at all, Trouble with the store's own words."""

    def __init__(self, where: Place) -> None:
        self.place = where
        self._client = _client(where)
        self.endpoint: str = self._client.meta.endpoint_url

    def check(self, run_id: str, touch: bool) -> None:
        """Write and delete a tiny object or, without *touch*, ask for one that is not there; raises Unusable where that does not work."""
        key = self.place.key(run_id, "probe", "controller")
        try:
            if touch:
                self._do("put_object", Key=key, Body=PROBE)
                self.delete(key)
            else:
                self._do("get_object", Key=key)
        except Trouble as problem:
            if touch or problem.kind == "other":
                raise units.Unusable(f"campaign_collect_to: {problem}.") from None

    def probe_urls(self, run_id: str, host: str, touch: bool) -> dict[str, str]:
        """Return the presigned URLs with which *host* tries whether it may write, for capture_info."""
        key = self.place.key(run_id, "probe", host)
        if not touch:
            return {"get": self._sign("get_object", Key=key)}
        return {"put": self._sign("put_object", Key=key), "delete": self._sign("delete_object", Key=key)}

    def put_url(self, key: str) -> str:
        return self._sign("put_object", Key=key)

    def part_urls(self, key: str, upload: str, count: int) -> list[str]:
        return [self._sign("upload_part", Key=key, UploadId=upload, PartNumber=number) for number in range(1, count + 1)]

    def begin(self, key: str) -> str:
        """Return the id of a new upload in parts."""
        return str(self._do("create_multipart_upload", Key=key)["UploadId"])

    def parts(self, key: str, upload: str) -> list[list[t.Any]] | None:
        """Return [ETag, bytes] of the parts that are there, None where the store does not know the upload (any more)."""
        pages = self._client.get_paginator("list_parts").paginate(Bucket=self.place.bucket, Key=key, UploadId=upload)
        try:
            return beginning(part for page in self._tried(lambda: list(pages)) for part in page.get("Parts", []))
        except Trouble as problem:
            if problem.kind == "gone":
                return None
            raise

    def complete(self, key: str, upload: str, etags: list[str]) -> None:
        parts = [{"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in enumerate(etags, 1)]
        self._do("complete_multipart_upload", Key=key, UploadId=upload, MultipartUpload={"Parts": parts})

    def head(self, key: str) -> tuple[str, int] | None:
        """Return (ETag, bytes) of an object, None where there is none."""
        try:
            found = self._do("head_object", Key=key)
        except Trouble as problem:
            if problem.kind == "other":
                raise
            return None
        return found["ETag"].strip('"'), int(found["ContentLength"])

    def delete(self, key: str) -> None:
        """Delete an object; that a store which only keeps does not is no matter."""
        try:
            self._do("delete_object", Key=key)
        except Trouble as problem:
            if problem.kind == "other":
                raise

    def _sign(self, operation: str, **words: t.Any) -> str:
        return str(self._client.generate_presigned_url(operation, {"Bucket": self.place.bucket, **words}, ExpiresIn=EXPIRES_S))

    def _do(self, operation: str, **words: t.Any) -> t.Any:
        return self._tried(lambda: getattr(self._client, operation)(Bucket=self.place.bucket, **words))

    def _tried(self, call: Callable[[], t.Any]) -> t.Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call()
        except ClientError as problem:
            raise trouble(self.endpoint, problem.response) from None
        except BotoCoreError as problem:
            raise Trouble(
                f"the object store {self.endpoint} cannot be asked from the controller ({type(problem).__name__}): "
                "check campaign_collect_endpoint and the network"
            ) from None


def of_session(session: Mapping[str, t.Any]) -> Store | None:
    """Return the store that a host's session names, None for one whose captures come home. Raises Unusable."""
    told = session.get("store")
    return Store(place(told["url"], told["endpoint"])) if told else None


def describe(session: Mapping[str, t.Any]) -> str:
    """Return where the captures of *session* would go, for people. Pure."""
    told = session["store"]
    by = f" at {told['endpoint']}" if told["endpoint"] else ""
    return f"writes its captures to {told['url']}/{session['campaign']}/{by} itself, none comes to the controller"


def trouble(endpoint: str, response: Mapping[str, t.Any]) -> Trouble:
    """Return an S3 error as a sentence that knows what kind it is. Pure."""
    error, status = response.get("Error", {}), response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(error.get("Code", ""))
    kind = "gone" if code in _GONE else "forbidden" if code in _FORBIDDEN else "other"
    return Trouble(explain(endpoint, status, code, str(error.get("Message", ""))), kind)


def _client(where: Place) -> t.Any:
    """Return botocore's client for S3; raises Unusable where it, or credentials, are missing."""
    try:
        import botocore.session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise units.Unusable("campaign_collect_to needs botocore on the controller, which is missing: pip install botocore.") from None
    session = botocore.session.get_session()
    try:
        if session.get_credentials() is None:
            raise units.Unusable(
                f"there are no credentials for {where.url} on the controller: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
            )
        return session.create_client(
            "s3",
            region_name=session.get_config_variable("region") or "us-east-1",
            endpoint_url=where.endpoint,
            config=Config(
                signature_version="s3v4",
                connect_timeout=10,
                read_timeout=60,
                retries={"total_max_attempts": 3, "mode": "standard"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
    except (BotoCoreError, ValueError) as problem:
        raise units.Unusable(f"the object store {where.url} cannot be set up: {problem}.") from None
