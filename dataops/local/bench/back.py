"""The ways from DynamoDB to MySQL that are compared: what people write, and ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dataops.core.mysql import quote_name
from dataops.local.bench.rows import NAMES, row_value
from dataops.local.bench.subject import Subject, finish


def load_by_dataops(subject: Subject) -> Callable[[], None]:
    """The very code of the state Dynamodb To Rds, with its control table."""
    return _load(subject, infile=True)


def _load(subject: Subject, *, infile: bool) -> Callable[[], None]:
    from dataops.core.load import load_segment
    from dataops.core.staging import create_staging

    task = subject.open_task()
    create_staging(task.target_connection, task.plan)
    if not infile:
        task.loading_connection = task.target_connection
    task.shared_dynamodb, task.codec, task.loading_connection  # noqa: B018 - made before the clock runs

    return lambda: finish(load_segment, task, 0)


def load_by_statements(subject: Subject) -> Callable[[], None]:
    """The same where the server has `local_infile` off: on a connection that does not offer it."""
    return _load(subject, infile=False)


def load_by_executemany(subject: Subject) -> Callable[[], None]:
    """What most people write: pages of boto3's Table.scan, each into the cursor's executemany."""
    connection, table = subject.connect(), subject.table()
    subject.create_copy(connection)
    sql = f"INSERT INTO {quote_name(subject.copy)} ({', '.join(NAMES)}) VALUES ({', '.join(['%s'] * len(NAMES))})"

    def load() -> None:
        more: dict[str, Any] = {}
        while more is not None:
            page = table.scan(**more)
            rows = [[row_value(name, item[name]) for name in NAMES] for item in page["Items"]]
            with connection.cursor() as cursor:
                cursor.executemany(sql, rows)
            connection.commit()
            if "LastEvaluatedKey" not in page:
                break
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    return load


def load_by_awswrangler(subject: Subject) -> Callable[[], None]:
    """awswrangler's read_items into its to_sql."""
    import awswrangler  # type: ignore[import-not-found, unused-ignore]  # measured where somebody has it
    import pandas

    connection = subject.connect()
    subject.create_copy(connection)

    def load() -> None:
        frame = awswrangler.dynamodb.read_items(subject.name, allow_full_scan=True)[list(NAMES)]
        for name in NAMES:
            values = [row_value(name, None if value is pandas.NA else value) for value in frame[name]]
            frame[name] = pandas.Series(values, dtype=object)
        awswrangler.mysql.to_sql(frame, connection, table=subject.copy, schema=subject.database, use_column_names=True)

    return load
