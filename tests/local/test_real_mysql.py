"""A real MySQL server, as fetched: what a server that is MariaDB cannot show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dataops.local.mysqld import find_program
from dataops.local.servers import MySQLServer
from dataops.local.spawn import Spawner
from dataops.workbook.demo import open_server


@pytest.fixture(scope="module")
def mysql(tmp_path_factory: pytest.TempPathFactory, spawner: Spawner) -> Iterator[MySQLServer]:
    """A MySQL server with the database `shop`."""
    server = MySQLServer(find_program("mysql"), tmp_path_factory.mktemp("s") / "shop", "shop", spawner)
    server.create()
    yield server
    server.stop()


def test_server_is_mysql_and_of_the_version_that_it_tells(mysql: MySQLServer) -> None:
    with open_server(mysql.info) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        found = cursor.fetchone()
    assert (mysql.info.flavor, found[0].partition("-")[0]) == ("mysql", mysql.info.version.partition("-")[0])


def test_table_has_a_collation_that_only_mysql_knows(mysql: MySQLServer) -> None:
    with open_server(mysql.info) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (name VARCHAR(9) UNIQUE) CHARSET utf8mb4 COLLATE utf8mb4_0900_ai_ci")
        cursor.execute("INSERT INTO t VALUES ('Ärger'), ('寿司🍣')")
        cursor.execute("SELECT name FROM t WHERE name IN ('arger', '寿司🍣') ORDER BY name")
        assert cursor.fetchall() == (("Ärger",), ("寿司🍣",))


def test_server_finds_its_own_files(mysql: MySQLServer) -> None:
    with open_server(mysql.info) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@character_sets_dir, @@lc_messages_dir")
        charsets, messages = cursor.fetchone()
    assert Path(charsets, "Index.xml").exists()
    assert Path(messages, "english/errmsg.sys").exists()
    assert set(mysql.program.flags) <= set(psutil.Process(mysql.pid).cmdline())


def test_killed_server_comes_back(mysql: MySQLServer) -> None:
    mysql.kill()
    mysql.restart()
    assert mysql.pid is not None
