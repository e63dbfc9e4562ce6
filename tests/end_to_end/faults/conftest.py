"""Ways to a run through proxies, and what must hold after every fault."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import boto3
import pytest

from dataops.local.mysqld import find_program
from dataops.local.servers import MySQLServer, ServerInfo
from dataops.local.spawn import Spawner
from dataops.local.stack import Stack
from dataops.workbook.result import RunResult
from tests.end_to_end.conftest import Case
from tests.end_to_end.faults.dynamodb_proxy import DynamoDBProxy
from tests.end_to_end.faults.mysql_proxy import MySQLProxy

ROWS = 3000


@cache
def proxy_of(endpoint: str) -> DynamoDBProxy:
    """One proxy for all tests: another would be another configuration, and every function would start anew."""
    return DynamoDBProxy(endpoint)


@pytest.fixture(autouse=True)
def dynamodb(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoDBProxy]:
    """A proxy before DynamoDB, for functions and for this process, without a rule yet."""
    proxy = proxy_of(stack.info.variables["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", proxy.url)
    yield proxy
    proxy.clear()


def put_secret(case: Case, which: str, server: ServerInfo, port: int) -> None:
    """Have the case's batches reach the server by this port."""
    name = f"{case.name}/{which}"
    fields = {
        "host": server.host, "port": port, "username": server.user, "password": server.password,
        "dbname": server.database, "tls": "off",
    }  # fmt: skip
    boto3.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(fields))
    case.changes[f"{which}__secret"] = name


@pytest.fixture
def proxied(stack: Stack, case: Case) -> Iterator[Callable[[str], MySQLProxy]]:
    """Gives, for `source` or `target`, a proxy before that server, and has the case's batches go through it."""
    proxies = []

    def through(which: str) -> MySQLProxy:
        server: ServerInfo = getattr(stack.info, which)
        proxy = MySQLProxy(lambda: server.port)
        put_secret(case, which, server, proxy.port)
        proxies.append(proxy)
        return proxy

    yield through
    for proxy in proxies:
        proxy.close()


@pytest.fixture
def rows(case: Case) -> Case:
    """A case of a few thousand rows in four chunks, whose target holds other rows from before."""
    columns = "(id INT PRIMARY KEY, v VARCHAR(60), d DATETIME(3), n DECIMAL(12,4))"
    case.source(f"CREATE TABLE {{t}} {columns}")
    fill(case.source, 1, ROWS)
    case.target(f"CREATE TABLE {{t}} {columns}")
    case.target("INSERT INTO {t} VALUES (0, 'old', NULL, 1), (1, 'old', NULL, 2)")
    return case


def fill(execute: Callable[..., object], first: int, last: int) -> None:
    """Insert rows of these numbers."""
    values = (
        (n, f"row {n}", f"2026-01-01 00:{n // 60 % 60:02d}:{n % 60:02d}.5", n / 8) for n in range(first, last + 1)
    )
    execute("INSERT INTO {t} VALUES (%s, %s, %s, %s)", *values)


def is_old(case: Case) -> bool:
    """Whether the target is as it was before."""
    return [row[:2] for row in case.target("SELECT * FROM {t} ORDER BY id")] == [(0, "old"), (1, "old")]


def is_new(case: Case) -> bool:
    """Whether the target holds exactly the source's rows, by the servers' own checksums and by each row."""
    same = case.source("SELECT * FROM {t} ORDER BY id") == case.target("SELECT * FROM {t} ORDER BY id")
    checks = case.checksums()
    return same and checks[0] == checks[1]


def assert_survived(case: Case, result: RunResult) -> None:
    """The run succeeded all the same: every row accounted for, target equal to source, nothing left beside it."""
    record = result.record
    assert (result.status, record.cause) == ("succeeded", "")
    assert record.adds_up
    assert record.source_rows == record.items == record.target_rows == case.source("SELECT COUNT(*) FROM {t}")[0][0]
    assert is_new(case)
    assert case.leftovers() == []


def assert_failed(case: Case, result: RunResult, *messages: str, mend: Callable[[], object] = int) -> None:
    """The run said that and why it failed, the target is as it was, and the next run, after `mend`, ends clean."""
    assert (result.status, result.exit_status) == ("failed", 1)
    for message in messages:
        assert message in result.record.cause
    assert is_old(case)
    mend()
    assert_survived(case, case.run())


@pytest.fixture(scope="module")
def mortal_server(stack: Stack) -> Iterator[MySQLServer]:
    """A target server that may be killed. As on RDS its user has no privilege beyond the database."""
    folder = Path(tempfile.mkdtemp(prefix="dataops-", dir="/tmp"))
    server = MySQLServer(find_program(stack.info.target.flavor), folder / "t", "target", Spawner())
    server.create()
    with closing(server.connect_root()) as root, root.cursor() as cursor:
        cursor.execute(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{server.info.user}'@'%'")
        cursor.execute(f"GRANT ALL ON `target`.* TO '{server.info.user}'@'%'")
    server._log_in()  # the server forgets the logins that it has seen when it forgets privileges
    yield server
    server.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def mortal(mortal_server: MySQLServer, case: Case) -> Iterator[MySQLProxy]:
    """The proxy by which the case's batches reach the target server that may be killed."""
    proxy = MySQLProxy(lambda: mortal_server.port)
    put_secret(case, "target", mortal_server.info, proxy.port)
    case.connect_target(mortal_server.info)
    yield proxy
    proxy.close()
