"""What botocore's client makes of a BatchWriteItem, so that the like can be made without it."""

from __future__ import annotations

from ssl import SSLCertVerificationError
from typing import TYPE_CHECKING, Any

from dataops.core.aws import aws_session
from dataops.core.keepalive import NotUnderstood
from dataops.core.signer import Signer, UnknownHeader

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.credentials import Credentials

CHANCES = 3
"""Requests of botocore's that may be unlike ours, or replies in a row not understood, before all are left to it."""


class Pattern:
    """The pattern of one client's requests, which `aws_client` must have made.

    `unusable` says why there is no going without the client, `url` where requests go.
    """

    def __init__(self, client: Any) -> None:
        self.unusable, self.url, self._chances = "", "", CHANCES
        self._configured = client.meta.config.proxies
        self._request: AWSPreparedRequest | None = None
        self._signer: Signer | None = None
        self._credentials: tuple[Any, ...] | None = None
        client.meta.events.register("before-send.dynamodb.BatchWriteItem", self._see)

    def signer(self) -> Signer | None:
        """What signs with the credentials of now; None when the client is to send the next batch.

        botocore's own session refreshes them in time, whatever they come from.
        """
        if self._request is None or self.unusable:
            return None
        try:
            credentials = self._frozen()
        except _refusals():  # asked only where something is raised
            return None  # the client asks again, and says what is wrong
        if self._signer is None:
            self._learn(self._request, credentials)
        elif credentials != self._credentials:
            self._request = self._signer = None
        return self._signer

    def trust(self) -> None:
        """A request of ours has come through."""
        self._chances = CHANCES

    def doubt(self, error: OSError) -> None:
        """A request of ours has not: if it is for a reason that botocore's client may not have, it has few more chances."""
        if isinstance(error, NotUnderstood):
            self._forgo("replies that are not understood")
        elif isinstance(error, SSLCertVerificationError):
            self._forgo("a certificate that is not understood")

    def _forgo(self, why: str) -> None:
        self._chances -= 1
        if self._chances <= 0:
            self.unusable = why

    def _see(self, request: AWSPreparedRequest, **_: Any) -> None:
        self._request = request

    def _learn(self, request: AWSPreparedRequest, credentials: tuple[Any, ...]) -> None:
        from botocore.utils import get_environ_proxies

        if self._configured or get_environ_proxies(request.url):
            self.unusable = "a proxy"
            return
        headers = {
            name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
        }
        body = request.body if isinstance(request.body, bytes) else b""
        try:
            self._signer = Signer(request.url, headers, body, *credentials[:2])
        except (ValueError, LookupError) as error:
            self._request = None
            self._forgo(str(error) if isinstance(error, UnknownHeader) else "a request that is signed in another way")
            return
        self.url, self._credentials = request.url, credentials

    def _frozen(self) -> tuple[Any, ...]:
        credentials: Credentials | None = aws_session().get_credentials()
        return credentials.get_frozen_credentials() if credentials else ("", "", None)


def _refusals() -> tuple[type[Exception], ...]:
    """What is raised where there are no credentials to be had."""
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError, RuntimeError
