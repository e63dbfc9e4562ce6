"""A proxy before a MySQL server, without TLS: each statement goes through a rule that may cut, stall or kill."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, TypeAlias

from tests.end_to_end.faults.callers import kill_caller
from tests.end_to_end.faults.rules import Rules

COM_QUERY = 3


class Statement(NamedTuple):
    """A statement on its way. `send()` hands it to the server and returns when the reply begins, which is held back."""

    sql: str
    send: Callable[[], None]
    kill_caller: Callable[[], int]
    cut_reply_after: Callable[[int], None]


def begins(*words: str) -> Callable[[Statement], bool]:
    """Picks the statements that begin with one of these."""
    return lambda statement: statement.sql.startswith(words)


Rule: TypeAlias = Callable[[Statement], bool]
"""Whether the statement goes on: True delivers the reply (and sends what was not sent yet), False cuts both ends."""


def cut_before(statement: Statement) -> bool:
    """Cuts the connection; the statement never reaches the server."""
    return False


def cut_after(statement: Statement) -> bool:
    """Cuts the connection when the server has done what was asked."""
    statement.send()
    return False


def cut_reply(bytes_: int) -> Rule:
    """Cuts the connection when so many bytes of the reply have been delivered."""

    def rule(statement: Statement) -> bool:
        statement.cut_reply_after(bytes_)
        return True

    return rule


def kill_before(statement: Statement) -> bool:
    """Kills the caller; the statement never reaches the server."""
    statement.kill_caller()
    return False


def kill_after(statement: Statement) -> bool:
    """Kills the caller when the server has done what was asked, before it hears of it."""
    statement.send()
    statement.kill_caller()
    return False


class MySQLProxy(Rules[Statement, bool]):
    """Listens on a loopback port of its own and relays to the one that a server has at that moment.

    Its rules are for statements, seen by their first words.
    """

    def __init__(self, port: Callable[[], int]) -> None:
        super().__init__(lambda _: True)
        self._server_port, self._closed = port, False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no longer."""
        self._listener.close()

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Within it every connection is closed as soon as it is made."""
        self._closed = True
        try:
            yield
        finally:
            self._closed = False

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, (_, port) = self._listener.accept()
                if self._closed:
                    client.close()
                    continue
                try:
                    server = socket.create_connection(("127.0.0.1", self._server_port()))
                except OSError:
                    client.close()
                    continue
                _Relay(self, client, server, port).start()


class _Relay:
    """One connection: a thread each way."""

    def __init__(self, proxy: MySQLProxy, client: socket.socket, server: socket.socket, port: int) -> None:
        self._proxy, self._client, self._server, self._port = proxy, client, server, port
        self._held = threading.Event()
        self._replied, self._released = threading.Event(), threading.Event()
        self._left: int | None = None
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        for way in (self._upstream, self._downstream):
            threading.Thread(target=way, daemon=True).start()

    def _upstream(self) -> None:
        with suppress(OSError, EOFError, LookupError):
            while True:
                head = self._read(4)
                body = self._read(int.from_bytes(head[:3], "little"))
                if head[3] == 0 and body[:1] == bytes([COM_QUERY]):
                    self._query(head + body)
                else:
                    self._server.sendall(head + body)
        self._close()

    def _query(self, packet: bytes) -> None:
        sent = []

        def send() -> None:
            with suppress(OSError, EOFError):  # the server may be killed meanwhile
                last = self._send_file(packet) if packet[5:].startswith(b"LOAD DATA LOCAL") else packet
                self._released.clear()
                self._replied.clear()
                self._held.set()
                sent.append(self._server.sendall(last))
                self._replied.wait(120)

        statement = Statement(
            packet[5:].decode("utf-8", "replace"), send,
            lambda: kill_caller(self._port, self._proxy.port), lambda bytes_: setattr(self, "_left", bytes_),
        )  # fmt: skip
        if not self._proxy.choose(statement, statement.sql[:60])(statement):
            raise EOFError
        if not sent:
            self._server.sendall(packet)
        self._held.clear()
        self._released.set()

    def _send_file(self, statement: bytes) -> bytes:
        """Hand over a statement and the file that the server then asks for; gives the empty packet that ends it."""
        self._server.sendall(statement)
        while head := self._read(4):
            body = self._read(int.from_bytes(head[:3], "little"))
            if not body:
                break
            self._server.sendall(head + body)
        return head

    def _downstream(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(65536):
                if self._held.is_set():
                    self._replied.set()
                    self._released.wait(120)
                if self._left is not None:
                    data = data[: self._left]
                    self._left -= len(data)
                self._client.sendall(data)
                if self._left == 0:
                    break
        self._replied.set()
        self._close()

    def _read(self, count: int) -> bytes:
        data = self._client.recv(count, socket.MSG_WAITALL) if count else b""
        if len(data) < count:
            raise EOFError
        return data

    def _close(self) -> None:
        self._released.set()
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
