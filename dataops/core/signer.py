"""Signature version 4 for many requests that differ in their body only.

The signing key and all of the canonical request before the body's hash are worked out once a second at most.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import urlsplit

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<id>[^/]+)/\d{8}/(?P<scope>[^/]+/[^/]+/aws4_request), "
    r"SignedHeaders=(?P<signed>[^,]+), Signature=(?P<signature>[0-9a-f]{64})"
)
_KEPT = {"x-amz-target", "content-type", "user-agent", "x-amz-security-token", "x-amzn-trace-id"}
"""Headers that all requests share."""
_MADE = {"host", "authorization", "x-amz-date", "content-length", "amz-sdk-invocation-id", "amz-sdk-request"}
"""Headers that each request has its own of; two number botocore's attempts."""
_PORTS = {"http": ":80", "https": ":443"}


class UnknownHeader(ValueError):
    """A pattern's header that means something unknown."""

    def __str__(self) -> str:
        return "a request with headers of its own"


class Signer:
    """Signs as a request did that botocore has signed: for its URL, and with the headers that do not change.

    Raises ValueError for a pattern that it would not have signed as botocore has.
    """

    def __init__(self, url: str, headers: Mapping[str, str], body: bytes, access_key: str, secret_key: str) -> None:
        parts, found = urlsplit(url), {name.lower(): value for name, value in headers.items()}
        told = _AUTHORIZATION.fullmatch(found.get("authorization", ""))
        if told is None or told["id"] != access_key or parts.query:
            raise ValueError("the request is not signed with these credentials")
        self._path, self._host = parts.path or "/", parts.netloc.removesuffix(_PORTS.get(parts.scheme, ""))
        self._id, self._secret, self._scope = access_key, secret_key, told["scope"]
        if not found.keys() <= _KEPT | _MADE:
            raise UnknownHeader
        names = [name for name in told["signed"].split(";") if name not in ("host", "x-amz-date")]
        self._prepare(found["x-amz-date"], {name: found[name] for name in names})
        if self._sign(body) != told["signature"]:
            raise ValueError("the request is signed in another way")
        self._fixed = {name: value for name, value in found.items() if name in _KEPT}
        self._signed = {name: value for name, value in self._fixed.items() if name in names}
        self._second = -1

    def head(self, body: bytes, second: int) -> bytes:
        """The request line and headers to send before this body at this time, in seconds since 1970."""
        if second != self._second:
            self._second, stamp = second, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
            self._prepare(stamp, self._signed)
            lines = [f"POST {self._path} HTTP/1.1", f"host: {self._host}", "accept-encoding: identity"]
            lines += [f"{name}: {value}" for name, value in self._fixed.items()]
            lines += [f"x-amz-date: {stamp}", f"authorization: {self._authorization}, Signature="]
            self._head = "\r\n".join(lines)
        return f"{self._head}{self._sign(body)}\r\ncontent-length: {len(body)}\r\n\r\n".encode()

    def _prepare(self, stamp: str, signed: Mapping[str, str]) -> None:
        """Work out what the requests of one second (such as 20260228T010203Z) share."""
        values = {**signed, "host": self._host, "x-amz-date": stamp}
        names = ";".join(sorted(values))
        headers = "".join(f"{name}:{' '.join(values[name].split())}\n" for name in sorted(values))
        self._canonical = f"POST\n{self._path}\n\n{headers}\n{names}\n".encode()
        scope, self._key = f"{stamp[:8]}/{self._scope}", f"AWS4{self._secret}".encode()
        for part in scope.split("/"):
            self._key = hmac.digest(self._key, part.encode(), "sha256")
        self._hmac = hmac.new(self._key, digestmod="sha256")
        self._to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n".encode()
        self._authorization = f"AWS4-HMAC-SHA256 Credential={self._id}/{scope}, SignedHeaders={names}"

    def _sign(self, body: bytes) -> str:
        canonical = self._canonical + sha256(body).hexdigest().encode()
        signature = self._hmac.copy()
        signature.update(self._to_sign + sha256(canonical).hexdigest().encode())
        return signature.hexdigest()
