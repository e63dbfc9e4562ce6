"""LOAD DATA LOCAL from memory: the server gets the bytes that are meant for it and never a file."""

import io
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from typing import Any

import pymysql
import pytest
from pymysql.constants import CLIENT

from dataops.core import connection as connections
from dataops.core.infile import FILE, _groups, send_infile
from dataops.core.mysql import PlainReader, errors_located, execute
from dataops.core.normalize import Codec
from dataops.core.page import PlainSource
from dataops.core.secrets import Secret
from dataops.core.stopwatch import OTHER
from dataops.core.wire import WireSource
from dataops.errors import Permanent, SecretError
from tests.samples import batch_of, column, table_of

OK = struct.pack("<BBBHH", 0, 3, 0, 2, 4)
"""Three rows and four warnings."""


def packet(payload, number):
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


def asks_for(name):
    return packet(b"\xfb" + name, 1)


@contextmanager
def served(*replies):
    """A connection, logged in, to a server that says this; and what the server has been sent."""
    connection: Any = connections.TimedConnection(OTHER, defer_connect=True, local_infile=False)
    ours, theirs = socket.socketpair()
    connection._sock, connection._rfile = ours, io.BytesIO(b"".join(replies))
    connection._current_timeout = connection._read_timeout
    yield connection, lambda: theirs.recv(1 << 20)
    connection._force_close()
    theirs.close()


def statement(sql):
    return packet(b"\x03" + sql, 0)


def test_the_file_that_is_asked_for_is_the_rows_in_memory():
    with served(asks_for(FILE.encode()), packet(OK, 6)) as (connection, sent):
        assert send_infile(connection, "LOAD", b"abcde", 2) == 4
        pieces = [packet(piece, number) for number, piece in enumerate((b"ab", b"cd", b"e", b""), 2)]
        assert sent() == statement(b"LOAD") + b"".join(pieces[:2]) + b"".join(pieces[2:])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "private"
    path.write_text("private")
    return str(path).encode()


def test_a_server_that_asks_for_another_file_gets_nothing(file):
    with served(asks_for(file)) as (connection, sent):
        with pytest.raises(pymysql.OperationalError, match="asked for a file that it was not offered"):
            send_infile(connection, "LOAD", b"abc", 2)
        assert sent() == statement(b"LOAD")
        assert not connection.open


def test_a_server_that_asks_for_no_file_gets_nothing():
    with served(packet(OK, 1)) as (connection, sent):
        with pytest.raises(pymysql.OperationalError, match="asked for a file"):
            send_infile(connection, "LOAD", b"abc", 2)
        assert sent() == statement(b"LOAD")


def test_a_server_that_asks_for_the_file_once_more_gets_nothing_more():
    with served(asks_for(FILE.encode()), packet(b"\xfb" + FILE.encode(), 4)) as (connection, sent):
        with pytest.raises(pymysql.OperationalError, match="asked for a file"):
            send_infile(connection, "LOAD", b"abc", 4)
        assert sent() == statement(b"LOAD") + packet(b"abc", 2) + packet(b"", 3)
        assert not connection.open


GREETING = b"\x0a8.4.0\0" + bytes(4) + b"12345678\0" + b"\xff\xf7\xff\x02\0\xff\xff\x15" + bytes(10) + b"123456789012\0"
LOGIN_STATEMENTS = 2
"""SET NAMES, and the session's settings."""
LOGGED_IN = b"\0\0\0\x02\0\0\0"


@contextmanager
def asking_at(which, name):
    """The port of a server that asks for a file instead of answering the statement with this number; and what it was sent."""
    listener, packets = socket.create_server(("127.0.0.1", 0)), []

    def answer():
        client, _ = listener.accept()
        with client, client.makefile("rb") as received, suppress(OSError):
            client.sendall(packet(GREETING + b"mysql_native_password\0", 0))
            while head := received.read(4):
                packets.append(received.read(int.from_bytes(head[:3], "little")))
                asks = len(packets) == which + 2
                client.sendall(packet(b"\xfb" + name if asks else LOGGED_IN, head[3] + 1))

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield listener.getsockname()[1], packets
    thread.join(20)
    listener.close()


def read_by(kind):
    columns = [column("id", "int(11)", nullable=False)]
    codec = Codec(batch_of(), table_of(), None, None)
    return lambda connection: kind(PlainReader(connection, "`shop`.`t`", columns, columns, None), codec).read(
        None, None, 9
    )


ANYTHING = {
    "SET": lambda connection: execute(connection, "SET time_zone = '+00:00'"), "plain pages": read_by(PlainSource),
    "pages off the wire": read_by(WireSource),
}  # fmt: skip


@pytest.mark.parametrize("infile", [False, True])
@pytest.mark.parametrize("ask", ANYTHING.values(), ids=list(ANYTHING))
def test_a_server_that_answers_any_statement_by_asking_for_a_file_gets_nothing(file, ask, infile):
    with asking_at(LOGIN_STATEMENTS, file) as (port, packets):
        connection = connections.connect(Secret("s", "127.0.0.1", "u", port=port, tls="off"), infile=infile)
        refused = pytest.raises(Permanent, match=r"^(setting|reading .*): MySQL error 2068 .*it asked for a file")
        with refused as caught, errors_located("setting"):
            ask(connection)
        assert "private" not in str(caught.value)
        assert not connection.open
    assert len(packets) == 1 + LOGIN_STATEMENTS + 1


def test_a_server_that_asks_for_a_file_at_login_is_refused(file):
    refused = pytest.raises(SecretError, match=r"^127.0.0.1:.* MySQL error 2068 .*it asked for a file")
    with asking_at(LOGIN_STATEMENTS - 1, file) as (port, packets), refused:
        connections.connect(Secret("s", "127.0.0.1", "u", port=port, tls="off"))
    assert len(packets) == 1 + LOGIN_STATEMENTS


@pytest.mark.parametrize("infile", [False, True])
def test_the_driver_itself_never_reads_a_file(monkeypatch, infile):
    asked = {}
    monkeypatch.setattr(connections, "TimedConnection", lambda side, **given: asked.update(given))
    connections.connect(Secret("s", "127.0.0.1", "u", tls="off"), infile=infile)
    assert asked["local_infile"] is False
    assert bool(asked["client_flag"] & CLIENT.LOCAL_FILES) is infile


@pytest.mark.parametrize("most", [1, 3, 4, 5, 7, 8, 100])
def test_rows_go_in_groups_of_at_most_so_many_bytes_or_one_row(most):
    rows = [text + b"\x1e" for text in (b"a", b"bbb", b"", b"cc", b"dddddd", b"e")]
    groups = list(_groups(b"".join(rows), most))
    assert b"".join(groups) == b"".join(rows)
    assert all(group.endswith(b"\x1e") for group in groups)
    assert all(len(group) <= most or group in rows for group in groups)
    assert list(_groups(b"", most)) == []
