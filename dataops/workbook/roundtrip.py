"""Every MySQL type's edge values through a real run, compared by the two servers themselves."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3

from dataops.batch import Batch, parse_batch
from dataops.core.control import Control
from dataops.core.describe import describe_table
from dataops.core.mysql import execute, quote_name
from dataops.errors import Permanent
from dataops.local.edges import FAMILIES, TABLES, Edge, write_edges
from dataops.local.mysqld import Flavor
from dataops.local.stack import StackInfo, start
from dataops.workbook.demo import open_server
from dataops.workbook.infer import infer_batch
from dataops.workbook.run import run_batch
from dataops.workbook.table import Table, one_line

if TYPE_CHECKING:
    from pymysql.connections import Connection

    from dataops.core.schema import Column

SHOWN_VALUE = 36
NAMES = {"mariadb": "MariaDB", "mysql": "MySQL"}


class Outcome(NamedTuple):
    """What became of one column's edge values, all as SQL: `rejected` with reasons, `different` ones with what differs.

    `stored` holds the DynamoDB types that its values were found under.
    """

    edge: Edge
    tried: tuple[str, ...]
    stored: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]
    different: tuple[tuple[str, str], ...]

    @property
    def exact(self) -> int:
        """How many values came back as they were."""
        return len(self.tried) - len(self.rejected) - len(self.different)


def run_roundtrip(flavors: Sequence[Flavor], folder: Path, tell: Callable[[str], None]) -> dict[Flavor, list[Outcome]]:
    """All families on servers of each flavor, each flavor on a stack of its own; `tell` hears what goes on."""
    outcomes: dict[Flavor, list[Outcome]] = {}
    for flavor in flavors:
        stack = start(f"roundtrip-{os.getpid()}", detach=False, flavor=flavor)
        try:
            os.environ.update(stack.info.variables)
            outcomes[flavor] = []
            for family in FAMILIES:
                outcomes[flavor] += try_family(stack.info, family, folder)
                tell(f"{stack.info.source.flavor} {stack.info.source.version}: {family}")
        finally:
            stack.stop()
    return outcomes


def try_family(info: StackInfo, family: str, folder: Path, empty_string: str = "keep") -> list[Outcome]:
    """Copy a family's table by the real state machine and compare it row by row, then by the servers' checksums.

    Raises Permanent when the run fails.
    """
    table = TABLES[family]
    with open_server(info.source) as source, open_server(info.target) as target:
        written = write_edges(source, family, info.source.flavor)
        columns = describe_table(source, table).columns
        draft = infer_batch(describe_table(source, table), empty_string=empty_string)
        batch = parse_batch({**draft, "on_reject": "continue"})
        execute(target, f"DROP TABLE IF EXISTS {quote_name(table)}")
        result = run_batch(batch, create_target=True, folder=folder)
        if result.status == "failed":
            raise Permanent(f"{family}: {result.record.cause}")
        rejected = {int(of.key["id"] or 0): of.reason for of in Control(result.record.run).rejections()}
        different = dict(_differences(source, target, table, columns, rejected, empty_string != "keep"))
    stored = _stored(batch)
    rows = defaultdict(list)
    for number, (edge, _) in enumerate(written):
        rows[edge].append(number)
    return [
        Outcome(
            edge, tuple(written[number][1] for number in rows[edge]), stored.get(edge.column, ()),
            tuple((written[number][1], rejected[number]) for number in rows[edge] if number in rejected),
            tuple((written[number][1], different[number]) for number in rows[edge] if number in different),
        )
        for edge in FAMILIES[family] if edge.flavor in (None, info.source.flavor)
    ]  # fmt: skip


def _differences(
    source: Connection,
    target: Connection,
    table: str,
    columns: Sequence[Column],
    rejected: Collection[int],
    emptied: bool,
) -> Iterator[tuple[int, str]]:
    """Ids of the rows that differ, with what differs. Deletes the rejected rows from the source."""
    name = quote_name(table)
    for number in rejected:
        execute(source, f"DELETE FROM {name} WHERE id = %s", (number,))
    source.commit()
    before = {int(row[0]): row for row in server_view(source, table, columns, emptied=emptied)}
    after = {int(row[0]): row for row in server_view(target, table, columns)}
    for number in sorted(before.keys() | after.keys()):
        if number not in after or number not in before:
            yield number, "is not in the target" if number in before else "is in the target all the same"
        elif before[number] != after[number]:
            pairs = zip(columns, before[number], after[number], strict=True)
            yield number, "differs in " + ", ".join(column.name for column, old, new in pairs if old != new)
    generated = any(column.generated for column in columns)
    if (
        before == after and not generated and not emptied
    ):  # MariaDB's checksum of those differs even for an INSERT ... SELECT copy
        sums = [execute(connection, f"CHECKSUM TABLE {name} EXTENDED")[0][1] for connection in (source, target)]
        if sums[0] != sums[1]:
            yield min(before), "the servers' checksums of the whole table differ"


def server_view(
    connection: Connection, table: str, columns: Sequence[Column], *, emptied: bool = False
) -> list[tuple[Any, ...]]:
    """Each row as the server itself sees it: bytes in the column's own character set, numbers whole.

    With `emptied`, '' in a nullable text column is seen as NULL, as `empty_string: to_null` stores it.
    """
    execute(connection, "SET time_zone = '+00:00'")
    shown = ", ".join(_seen(column, emptied) for column in columns)
    return execute(connection, f"SELECT {shown} FROM {quote_name(table)}")


def _seen(column: Column, emptied: bool) -> str:
    name = quote_name(column.name)
    if emptied and column.kind == "text" and column.nullable:
        return f"IF(LENGTH({name}) = 0, NULL, {_exactly(column)})"
    return _exactly(column)


def _exactly(column: Column) -> str:
    name = quote_name(column.name)
    if column.data_type in ("enum", "set"):
        return f"CONCAT({name} + 0, ' ', HEX({name}))"
    if column.kind in ("float", "double"):
        return f"CONCAT({name} * 1e0)"
    return f"CONCAT({name})" if column.kind in ("json", "integer", "year") else f"HEX({name})"


def _stored(batch: Batch) -> dict[str, tuple[str, ...]]:
    """The DynamoDB types of each attribute's values, other than NULL, as the table holds them."""
    found: dict[str, set[str]] = defaultdict(set)
    for page in boto3.client("dynamodb").get_paginator("scan").paginate(TableName=batch.dynamodb.table):
        for item in page["Items"]:
            for name, attribute in item.items():
                found[name].update(attribute)
    return {name: tuple(sorted(kinds - {"NULL"})) for name, kinds in found.items()}


def outcomes_table(outcomes: Sequence[Outcome], caption: str) -> Table:
    """The outcomes on one server, a row for each column."""
    heads = ("column", "DynamoDB", "tried", "exact", "rejected", "different", "why")
    rows = []
    for of in outcomes:
        why = dict.fromkeys(reason for _, reason in (*of.rejected, *of.different))
        counts = len(of.tried), of.exact, len(of.rejected), len(of.different)
        rows.append((of.edge.column, ", ".join(of.stored), *counts, "; ".join(why)))
    return Table(heads, rows, caption)


def outcomes_page(outcomes: Mapping[Flavor, Sequence[Outcome]]) -> str:
    """The outcomes on all servers as a Markdown page."""
    lines = [_HEAD, f"| column | DynamoDB | tried | {' | '.join(NAMES[flavor] for flavor in outcomes)} |"]
    lines.append(f"|---|---|---|{'---|' * len(outcomes)}")
    for edges in FAMILIES.values():
        lines += (page_row(edge, outcomes) for edge in edges)
    return "\n".join(lines) + "\n"


def page_row(edge: Edge, outcomes: Mapping[Flavor, Sequence[Outcome]]) -> str:
    """One column's row of the page."""
    found = {flavor: next((of for of in of_flavor if of.edge == edge), None) for flavor, of_flavor in outcomes.items()}
    stored = dict.fromkeys(kind for of in found.values() if of for kind in of.stored)
    tried = ", ".join(map(_code, edge.values)) or "in every row"
    cells = (_verdict(of) for of in found.values())
    name = _code(edge.column) + (f"<br>{_code(edge.type)}" if edge.name else "")
    return f"| {name} | {', '.join(stored)} | {tried} | {' | '.join(cells)} |"


def _verdict(of: Outcome | None) -> str:
    if of is None:
        return "no such type"
    refused = "".join(f"<br>{_code(value)} rejected: {escape(reason)}" for value, reason in of.rejected)
    wrong = "".join(f"<br>{_code(value)} DIFFERS: {escape(reason)}" for value, reason in of.different)
    unknown = "".join(f"<br>{_code(value)} is not taken" for value in of.edge.values if value not in of.tried)
    return f"{of.exact} of {len(of.tried)} exact{refused}{wrong}{unknown}" if of.tried else "exact"


def _code(sql: str) -> str:
    sql = one_line(sql)
    short = sql if len(sql) <= SHOWN_VALUE else f"{sql[: SHOWN_VALUE - 1]}…"
    return f"<code>{escape(short, quote=False).replace('|', '&#124;')}</code>"


_HEAD = """\
# What comes back

Written by `dataops roundtrip -o docs/types.md`, which makes a table for each family of types, sends it through the
state machine under `empty_string: keep` and `on_reject: continue`, and lets the two servers say whether each row is
the same: bytes in the column's own character set, ENUM and SET by number too, and `CHECKSUM TABLE` over all.

"exact" is bit for bit. A value that is not exact is a rejection with key, column and reason; there is no third kind. A
value that a server does not take in the first place is not counted. JSON numbers return with the same text; whether the
server keeps an integer as signed, unsigned or decimal inside is not told by text. Under `to_null` a generated column is
computed from the NULL that took the place of `''`.
"""
