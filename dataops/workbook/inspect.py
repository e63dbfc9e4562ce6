"""Look at a source table: its schema, what its columns hold, a sample of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from dataops.batch import Batch, key_columns
from dataops.core.connection import open_connection
from dataops.core.control import Control
from dataops.core.describe import describe_table
from dataops.core.fit import count_shared_keys, offending_rows, require_fit, require_unique_key, shares_key
from dataops.core.mysql import (
    PlainReader,
    condition,
    errors_located,
    execute,
    key_order,
    quote_name,
    quote_table,
)
from dataops.core.normalize import reading_key, selected_columns
from dataops.core.policy import column_policies
from dataops.core.schema import Column
from dataops.core.schema import Table as SchemaTable
from dataops.errors import BatchFileError, SchemaMismatch
from dataops.workbook.charts import Bars, Picture, draw_bars
from dataops.workbook.hazards import Hazard, hazards_of
from dataops.workbook.profile import UNORDERED, Counted, bar_terms, count_terms, ends, lengths, measures_length, spark
from dataops.workbook.stack import attach
from dataops.workbook.table import Table

MOST_ROWS, SHOWN_KEYS, NEWEST_RUNS = 1000, 3, 200
NUMBERS = ("integer", "bit", "decimal", "float", "double")


class SourceTable:
    """A batch's source table, as tables and pictures to look at. Nothing is written.

    What is counted is counted once, in SQL: over all rows, or over the first `counted` of them in key order.
    """

    def __init__(self, batch: Batch, counted: int = 0) -> None:
        attach()
        self.batch, self._most = batch, counted
        self._connection = open_connection(batch.source.secret)
        self.table = describe_table(self._connection, batch.source.table, batch.source.database)
        self.columns = selected_columns(batch, self.table)
        self._name = quote_table(self.table.database, self.table.name)
        self._key = reading_key(batch, self.table)

    def schema(self) -> Table:
        """Every column with its type, whether it may be NULL, and the keys that it is part of."""
        rows = []
        for column in self.columns:
            keys = ", ".join(key.name for key in self.table.keys if column.name in key.columns)
            traits = ["generated"] if column.generated else []
            traits += ["auto increment"] if column.auto_increment else []
            nullable = "NULL" if column.nullable else "NOT NULL"
            rows.append((column.name, _type(column), nullable, keys or "-", ", ".join(traits) or "-"))
        return Table(("column", "type", "nullable", "keys", "notes"), rows, f"{self.table.name}: {len(rows)} columns")

    def counts(self) -> Table:
        """Rows, and per column: NULLs, empty strings, distinct, least and greatest values, lengths and a histogram.

        Distinct, least and greatest are the server's own, under each column's collation. The histogram shows values;
        of texts, documents and bytes it shows lengths.
        """
        profile = self._profile
        rows = []
        for column in self.columns:
            of = profile.counted[column.name]
            counts = [int(value or 0) for value in (of.null, of.empty, of.distinct)]
            least, greatest = ("-", "-") if column.kind in UNORDERED else (of.least, of.greatest)
            cells = (least, greatest, lengths(column, of) or "-", spark(profile.bars[column.name]))
            rows.append((column.name, *counts, *cells))
        heads = ("column", "NULL", "empty", "distinct", "least", "greatest", "length", "histogram")
        return Table(heads, rows, f"{self.table.name}: {self._what_of(profile.rows)}")

    def histograms(self) -> Picture:
        """A histogram of each column: of its values, or of its lengths where it holds texts, documents or bytes."""
        profile = self._profile
        grid = []
        for column in self.columns:
            counted, heights = profile.counted[column.name], profile.bars[column.name]
            title = f"{column.name}{', length' if measures_length(column) else ''}"
            grid.append(Bars(title, heights or [0], *ends(column, counted)))
        return draw_bars(grid, f"{self.table.name}: {self._what_of(profile.rows)}")

    def hazards(self) -> Table:
        """What may hurt on the way, with how many rows it is in, the keys of the first of them and what they become."""
        rows = [
            (hazard.name, hazard.column or "-", count, self._keys_of(hazard), hazard.becomes)
            for hazard, count in self._hazards
            if count
        ]
        heads = ("hazard", "column", "rows", "keys of the first", "what becomes of them")
        caption = f"{self.table.name}: {len(self._hazards)} hazards looked for in all rows, {len(rows)} found"
        return Table(heads, rows, caption, wrapped=heads[3:])

    def drift(self) -> Table:
        """What differs in the columns and keys between this batch's last run, if there was one, and now."""
        before = _last_source(self.batch, self.table)
        rows = list(_drift(before, self.table)) if before else []
        return Table(("what", "at the last run", "now"), rows, f"{self.table.name}: changed since the last run, if any")

    def sample(self, rows: int = 10) -> Table:
        """The first `rows` rows (1 to 1,000) in key order, exactly as the server writes them."""
        if not 1 <= rows <= MOST_ROWS:
            raise BatchFileError(f"rows: expected 1 to {MOST_ROWS:,}, found {rows:,}")
        reader = PlainReader(self._connection, self._name, self.columns, self._key, self.batch.source.where)
        found = reader.read(None, None, rows)
        caption = f"{self.table.name}: the first {len(found)} rows by {', '.join(column.name for column in self._key)}"
        numbers = [column.name for column in self.columns if column.kind in NUMBERS]
        return Table([column.name for column in self.columns], found, caption, right=numbers)

    def rules(self) -> Table:
        """How the batch stores each column, what becomes of `''`, what does not come back and what is a rejection."""
        rows = [
            (policy.column.name, _type(policy.column), policy.stored, policy.empty or "-",
             "; ".join(policy.lost) or "-", "; ".join(policy.refused) or "-")
            for policy in column_policies(self.batch, self.table)
        ]  # fmt: skip
        heads = ("column", "type", "stored as", "empty text", "lost", "rejected")
        caption = f"{self.table.name}: the rules of batch {self.batch.batch}"
        caption += "; its transform may reject more" if self.batch.function else ""
        return Table(heads, rows, caption, wrapped=(heads[1], *heads[4:]))

    def row_count(self) -> int:
        """How many rows the batch would read."""
        return int(self._aggregate(["COUNT(*)"])[0])

    def require_storable(self) -> None:
        """Raises SchemaMismatch when rows would be rejected and the batch says `on_reject: fail`."""
        found = [(hazard, count) for hazard, count in self._hazards if count and hazard.rejects]
        if found and self.batch.on_reject == "fail":
            hazard, count = found[0]
            where = f"{self.table.name}.{hazard.column}" if hazard.column else self.table.name
            raise SchemaMismatch(
                f"source {where}: {count:,} rows hold {hazard.name} and would be rejected: correct them, or say "
                "on_reject: continue"
            )

    def require_fit(self) -> None:
        """Raises SchemaMismatch when the batch does not fit its source, or two rows would share a DynamoDB key."""
        require_fit(self.batch, self.table, None)
        column_policies(self.batch, self.table)
        require_unique_key(self._connection, self.batch, self.table)

    @cached_property
    def _profile(self) -> _Profile:
        """Two passes over the table: one counts, the other draws, since its bars lie between the least and greatest."""
        total, *cells = self._aggregate(["COUNT(*)", *(term for of in self.columns for term in count_terms(of))])
        width = len(Counted._fields)
        counted = {of.name: Counted(*cells[at * width : (at + 1) * width]) for at, of in enumerate(self.columns)}
        terms = {of.name: bar_terms(of, counted[of.name]) for of in self.columns}
        heights = iter(self._aggregate(["COUNT(*)", *(term for of in terms.values() for term in of)])[1:])
        bars = {name: [int(height) for height in islice(heights, len(of))] for name, of in terms.items()}
        return _Profile(int(total), counted, bars)

    @cached_property
    def _hazards(self) -> list[tuple[Hazard, int]]:
        """Every hazard with the rows that it is in, in one pass over the whole table."""
        hazards = list(hazards_of(self.batch, self.columns))
        counts = self._aggregate(["COUNT(*)", *(f"SUM({of.sql})" for of in hazards)], whole=True)[1:]
        found = [(hazard, int(count or 0)) for hazard, count in zip(hazards, counts, strict=True)]
        keys = ", ".join(dict.fromkeys(name for key in self.batch.dynamodb.keys for name in key_columns(key)))
        shared = shares_key(self.batch, self.table)
        hazard = Hazard("a DynamoDB key that another row has", keys, shared, "the batch is refused", True)
        return [*found, (hazard, count_shared_keys(self._connection, self.batch, self.table))]

    def _keys_of(self, hazard: Hazard) -> str:
        which = f"({hazard.sql})"
        with errors_located(f"source {self.table.name}: looking for {hazard.name}"):
            keys = offending_rows(self._connection, self.batch, self.table, which, SHOWN_KEYS)
        return "; ".join(", ".join(str(value) for value in key.values()) for key in keys)

    def _what_of(self, rows: int) -> str:
        return f"the first {rows:,} rows by key" if self._most else f"{rows:,} rows"

    def _aggregate(self, terms: list[str], whole: bool = False) -> tuple[Any, ...]:
        """The aggregates of the rows that the batch reads: of all when `whole`, else of those that are counted."""
        where = "".join(f" WHERE {term}" for term in condition(self.batch.source.where))
        table = f"{self._name}{where}"
        if self._most and not whole:
            names = ", ".join(quote_name(column.name) for column in self.columns)
            table = f"(SELECT {names} FROM {table} ORDER BY {key_order(self._key)} LIMIT {self._most:d}) counted"
        with errors_located(f"source {self.table.name}: counting"):
            (row,) = execute(self._connection, f"SELECT {', '.join(terms)} FROM {table}")
        return tuple(row)


class _Profile(NamedTuple):
    rows: int
    counted: dict[str, Counted]
    bars: dict[str, list[int]]


def open_source(batch: Batch, counted: int = 0) -> SourceTable:
    """The source table of a batch; `counted` rows of it are counted (0: all). Raises SecretError, Unreachable or
    SchemaMismatch."""
    if counted < 0:
        raise BatchFileError(f"counted: expected 0 (all rows) or more, found {counted:,}")
    return SourceTable(batch, counted)


def require_rows(source: SourceTable) -> str:
    """The verdict on a source: that it can be copied. Raises SchemaMismatch when the batch does not fit it, or rows
    would be rejected and the batch takes none."""
    source.require_fit()
    source.require_storable()
    return (
        f"{source.batch.batch}: the batch fits its source; {source.row_count():,} rows to copy, "
        f"each with a DynamoDB key of its own."
    )


def _type(column: Column) -> str:
    return "json" if column.is_json else column.column_type


def _last_source(batch: Batch, now: SchemaTable) -> SchemaTable | None:
    """The definition of this very table at the last run of the batch that had a plan, among the newest runs."""
    for record in Control("").records(NEWEST_RUNS):
        plan = Control(record.run).find_plan() if record.batch == batch.batch else None
        if plan and (plan.source.database, plan.source.name) == (now.database, now.name):
            return plan.source
    return None


def _drift(before: SchemaTable, now: SchemaTable) -> Iterator[tuple[str, str, str]]:
    for kind, old, new in (("column", _spelt_columns(before), _spelt_columns(now)), ("key", _keys(before), _keys(now))):
        for name in dict.fromkeys((*old, *new)):
            if old.get(name) != new.get(name):
                yield f"{kind} {name}", old.get(name, "-"), new.get(name, "-")


def _spelt_columns(table: SchemaTable) -> dict[str, str]:
    return {
        of.name: f"{_type(of)} {'NULL' if of.nullable else 'NOT NULL'}{' generated' if of.generated else ''}"
        for of in table.columns
    }


def _keys(table: SchemaTable) -> dict[str, str]:
    return {key.name: ", ".join(key.columns) for key in table.keys}
