"""The first draft of a batch file, from the source's schema and what the target allows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import yaml

from dataops.batch import Batch, parse_batch
from dataops.core.schema import Column, Table
from dataops.errors import SchemaMismatch

if TYPE_CHECKING:
    from pymysql.connections import Connection

HEADER = """\
# Drafted from the source's schema; read it, correct it, then: dataops run {name}{hint}
"""
UNFIT_KEYS = ("json", "geometry")


def infer_batch(
    source: Table,
    target: Table | None = None,
    *,
    database: str | None = None,
    empty_string: str = "to_null",
    secrets: tuple[str, str] = ("dataops/source", "dataops/target"),
) -> dict[str, Any]:
    """A batch, as a mapping, that copies `source` whole. Raises SchemaMismatch where no key tells rows apart.

    One key column becomes the partition key, two become partition and sort key, more become a sort key template.
    `target` is the table as it stands (None: not there yet); foreign keys or triggers on it mean `mode: upsert`.
    """
    name = batch_name(source.name)
    tied = target is not None and (target.outgoing or target.incoming or target.triggers)
    draft: dict[str, Any] = {
        "batch": name,
        "source": {"secret": secrets[0], "table": source.name} | ({"database": database} if database else {}),
        "dynamodb": {"table": dynamodb_name(source.name), **_keys(source)},
        "normalize": {"empty_string": empty_string},
        "target": {"secret": secrets[1], "table": source.name, "mode": "upsert" if tied else "swap", "read": "scan"},
        "on_reject": "fail",
    }
    parse_batch(draft, f"draft of {source.name}")
    return draft


def draft_text(draft: dict[str, Any], has_target: bool) -> str:
    """The draft as a YAML file."""
    body = yaml.safe_dump(draft, sort_keys=False, allow_unicode=True, default_flow_style=False, width=120)
    return HEADER.format(name=draft["batch"], hint="" if has_target else " --create-target") + body


def find_target(connection: Connection, name: str) -> Table | None:
    """The target table of that name in the connection's database, if it is there."""
    from dataops.core.schema import describe_table

    try:
        return describe_table(connection, name)
    except SchemaMismatch:
        return None


def batch_name(table: str) -> str:
    """A name that a batch may have, for a table of any name; different tables get different names."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", table).strip("-")
    if plain == table and plain[:1].isalpha() and len(plain) <= 40:
        return plain
    return f"{plain[:28] if plain[:1].isalpha() else 'table'}-{_digest(table)}"


def dynamodb_name(table: str) -> str:
    """A name that a DynamoDB table may have, for a MySQL table of any name."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", table)
    return table if plain == table and len(table) >= 3 else f"{plain.strip('-') or 'table'}-{_digest(table)}"


def read_draft(draft: dict[str, Any]) -> Batch:
    """The draft as a batch."""
    return parse_batch(draft)


def _keys(source: Table) -> dict[str, Any]:
    key = source.row_key
    if key is None:
        raise SchemaMismatch(
            f"table {source.name}: has no primary key and no unique key without NULLs, so nothing tells its rows apart; "
            "add one, or write the batch file by hand with NOT NULL columns that are unique together"
        )
    columns = [source.column(name) for name in key.columns]
    for column in columns:
        if column.kind in UNFIT_KEYS or re.search(r"[{}]", column.name):
            raise SchemaMismatch(f"table {source.name}: key column '{column.name}' ({column.column_type}) is no key")
    first, *rest = columns
    if not rest:
        return {"partition_key": first.name}
    return {"partition_key": first.name, "sort_key": rest[0].name if len(rest) == 1 else _template(rest, source)}


def _template(columns: Iterable[Column], source: Table) -> dict[str, str]:
    name = "sk"
    while source.has(name):
        name = f"_{name}"
    return {"name": name, "template": "#".join(f"{{{column.name}}}" for column in columns)}


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]
