"""A case: a table of its own in the source, a batch on it, and the servers' own view of the outcome."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
import pytest

from dataops.batch import Batch, parse_batch
from dataops.core.control import Control
from dataops.local.servers import ServerInfo
from dataops.local.stack import Stack
from dataops.workbook.demo import open_server
from dataops.workbook.result import RunResult
from dataops.workbook.run import run_batch
from tests.end_to_end.flows import Shop
from tests.samples import declared

_numbers = itertools.count(1)


class Case:
    """One source table, and what is done with it."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self.folder, self.name = stack, folder, f"case_{next(_numbers)}"
        self._source, self._target = open_server(stack.info.source), open_server(stack.info.target)
        self.dynamodb: Any = boto3.client("dynamodb")
        self.changes: dict[str, Any] = {}

    def source(self, sql: str, *rows: tuple[Any, ...]) -> list[Any]:
        """Run SQL in the source; `{t}` is the case's table; with rows, once for each of them."""
        return self._execute(self._source, sql, rows)

    def target(self, sql: str, *rows: tuple[Any, ...]) -> list[Any]:
        """The same in the target."""
        return self._execute(self._target, sql, rows)

    def connect_target(self, server: ServerInfo) -> None:
        """Ask this server from now on for what the target holds."""
        self._target.close()
        self._target = open_server(server)

    def _execute(self, connection: Any, sql: str, rows: tuple[Any, ...]) -> list[Any]:
        with connection.cursor() as cursor:
            if rows:
                cursor.executemany(sql.format(t=self.name), rows)
            else:
                cursor.execute(sql.format(t=self.name))
            connection.commit()
            return list(cursor.fetchall())

    def batch(self, **changes: Any) -> Batch:
        """The batch that copies the case's table, with changes (see `declared`), those of the case among them."""
        named = {"batch": self.name, "source__table": self.name, "target__table": self.name}
        return parse_batch(declared(**{**named, "dynamodb__table": self.name, **self.changes, **changes}))

    def run(self, batch: Batch | None = None, **options: Any) -> RunResult:
        """Run a batch through the state machine, creating the target table where it is missing."""
        return run_batch(batch or self.batch(), folder=self.folder, **{"create_target": True, **options})

    def checksums(self) -> tuple[Any, Any]:
        """The servers' own checksums of source and target."""
        sql = "CHECKSUM TABLE {t} EXTENDED"
        return self.source(sql)[0][1], self.target(sql)[0][1]

    def items(self) -> list[dict[str, Any]]:
        """All items in the DynamoDB table."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.name, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def leftovers(self) -> list[str]:
        """What a run should not leave: staging tables in the target, a lease in the control table."""
        ours = f"_dataops_{sha256(f'{self.name}{chr(0)}{self.name}'.encode()).hexdigest()[:16]}_"
        tables = [row[0] for row in self.target("SHOW TABLES") if row[0].startswith(ours)]
        lease = Control("")._read(f"batch#{self.name}", "lease")
        return tables + (["lease"] if lease else [])

    def close(self) -> None:
        """Close the connections."""
        self._source.close()
        self._target.close()


@pytest.fixture
def case(stack: Stack, tmp_path: Path) -> Iterator[Case]:
    """A case with no table yet."""
    made = Case(stack, tmp_path / "runs")
    yield made
    made.close()


@pytest.fixture
def shop(stack: Stack, tmp_path: Path) -> Iterator[Shop]:
    """A flow of two tables."""
    made: list[Case] = []

    def make() -> Case:
        made.append(Case(stack, tmp_path / "runs"))
        return made[-1]

    yield Shop(make)
    for case in made:
        case.close()


@pytest.fixture
def numbers(case: Case) -> Case:
    """A case whose table holds three rows of numbers and texts."""
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, kind VARCHAR(9) NOT NULL, v VARCHAR(20))")
    case.source("INSERT INTO {t} VALUES (%s, %s, %s)", (1, "a", "one"), (2, "b", ""), (3, "a", None))
    return case


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work from an empty folder, as a user with batch files of their own does."""
    monkeypatch.chdir(tmp_path)
    assert "AWS_ENDPOINT_URL" in os.environ
    return tmp_path
