# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What S3 allows and what its errors mean, for hosts and for the controller. All functions are pure."""

from __future__ import annotations

import re

#: What S3 wants of every part but the last, and how many it takes (Amazon S3 User Guide, "multipart upload limits").
LEAST_PART, MOST_PARTS = 5 << 20, 10_000
PROBE = b"wirefleet.capture may write here\n"
_ADVICE = {
    "NoSuchBucket": "create the bucket, or name another in campaign_collect_to",
    "InvalidAccessKeyId": "check the access key that the controller has",
    "SignatureDoesNotMatch": "check the secret key and the region that the controller has",
    "AuthorizationHeaderMalformed": "check the region that the controller has",
    "PermanentRedirect": "set AWS_REGION of the controller to the bucket's",
    "TemporaryRedirect": "set AWS_REGION of the controller to the bucket's",
    "AccessDenied": "let the controller's credentials write there, and check that the URLs have not expired",
    "RequestTimeTooSkewed": "set the controller's clock",
    "ExpiredToken": "renew the controller's credentials",
}


def explain(where: str, status: int, code: str, message: str) -> str:
    """Return a sentence for an error of the store at *where*, with what to do where that is known."""
    words = " ".join(str(message).split())[:200].rstrip(".")
    said = f"the object store {where} answers {status} {code or 'without a reason'}" + (f" ({words})" if words else "")
    return f"{said}: {_ADVICE[code]}" if code in _ADVICE else said


def s3_error(body: bytes) -> tuple[str, str]:
    """Return (code, message) of an S3 error document, empty texts where *body* is none."""
    text = body.decode("utf-8", "replace")
    found = [re.search(rf"<{name}>([^<]{{0,400}})</{name}>", text) for name in ("Code", "Message")]
    code, message = (match[1].strip() if match else "" for match in found)
    return (code if re.fullmatch(r"[A-Za-z0-9.]{1,64}", code) else ""), message


def refuses(method: str, status: int, code: str) -> bool:
    """Return whether an answer to a probe means that writing would fail.

    What is not there cannot be got, and credentials that may only write are told that they may not; neither says anything of writing.
    Nor does it matter to a capture if a store that only keeps does not delete.
    """
    if status < 300:
        return False
    if method == "PUT":
        return True
    return code not in (("NoSuchKey", "AccessDenied") if method == "GET" else ("AccessDenied", "MethodNotAllowed"))
