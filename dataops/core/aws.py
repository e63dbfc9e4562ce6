"""Clients of AWS's services, made by botocore alone.

What boto3 adds to it, resources and transfers, no function needs, and its import would take 15 ms of each cold start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.session import Session

_made: list[Session] = []


def aws_session() -> Session:
    """The one session of this process: it knows region, endpoints and credentials, and renews these."""
    if not _made:
        import botocore.session

        _made.append(botocore.session.get_session())
    return _made[0]


def aws_client(service: str, **options: Any) -> Any:
    """A client of a service, as boto3 would make it; `options` are those of `Session.create_client`."""
    return aws_session().create_client(service, **options)
