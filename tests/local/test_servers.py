"""A private database server: strict, closed to others, and there again after a kill."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from dataops.errors import StackError
from dataops.local.mysqld import find_program
from dataops.local.servers import MySQLServer
from dataops.local.spawn import Spawner


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, spawner: Spawner) -> Iterator[MySQLServer]:
    """A server with the database `shop`."""
    server = MySQLServer(find_program(), tmp_path_factory.mktemp("s") / "shop", "shop", spawner)
    server.create()
    yield server
    server.stop()


def query(server: MySQLServer, sql: str) -> tuple[object, ...]:
    """The first row that a statement gives."""
    info = server.info
    with pymysql.connect(
        host=info.host, port=info.port, user=info.user, password=info.password, database=info.database, autocommit=True
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        cursor.execute(sql)
        return cursor.fetchone() or ()


def test_server_is_strict_in_utc_and_utf8mb4(server: MySQLServer) -> None:
    mode, zone, charset, infile = query(
        server, "SELECT @@sql_mode, @@time_zone, @@character_set_database, @@local_infile"
    )
    assert set(str(mode).split(",")) == {"STRICT_TRANS_TABLES", "ERROR_FOR_DIVISION_BY_ZERO", "NO_ENGINE_SUBSTITUTION"}
    assert (zone, charset, infile) == ("+00:00", "utf8mb4", 1)


def test_too_long_a_value_is_an_error(server: MySQLServer) -> None:
    query(server, "CREATE TABLE narrow (name VARCHAR(2))")
    with pytest.raises(pymysql.DataError, match="1406"):
        query(server, "INSERT INTO narrow VALUES ('abc')")


@pytest.mark.parametrize("user", ["root", "anybody", ""])
def test_nobody_gets_in_over_tcp_without_the_password(server: MySQLServer, user: str) -> None:
    with pytest.raises(pymysql.OperationalError, match="1045"):
        pymysql.connect(host="127.0.0.1", port=server.port, user=user or None)


def test_root_has_no_way_in_but_the_socket(server: MySQLServer) -> None:
    with server.connect_root() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT user, host FROM mysql.user WHERE user IN ('root', '')")
        assert cursor.fetchall() == (("root", "localhost"),)
    with pytest.raises(pymysql.OperationalError, match="1045"):
        pymysql.connect(host="127.0.0.1", port=server.port, user="root", password=server._root)


def test_server_listens_on_loopback_only(server: MySQLServer) -> None:
    assert query(server, "SELECT @@bind_address") == ("127.0.0.1",)


def test_temporary_tables_are_the_servers_own(server: MySQLServer) -> None:
    assert query(server, "SELECT @@tmpdir") == (str(server.folder / "tmp"),)


def test_killed_server_comes_back_with_its_data_port_and_password(server: MySQLServer) -> None:
    before, pid = server.info, server.pid
    query(server, "CREATE TABLE kept (id INT PRIMARY KEY)")
    server.kill()
    assert server.pid is None
    server.restart()
    assert (server.info, server.pid != pid) == (before, True)
    assert query(server, "SELECT count(*) FROM kept") == (0,)


def test_stopped_server_keeps_its_rows(server: MySQLServer) -> None:
    query(server, "CREATE TABLE safe AS SELECT 7 AS id")
    server.stop()
    server.start()
    assert query(server, "SELECT id FROM safe") == (7,)


def test_password_is_taken_over_tcp_without_tls_or_rsa(server: MySQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pymysql._auth._have_cryptography", False)  # a sandbox has none
    server.restart()
    info = server.info
    pymysql.connect(host=info.host, port=info.port, user=info.user, password=info.password, ssl_disabled=True).close()


def test_taken_port_is_left_for_another(server: MySQLServer) -> None:
    server.stop()
    with socket.socket() as rival:
        rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        rival.bind(("127.0.0.1", server.port))
        rival.listen()
        taken = server.port
        server.start()
    assert server.port != taken
    assert query(server, "SELECT 1") == (1,)


def test_server_that_cannot_start_says_why_in_one_line(tmp_path: Path, spawner: Spawner) -> None:
    server = MySQLServer(find_program(), tmp_path / "shop", "shop", spawner)
    (tmp_path / "shop/tmp").mkdir(parents=True)
    (tmp_path / "shop/data").write_text("in the way")
    with pytest.raises(StackError, match=r"^shop server ended at once .*shop/data") as refused:
        server.start()
    assert "\n" not in str(refused.value)
