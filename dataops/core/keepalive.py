"""HTTP/1.1 connections that are kept: one request and its reply at a time, no more than DynamoDB needs.

A reply that is not as expected (no length, no status, cut off, bytes over, other checksum) is an OSError, as is a lost
connection: whoever asked has to ask again in another way.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import struct
import time
from functools import cache
from typing import NamedTuple
from urllib.parse import urlsplit
from zlib import crc32

CONNECT_SECONDS, REPLY_SECONDS, IDLE_SECONDS = 5, 20, 5.0
"""As long as the plain client waits; after so many idle seconds a server may be about to close a connection."""

_STATUS = re.compile(rb"http/1\.1 (\d{3}) ")
_LENGTH, _CHECKSUM = re.compile(rb"\r\ncontent-length: *(\d+)"), re.compile(rb"\r\nx-amz-crc32: *(\d+)")


class NotUnderstood(ConnectionError):
    """A reply that is none of HTTP/1.1 with a length: another client may take it."""


class Reply(NamedTuple):
    """A reply that came whole; `lasting` says that its connection takes another request."""

    status: int
    body: bytes
    lasting: bool


class Connection:
    """A connection to the server of a URL, over TLS for https; the server's name and certificate are checked.

    Raises OSError when there is none.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.secure = secure = parts.scheme == "https"
        host = parts.hostname or ""
        plain = socket.create_connection((host, parts.port or (443 if secure else 80)), CONNECT_SECONDS)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = _tls().wrap_socket(plain, server_hostname=host) if secure else plain
        except BaseException:
            plain.close()
            raise
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):  # by the kernel: Python's would poll before each call
            self._socket.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", REPLY_SECONDS, 0))
        self._socket.settimeout(REPLY_SECONDS if secure else None)  # over TLS Python goes on where the kernel gives up
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._used = time.monotonic()

    def send(self, request: bytes) -> None:
        """Send a whole request. Raises OSError."""
        self._socket.sendall(request)

    def has_reply(self) -> bool:
        """Whether something has come, over TLS perhaps not a reply, or the connection has ended."""
        return bool(self._poll.poll(0))

    def is_fresh(self) -> bool:
        """Whether it was used a moment ago, and nothing has come since: an end, or a reply that nobody has asked for."""
        return time.monotonic() - self._used < IDLE_SECONDS and not self.has_reply()

    def reply(self) -> Reply:
        """The reply, waited for. Raises OSError."""
        received = self._receive()
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        head = received[:end].lower()
        status, length, checksum = _STATUS.match(head), _LENGTH.search(head), _CHECKSUM.search(head)
        if status is None or length is None:
            raise NotUnderstood("a reply that is not understood")
        whole = end + 4 + int(length[1])
        while len(received) < whole:
            received += self._receive()
        body = received[end + 4 :]
        if len(received) > whole or (checksum and crc32(body) != int(checksum[1])):
            raise ConnectionError("a reply that is damaged")
        self._used = time.monotonic()
        return Reply(int(status[1]), body, b"\r\nconnection: close" not in head)

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _receive(self) -> bytes:
        received = self._socket.recv(65536)
        if not received:
            raise ConnectionError("the server has closed the connection")
        return received


@cache
def _tls() -> ssl.SSLContext:
    """What checks servers, by the certificates that botocore's clients trust."""
    import botocore.session
    from botocore.httpsession import get_cert_path

    bundle = botocore.session.get_session().get_config_variable("ca_bundle")
    context = ssl.create_default_context(cafile=bundle or get_cert_path(True))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Python 3.13's, not botocore's: older CAs lack what it asks for
    return context
