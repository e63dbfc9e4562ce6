"""Clients of AWS's services, made by botocore alone.

What boto3 adds to it, resources and transfers, no function needs, and its import would take 15 ms of each cold start.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast
from zlib import crc32

if TYPE_CHECKING:
    from botocore.session import Session

_Client = TypeVar("_Client")

_made: list[Session] = []
_kept: dict[Callable[[], Any], tuple[float, Any]] = {}
_DAMAGED = "damaged"


def aws_session() -> Session:
    """The one session of this process: it knows region, endpoints and credentials, and renews these."""
    if not _made:
        import botocore.session

        _made.append(botocore.session.get_session())
    return _made[0]


def aws_client(service: str, **options: Any) -> Any:
    """A client of a service, as boto3 would make it; `options` are those of `Session.create_client`."""
    return aws_session().create_client(service, **options)


FRESH_SECONDS = 60.0
"""A client unused for longer is not used again: a NAT gateway forgets its idle connections, and may not say so."""


def kept(make: Callable[[], _Client]) -> _Client:
    """The client that `make`, a module's function, makes: in a function's process one for invocations soon after each other.

    To make one takes 3 ms of a whole processor, and a function of 256 MB has a seventh of it. `time.time` goes on while
    a process is frozen between invocations, which come one at a time.
    """
    if "AWS_LAMBDA_RUNTIME_API" not in os.environ:
        return make()
    used, client = _kept.get(make, (0.0, None))
    if not 0 <= time.time() - used < FRESH_SECONDS:
        client = make()
    _kept[make] = time.time(), client
    return cast("_Client", client)


def forget_clients() -> None:
    """Have the next invocation make its own: after a failure with connections and retries of its own."""
    _kept.clear()


def check_replies(client: Any) -> None:
    """Have a DynamoDB client raise ChecksumError for a damaged reply, which botocore gives away after its last attempt."""
    client.meta.events.register("before-parse.dynamodb", _mark_damaged)
    client.meta.events.register("after-call.dynamodb", _refuse_damaged)


def _mark_damaged(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    told, found = response_dict["headers"].get("x-amz-crc32"), str(crc32(response_dict["body"]))
    if told not in (None, found):
        response_dict["body"] = b"{}"  # nobody is to read what there is, nor to stumble over it
        customized_response_dict[_DAMAGED] = (told, found)


def _refuse_damaged(parsed: dict[str, Any], **_: Any) -> None:
    if _DAMAGED in parsed:
        from botocore.exceptions import ChecksumError

        told, found = parsed[_DAMAGED]
        raise ChecksumError(checksum_type="crc32", expected_checksum=told, actual_checksum=found)
