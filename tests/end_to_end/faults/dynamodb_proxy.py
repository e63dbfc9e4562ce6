"""A proxy before the emulated DynamoDB: each call goes through a rule that may refuse, alter, delay or drop it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from tests.end_to_end.faults.callers import kill_caller
from tests.end_to_end.faults.rules import Rules


class Reply(NamedTuple):
    """An HTTP reply: status and JSON body."""

    status: int
    body: dict[str, Any]
    headers: tuple[tuple[str, str], ...] = ()


class Call(NamedTuple):
    """A call on its way: operation, body, and whether a Lambda function makes it; `forward` may be given another body."""

    operation: str
    body: dict[str, Any]
    from_lambda: bool
    forward: Callable[..., Reply]
    kill_caller: Callable[[], int]

    @property
    def tables(self) -> set[str]:
        """The tables that the call is about."""
        return set(self.body.get("RequestItems", ())) or {self.body.get("TableName", "")}


Rule: TypeAlias = Callable[[Call], Reply | None]
"""Gives the reply to a call; None closes the connection without one."""


def forward(call: Call) -> Reply:
    """What the emulator answers."""
    return call.forward()


def error(code: str, status: int = 400) -> Rule:
    """Refuses a call, as DynamoDB does with this code."""
    return lambda call: Reply(status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no reason"})


def drop_before(call: Call) -> None:
    """Closes the connection; the call never reaches DynamoDB."""


def drop_after(call: Call) -> None:
    """Closes the connection when DynamoDB has done what was asked."""
    call.forward()


def kill_before(call: Call) -> None:
    """Kills the caller; the call never reaches DynamoDB."""
    call.kill_caller()


def kill_after(call: Call) -> None:
    """Kills the caller when DynamoDB has done what was asked, before it hears of it."""
    call.forward()
    call.kill_caller()


class DynamoDBProxy(Rules[Call, Reply | None]):
    """Listens on a loopback port of its own; `url` is what `AWS_ENDPOINT_URL_DYNAMODB` is to say.

    Its rules are for what functions call, seen as operation and table; all else goes through. With `listens=False`
    connections are refused until `listen` is called.
    """

    def __init__(self, endpoint: str, *, listens: bool = True) -> None:
        super().__init__(forward)
        self._host = urlsplit(endpoint).netloc
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                proxy._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self._server.daemon_threads = True
        self._server.server_bind()
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        if listens:
            self.listen()

    def listen(self) -> None:
        """Take connections from now on."""
        self._server.server_activate()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        content = handler.rfile.read(int(handler.headers["Content-Length"]))
        operation = handler.headers["X-Amz-Target"].rpartition(".")[2]
        call = Call(
            operation, json.loads(content), "exec-env/AWS_Lambda" in handler.headers["User-Agent"],
            lambda body=None: self._forward(handler, json.dumps(body).encode() if body else content),
            lambda: kill_caller(handler.client_address[1], self.port),
        )  # fmt: skip
        name = f"{operation} {' '.join(sorted(call.tables))}"
        rule = self.choose(call, name) if call.from_lambda else self._otherwise
        reply = rule(call)
        handler.close_connection = reply is None
        if reply is not None:
            self._send(handler, reply)

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        content = json.dumps(reply.body).encode()
        with suppress(OSError):  # the caller may be gone
            handler.send_response(reply.status)
            for name, value in reply.headers:
                handler.send_header(name, value)
            handler.send_header("Content-Type", "application/x-amz-json-1.0")
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)
            handler.wfile.flush()

    def _forward(self, handler: BaseHTTPRequestHandler, content: bytes) -> Reply:
        connection = HTTPConnection(self._host, timeout=60)
        dropped = ("connection", "host", "accept-encoding", "transfer-encoding", "content-length")
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in dropped}
        connection.request("POST", handler.path, content, headers)
        reply = connection.getresponse()
        body = json.loads(reply.read() or b"{}")
        connection.close()
        kept = tuple(
            (name, value) for name, value in reply.getheaders() if name.lower() in ("x-amzn-requestid", "date")
        )
        return Reply(reply.status, body, kept)
