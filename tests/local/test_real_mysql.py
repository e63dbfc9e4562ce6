"""A real MySQL server, as fetched: what a server that is MariaDB cannot show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from dataops.core.connection import connect
from dataops.core.mysql import execute
from dataops.core.secrets import Secret, parse_secret
from dataops.errors import SecretError
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


@pytest.fixture
def stranger(mysql: MySQLServer, monkeypatch: pytest.MonkeyPatch) -> Secret:
    """The secret, without TLS, of a user whose password the server does not remember; and no `cryptography`, as in a function."""
    monkeypatch.setattr("pymysql._auth._have_cryptography", False)
    ask_root(mysql, "DROP USER IF EXISTS stranger", "CREATE USER stranger IDENTIFIED BY 'long enough'")
    fields = {"host": mysql.info.host, "port": mysql.info.port, "username": "stranger", "password": "long enough"}
    return parse_secret("shop", json.dumps(fields | {"tls": "off"}))


def ask_root(server: MySQLServer, *statements: str) -> None:
    """Have the server's administrator execute statements."""
    with closing(server.connect_root()) as root, root.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def cipher_of(secret: Secret) -> str:
    """What the server says that a new connection is encrypted by; nothing where it is not."""
    with closing(connect(secret)) as connection:
        return str(execute(connection, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1])


def test_password_goes_over_tls_until_the_server_remembers_it(mysql: MySQLServer, stranger: Secret) -> None:
    for _ in range(2):
        assert cipher_of(stranger).startswith("TLS_")
        assert cipher_of(stranger) == ""
        ask_root(mysql, "FLUSH PRIVILEGES")


def test_password_is_not_sent_where_there_is_no_tls(mysql: MySQLServer, stranger: Secret) -> None:
    ask_root(mysql, "SET GLOBAL tls_version = ''", "ALTER INSTANCE RELOAD TLS NO ROLLBACK ON ERROR")
    told = rf"^127.0.0.1:{mysql.port} \(secret shop\): the server takes this password over TLS only, and offers none$"
    with pytest.raises(SecretError, match=told):
        connect(stranger)
    ask_root(mysql, "SET GLOBAL tls_version = 'TLSv1.2,TLSv1.3'", "ALTER INSTANCE RELOAD TLS")


def test_killed_server_comes_back(mysql: MySQLServer) -> None:
    mysql.kill()
    mysql.restart()
    assert mysql.pid is not None
