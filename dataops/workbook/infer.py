"""The first draft of a batch file, from the source's schema and what the target allows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from dataops.batch import parse_batch
from dataops.core.connection import open_connection
from dataops.core.describe import describe_table, list_tables
from dataops.core.normalize import Codec
from dataops.core.schema import Column, Table
from dataops.errors import SchemaMismatch

HEADER = """\
# Drafted from the source's schema; read it, correct it, then: dataops run {name}{hint}
"""


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
    codec = Codec(parse_batch(draft, f"draft of {source.name}"), source, None, None)
    keys = [
        key for key in (draft["dynamodb"]["partition_key"], draft["dynamodb"].get("sort_key")) if isinstance(key, str)
    ]
    draft["dynamodb"]["key_types"] = {key: codec.key_type(key) for key in keys}
    return draft


def draft_text(draft: dict[str, Any], has_target: bool) -> str:
    """The draft as a YAML file."""
    body = yaml.safe_dump(draft, sort_keys=False, allow_unicode=True, default_flow_style=False, width=120)
    return HEADER.format(name=draft["batch"], hint="" if has_target else " --create-target") + body


def draft_batches(
    tables: list[str] | None, *, database: str | None, empty_string: str, secrets: tuple[str, str]
) -> list[tuple[str, str]]:
    """Name and text of a batch file for each table (None: all of the database). Raises SchemaMismatch, SecretError."""
    with open_connection(secrets[0]) as source, open_connection(secrets[1]) as target:
        there = set(list_tables(target))
        drafts = []
        for name in tables or list_tables(source, database):
            into = describe_table(target, name) if name in there else None
            table = describe_table(source, name, database)
            draft = infer_batch(table, into, database=database, empty_string=empty_string, secrets=secrets)
            drafts.append((str(draft["batch"]), draft_text(draft, into is not None)))
    return drafts


def write_drafts(drafts: list[tuple[str, str]], output: Path | None, *, many: bool) -> list[Path]:
    """Write drafts to the file `output`, or with `many` into the folder `output`; gives the paths written."""
    if output is None:
        return []
    paths = [output / f"{name}.yml" if many else output for name, _ in drafts]
    for path, (_, text) in zip(paths, drafts, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return paths


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


def _keys(source: Table) -> dict[str, Any]:
    key = source.row_key
    if key is None:
        raise SchemaMismatch(
            f"table {source.name}: has no primary key and no unique key without NULLs, so nothing tells its rows apart; "
            "add one, or write the batch file by hand with NOT NULL columns that are unique together"
        )
    columns = [source.column(name) for name in key.columns]
    for column in columns:
        if not column.can_key or re.search(r"[{}]", column.name):
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
