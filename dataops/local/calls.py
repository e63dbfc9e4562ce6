"""Which AWS calls functions made, as IAM names them: the embedded stack's own trail.

Each sandbox signs with an access key that is its function's name, as Lambda gives each function its role's credentials.
Both emulators write each distinct call once, so the trail stays small however long the stack lives. It holds names of
actions, tables, indexes, secrets, topics and executions; never a key or a value.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from dataops.local.registry import ACCOUNT

SUFFIX = "-AbCdEf"
"""What Secrets Manager adds to a secret's name in its ARN: a hyphen and six characters of its own."""
_CREDENTIAL = re.compile(r"Credential=(dataops-[^/,]+)/\d+/([^/]+)/([^/]+)/")
UNKNOWN = "unknown"


class Call(NamedTuple):
    """A function called an action (`dynamodb:Query`) on a resource (an ARN, or `*` where the action has none)."""

    function: str
    action: str
    resource: str


class Trail:
    """Appends each distinct call to a file, once."""

    def __init__(self, file: Path) -> None:
        self._file, self._seen, self._lock = file, set[Call](), threading.Lock()

    def add(self, headers: Mapping[str, str], body: bytes) -> None:
        """Keep the calls of a request (its headers in lower case) if a function made it."""
        with self._lock:
            for call in set(calls_of(headers, body)) - self._seen:
                self._seen.add(call)
                with self._file.open("a") as file:
                    file.write(json.dumps(call) + "\n")


def read_trail(folder: Path) -> set[Call]:
    """All calls that functions made on the stack with this folder."""
    return {Call(*json.loads(line)) for file in folder.glob("calls-*.jsonl") for line in file.read_text().splitlines()}


def calls_of(headers: Mapping[str, str], body: bytes) -> Iterator[Call]:
    """What a signed request asks for; nothing where no function signed it.

    A call whose action or resource cannot be read is kept as `unknown`, which no role allows: it is never overlooked.
    """
    signed = _CREDENTIAL.search(headers.get("authorization", ""))
    if not signed:
        return
    function, region, service = signed.groups()
    target = headers.get("x-amz-target", "").rpartition(".")[2]
    given: dict[str, Any] = {}
    with suppress(ValueError):
        given = json.loads(body) if target else {name: of[0] for name, of in parse_qs(body.decode()).items()}
    action = f"{service}:{target or given.get('Action', UNKNOWN)}"
    for resource in _resources(service, given, region):
        yield Call(function, action, resource)


def _resources(service: str, given: Mapping[str, Any], region: str) -> list[str]:
    """The ARNs that a request names; DynamoDB's calls without a table are the account's."""
    if service == "dynamodb":
        names = [*given.get("RequestItems", ()), *filter(None, [given.get("TableName")])]
        index = f"/index/{given['IndexName']}" if "IndexName" in given else ""
        return [f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/{name}{index}" for name in names] or ["*"]
    if service == "secretsmanager" and "SecretId" in given:
        name = given["SecretId"]
        return [name if name.startswith("arn:") else f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}{SUFFIX}"]
    named = {"states": "executionArn", "sns": "TopicArn"}.get(service, "")
    return [given.get(named, UNKNOWN)]


Application = Callable[
    [dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
]


def trailed(application: Application, trail: Trail) -> Application:
    """An ASGI application that adds each request to the trail before it answers."""

    async def answer(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope.get("headers", ())}
        if scope["type"] != "http" or "Credential=dataops-" not in headers.get("authorization", ""):
            return await application(scope, receive, send)
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        trail.add(headers, b"".join(message.get("body", b"") for message in messages))
        waiting = iter(messages)

        async def replay() -> Any:
            return next(waiting, None) or await receive()

        return await application(scope, replay, send)

    return answer


def trailed_wsgi(application: Callable[..., Any], trail: Trail) -> Callable[..., Any]:
    """The same for a WSGI application."""

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        if "Credential=dataops-" in environ.get("HTTP_AUTHORIZATION", ""):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = BytesIO(body)
            headers = {
                "authorization": environ["HTTP_AUTHORIZATION"],
                "x-amz-target": environ.get("HTTP_X_AMZ_TARGET", ""),
            }
            trail.add(headers, body)
        return application(environ, start_response)

    return answer
