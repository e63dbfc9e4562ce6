"""The ways from MySQL to DynamoDB that are compared: what people write, and ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dataops.local.bench.rows import NAMES, normal_value
from dataops.local.bench.subject import SOURCE, Subject, finish

_QUERY = f"SELECT {', '.join(NAMES)} FROM {SOURCE} WHERE id <= %s"


def copy_by_dataops(subject: Subject) -> Callable[[], None]:
    """The very code of the state Rds To Dynamodb, with its control table."""
    from dataops.core.copy import copy_chunk

    task = subject.open_task()
    task.source_connection, task.sender, task.codec  # noqa: B018 - made before the clock runs

    return lambda: finish(copy_chunk, task, 0)


def copy_by_batch_writer(subject: Subject) -> Callable[[], None]:
    """What most people write: a DictCursor's rows into boto3's batch_writer."""
    connection, table = subject.connect(), subject.table()

    def copy() -> None:
        with table.batch_writer() as batch:
            for row in _rows(connection, subject.rows):
                batch.put_item(Item=row)

    return copy


def copy_by_put_item(subject: Subject) -> Callable[[], None]:
    """A call for each row."""
    connection, table = subject.connect(), subject.table()

    def copy() -> None:
        for row in _rows(connection, subject.rows):
            table.put_item(Item=row)

    return copy


def copy_by_awswrangler(subject: Subject) -> Callable[[], None]:
    """A data frame into awswrangler's put_df, which leaves NULL attributes out."""
    import awswrangler  # type: ignore[import-not-found, unused-ignore]  # measured where somebody has it
    import pandas

    connection = subject.connect()

    def copy() -> None:
        frame = pandas.DataFrame(_rows(connection, subject.rows), columns=list(NAMES), dtype=object)
        awswrangler.dynamodb.put_df(frame, subject.name)

    return copy


def read_by_fetchall(subject: Subject) -> Callable[[], None]:
    """pymysql's bare fetchall of the rows, as tuples; nothing is written. The cursor keeps them: letting go is no part."""
    from pymysql.cursors import Cursor

    cursor = subject.connect().cursor(Cursor)

    def read() -> None:
        cursor.execute(_QUERY, (subject.rows,))
        cursor.fetchall()

    return read


def _rows(connection: Any, rows: int) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(_QUERY, (rows,))
        return [{name: normal_value(name, value) for name, value in row.items()} for row in cursor.fetchall()]
