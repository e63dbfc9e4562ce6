"""Does a batch fit the tables it names? Every misfit is one located error, found before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from dataops.batch import Batch, Index, Key, did_you_mean, key_columns, key_name
from dataops.core.dynamodb import dynamodb_error
from dataops.core.mysql import condition, errors_located, exactness, execute, key_order, quote_table, select_list
from dataops.core.normalize import (
    Codec,
    Reject,
    key_of_rows,
    key_text,
    output_columns,
    reading_key,
    selected_columns,
)
from dataops.core.records import Rejection
from dataops.core.schema import Column, Table, declared_column
from dataops.core.widen import NARROW, misfit
from dataops.errors import Retryable, SchemaMismatch

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from types_boto3_dynamodb import DynamoDBClient

CASCADES = ("CASCADE", "SET NULL", "SET DEFAULT")
SHOWN_ROWS = 1000


def require_fit(batch: Batch, source: Table, target: Table | None) -> None:
    """Raises SchemaMismatch for the first thing in the batch that its source or target table does not allow."""
    problems = [*_source_problems(batch, source)]
    if not problems and target is not None:
        problems += [*_target_problems(batch, source, target)]
    if not problems:
        problems += [*_key_type_problems(batch, source), *_query_problems(batch, source)]
    if problems:
        raise SchemaMismatch(problems[0])


def require_unique_key(
    connection: Connection, batch: Batch, source: Table, report: Callable[[list[Rejection]], None] | None = None
) -> None:
    """Prove that no two source rows share a DynamoDB key: by a unique key of the source, else by counting.

    Raises SchemaMismatch with the number of keys that several rows share; `report` is given the rows, at most 1,000.
    """
    columns = _item_key_columns(batch)
    _require_exact_keys(connection, batch, source, columns, report)
    if source.tells_apart(columns):
        return
    _, groups = _shared_keys(batch, source)
    with errors_located(f"source {source.name}: proving the key unique"):
        doubled = int(execute(connection, f"SELECT COUNT(*) FROM (SELECT 1 {groups}) doubled")[0][0])
        if doubled and report:
            rows = offending_rows(connection, batch, source, shares_key(batch, source))
            report([Rejection(row, columns[0], "shares its DynamoDB key with another row") for row in rows])
    if doubled:
        raise SchemaMismatch(
            f"dynamodb: {doubled:,} keys ({', '.join(columns)}) are shared by several rows of "
            f"{source.name}; each would overwrite another: add a column that tells them apart (the report lists the rows)"
        )


def count_shared_keys(connection: Connection, batch: Batch, source: Table) -> int:
    """How many source rows have a DynamoDB key that another has too."""
    if source.tells_apart(_item_key_columns(batch)):
        return 0
    _, groups = _shared_keys(batch, source)
    with errors_located(f"source {source.name}: counting shared keys"):
        return int(execute(connection, f"SELECT COALESCE(SUM(n), 0) FROM (SELECT COUNT(*) n {groups}) shared")[0][0])


def shares_key(batch: Batch, source: Table) -> str:
    """SQL that is true for a source row whose DynamoDB key another row has too."""
    exact, groups = _shared_keys(batch, source)
    return f"({exact}) IN (SELECT {exact} {groups})"


def _item_key_columns(batch: Batch) -> list[str]:
    return list(dict.fromkeys(column for key in batch.dynamodb.keys for column in key_columns(key)))


def _shared_keys(batch: Batch, source: Table) -> tuple[str, str]:
    """SQL for the exact key columns, and what follows SELECT to give a row for each key that several rows share."""
    columns = (source.column(name) for name in _item_key_columns(batch))
    exact = ", ".join(f"CAST({select_list([column])} AS BINARY)" for column in columns)
    where = "".join(f" WHERE {term}" for term in condition(batch.source.where))
    return exact, f"FROM {quote_table(source.database, source.name)}{where} GROUP BY {exact} HAVING COUNT(*) > 1"


def _require_exact_keys(
    connection: Connection,
    batch: Batch,
    source: Table,
    columns: Sequence[str],
    report: Callable[[list[Rejection]], None] | None,
) -> None:
    """A key whose text does not say everything about it cannot be a cursor, nor prove anything unique."""
    table = quote_table(source.database, source.name)
    for column in (source.column(name) for name in dict.fromkeys((*key_of_rows(batch, source), *columns))):
        check = exactness(column)
        if check is None:
            continue
        wrong = " AND ".join((f"NOT ({check[0]})", *condition(batch.source.where)))
        with errors_located(f"source {source.name}: proving the key exact"):
            count = int(execute(connection, f"SELECT COUNT(*) FROM {table} WHERE {wrong}")[0][0])
            if count and report:
                rows = offending_rows(connection, batch, source, wrong)
                report([Rejection(row, column.name, check[1]) for row in rows])
        if count:
            raise SchemaMismatch(f"source {source.name}: key column '{column.name}' {check[1]}, in {count:,} rows")


def offending_rows(
    connection: Connection, batch: Batch, source: Table, which: str, limit: int = SHOWN_ROWS
) -> list[dict[str, str | None]]:
    """What names the rows that `which` (SQL) picks to a person, at most `limit` of them, in order of key."""
    key = reading_key(batch, source)
    where = " AND ".join((which, *condition(batch.source.where)))
    table = quote_table(source.database, source.name)
    sql = f"SELECT {select_list(key)} FROM {table} WHERE {where} ORDER BY {key_order(key)} LIMIT {limit:d}"
    return [
        {column.name: key_text(raw) for column, raw in zip(key, row, strict=True)} for row in execute(connection, sql)
    ]


def require_dynamodb_table(client: DynamoDBClient, batch: Batch, codec: Codec) -> None:
    """Raises SchemaMismatch where the DynamoDB table's keys or indexes are not as the batch declares them."""
    from botocore.exceptions import BotoCoreError, ClientError

    name = batch.dynamodb.table
    try:
        table: Any = client.describe_table(TableName=name)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            raise SchemaMismatch(f"dynamodb.table: table '{name}' is not there; create it first") from error
        raise dynamodb_error(name, error.response["Error"]["Code"]) from error
    except BotoCoreError as error:
        raise Retryable(f"DynamoDB table {name}: no answer ({type(error).__name__})") from error
    types = {entry["AttributeName"]: entry["AttributeType"] for entry in table["AttributeDefinitions"]}
    _require_keys("dynamodb", batch.dynamodb.keys, table["KeySchema"], types, codec)
    indexes = {entry["IndexName"]: entry for entry in table.get("GlobalSecondaryIndexes", [])}
    for number, index in enumerate(batch.dynamodb.indexes):
        where = f"dynamodb.indexes[{number}]"
        if index.name not in indexes:
            near = did_you_mean(index.name, list(indexes))
            raise SchemaMismatch(f"{where}: index '{index.name}' is not on table {name}{near}")
        _require_keys(where, index.keys, indexes[index.name]["KeySchema"], types, codec)
        found = indexes[index.name]["Projection"]["ProjectionType"]
        if found != _projection_type(index):
            raise SchemaMismatch(f"{where}.projection: expected {_projection_type(index)}, the index has {found}")


def _projection_type(index: Index) -> str:
    return index.projection if isinstance(index.projection, str) else "INCLUDE"


def _require_keys(where: str, keys: Sequence[Key], schema: Sequence[Any], types: dict[str, str], codec: Codec) -> None:
    expected = [(key_name(key), codec.key_type(key)) for key in keys]
    hash_first = sorted(schema, key=lambda entry: entry["KeyType"] != "HASH")
    found = [(entry["AttributeName"], types[entry["AttributeName"]]) for entry in hash_first]
    if found != expected:
        raise SchemaMismatch(f"{where}: expected the keys {_spell(expected)}, the table has {_spell(found)}")


def _spell(keys: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in keys)


def _source_problems(batch: Batch, source: Table) -> Iterator[str]:
    for name in batch.source.columns or ():
        if not source.has(name):
            yield f"source.columns: {_unknown(name, source)}"
            return
    columns = {column.name: column for column in selected_columns(batch, source)}
    columns |= {name: declared_column(name, of) for name, of in batch.added_columns.items()}
    for name in batch.normalize.columns:
        if name not in columns:
            yield f"normalize.columns: {_unknown(name, source)}"
    for place, key in _places(batch):
        yield from _key_problems(place, key, columns, source)
    for number, pattern in enumerate(batch.dynamodb.access_patterns):
        for name in (*pattern.equals, *(pattern.attributes or ())):
            if name not in columns:
                yield f"dynamodb.access_patterns[{number}]: {_unknown(name, source)}"
    for name in key_of_rows(batch, source):
        if name not in columns:
            yield f"source.columns: must hold the key column '{name}'"
    for name in batch.added_columns:
        if source.has(name):
            yield f"transform.adds: column '{name}' is already in source table {source.name}"
    if batch.stamp in columns:
        yield f"source.columns: '{batch.stamp}' is reserved for the generation stamp"
    index = batch.read_index
    for name in (column for key in (index.keys if index else ()) for column in key_columns(key)):
        if columns[name].nullable:
            yield (
                f"target.read.index: column '{name}' can be NULL, so index {index.name if index else ''} is sparse and "
                "would miss rows; use read: scan"
            )


def _key_type_problems(batch: Batch, source: Table) -> Iterator[str]:
    """Declared key types that the source's columns contradict: the table was made by the declared ones."""
    codec = Codec(batch, source, None, None)
    for name, declared in batch.dynamodb.key_types.items():
        if codec.key_type(name) != declared:
            yield f"dynamodb.key_types: column '{name}' of {source.name} is stored as {codec.key_type(name)}, not {declared}"


def _query_problems(batch: Batch, source: Table) -> Iterator[str]:
    """A value that no item has is not an empty partition, but one that is spelt otherwise."""
    key, query = batch.dynamodb.partition_key, batch.read_query
    if query is None or not isinstance(key, str):
        return
    codec, told = Codec(batch, source, None, None), str(query.partition_key)
    field, kind = codec.fields[key], codec.key_type(key)
    if kind == "B":
        yield f"target.read.query: the partition key '{key}' is binary, and no text in a file is; use scan"
        return
    try:
        stored = field.store(field.load({key: {kind: told}}), [])
    except (SchemaMismatch, Reject, ArithmeticError, ValueError):
        stored = None
    if field.column.kind == "temporal" and len(told.partition(".")[2]) != field.column.fraction:
        stored = None
    if stored != {kind: told}:
        expected = next(iter(stored.values())) if stored else f"a value of {field.column.spelled}"
        yield f"target.read.query.partition_key: expected {expected}, as an item has it, found {told}"


def _places(batch: Batch) -> Iterator[tuple[str, Key]]:
    yield "dynamodb.partition_key", batch.dynamodb.partition_key
    if batch.dynamodb.sort_key is not None:
        yield "dynamodb.sort_key", batch.dynamodb.sort_key
    for number, index in enumerate(batch.dynamodb.indexes):
        yield f"dynamodb.indexes[{number}].partition_key", index.partition_key
        if index.sort_key is not None:
            yield f"dynamodb.indexes[{number}].sort_key", index.sort_key


def _key_problems(place: str, key: Key, columns: dict[str, Column], source: Table) -> Iterator[str]:
    for name in key_columns(key):
        if name not in columns:
            yield f"{place}: {_unknown(name, source)}"
        elif "indexes" not in place and columns[name].nullable:
            yield f"{place}: column '{name}' can be NULL, and a key cannot; choose a NOT NULL column"
        elif not columns[name].can_key:
            yield f"{place}: column '{name}' is {columns[name].column_type}, which cannot be a key"
    if not isinstance(key, str) and key.name in columns:
        yield f"{place}.name: '{key.name}' is also a column; choose another name"


def _unknown(name: str, table: Table, what: str = "source") -> str:
    near = did_you_mean(name, [column.name for column in table.columns])
    return f"column '{name}' is not in {what} table {table.name}{near}"


def _target_problems(batch: Batch, source: Table, target: Table) -> Iterator[str]:
    added = (declared_column(name, of) for name, of in batch.added_columns.items())
    for column in (*selected_columns(batch, source), *added):
        if not column.generated and not target.has(column.name):
            unknown = _unknown(column.name, target, "target")
            yield f"target.table: {unknown}: expected at least {column.spelled}, found none"
    outputs = output_columns(batch, source, target)
    for column in outputs:
        yield from _type_problems(batch, column, target)
    written = {column.name for column in outputs}
    for column in target.columns:
        spare = column.nullable or column.has_default or column.generated or column.auto_increment
        if column.name not in written and not spare:
            yield (
                f"target.table: column '{column.name}' of {target.name} is {column.spelled} NOT NULL, and nothing fills "
                f"it: expected a default or a source column of that type, found none"
            )
    if target.row_key is None:
        yield f"target.table: {target.name} has no primary or unique key, which loading safely needs"
    elif batch.target.mode == "upsert" and target.key_within(written) is None:
        yield f"target.table: {target.name} has no primary or unique key among the columns of the batch to match rows by"
    yield from _mode_problems(batch, target)


def _type_problems(batch: Batch, column: Column, target: Table) -> Iterator[str]:
    """A text that is stored as a document is JSON: every other is a rejection."""
    rule = batch.normalize.columns.get(column.name)
    of = msgspec.structs.replace(column, is_json=True) if rule and rule.as_ == "document" else column
    into = target.column(column.name)
    reason = misfit(of, into)
    if reason is not None:
        expected = f"at least {column.spelled}" if reason == NARROW else column.spelled
        yield (
            f"target.table: column '{column.name}' of {target.name}: expected {expected}, found {into.spelled} ({reason})"
        )


def _mode_problems(batch: Batch, target: Table) -> Iterator[str]:
    if batch.target.mode == "swap":
        ties = [f"foreign key {key.name}" for key in (*target.outgoing, *target.incoming)]
        ties += [f"trigger {name}" for name in target.triggers]
        if ties:
            yield f"target.mode: swap would lose {ties[0]} of {target.name}; use mode: upsert"
        return
    acting = [f"trigger {name}" for name in target.triggers]
    acting += [
        f"the cascade of foreign key {key.name}"
        for key in target.incoming
        if key.on_delete in CASCADES or key.on_update in CASCADES
    ]
    if acting:
        yield f"target.mode: an upsert into {target.name} would set off {acting[0]}"
    if batch.read_query and not isinstance(batch.dynamodb.partition_key, str):
        yield "target.read.query: the partition key is a template; an upsert by query needs a plain column"
    elif batch.read_query and not target.has(key_columns(batch.dynamodb.partition_key)[0]):
        yield "target.read.query: the target lacks the partition key's column"
