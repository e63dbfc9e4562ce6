"""Look at a source table: its schema, what its columns hold, a sample of its rows."""

from __future__ import annotations

from typing import Any

from dataops.batch import Batch
from dataops.core.connection import open_connection
from dataops.core.describe import describe_table
from dataops.core.fit import require_fit, require_unique_key
from dataops.core.mysql import (
    PlainReader,
    condition,
    errors_located,
    execute,
    quote_name,
    quote_table,
    select_list,
)
from dataops.core.normalize import reading_key, selected_columns
from dataops.core.policy import column_policies
from dataops.core.schema import Column
from dataops.errors import BatchFileError
from dataops.workbook.stack import attach
from dataops.workbook.table import Table

MOST_ROWS = 1000
NUMBERS = ("integer", "bit", "decimal", "float", "double")


class SourceTable:
    """A batch's source table. Every method reads it anew and gives a table to look at."""

    def __init__(self, batch: Batch) -> None:
        attach()
        self.batch = batch
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
        """Rows, and per column: NULLs, empty strings, distinct values, least and greatest; in one pass of the table.

        Distinct, least and greatest are the server's own, under each column's collation.
        """
        terms = ["COUNT(*)"]
        for column in self.columns:
            terms += _column_terms(column)
        total, *cells = self._aggregate(terms)
        rows = []
        for column in self.columns:
            values = [cells.pop(0) for _ in _column_terms(column)]
            counts = [int(value or 0) for value in values[:3]]
            rows.append((column.name, *counts, *values[3:]))
        heads = ("column", "NULL", "''", "distinct", "least", "greatest")
        return Table(heads, rows, f"{self.table.name}: {int(total):,} rows")

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
            (policy.column.name, _short(_type(policy.column)), policy.stored, policy.empty or "-",
             "; ".join(policy.lost) or "-", "; ".join(policy.refused) or "-")
            for policy in column_policies(self.batch, self.table)
        ]  # fmt: skip
        heads = ("column", "type", "stored as", "''", "lost", "rejected")
        caption = f"{self.table.name}: the rules of batch {self.batch.batch}"
        caption += "; its transform may reject more" if self.batch.function else ""
        return Table(heads, rows, caption, wrapped=heads[4:])

    def row_count(self) -> int:
        """How many rows the batch would read."""
        return int(self._aggregate(["COUNT(*)"])[0])

    def require_fit(self) -> None:
        """Raises SchemaMismatch when the batch does not fit its source, or two rows would share a DynamoDB key."""
        require_fit(self.batch, self.table, None)
        column_policies(self.batch, self.table)
        require_unique_key(self._connection, self.batch, self.table)

    def _aggregate(self, terms: list[str]) -> tuple[Any, ...]:
        """The aggregates of all rows that the batch reads."""
        where = "".join(f" WHERE {term}" for term in condition(self.batch.source.where))
        with errors_located(f"source {self.table.name}: counting"):
            (row,) = execute(self._connection, f"SELECT {', '.join(terms)} FROM {self._name}{where}")
        return tuple(row)


def open_source(batch: Batch) -> SourceTable:
    """The source table of a batch. Raises SecretError, Unreachable or SchemaMismatch."""
    return SourceTable(batch)


def require_rows(source: SourceTable) -> str:
    """The verdict on a source: that it can be copied. Raises SchemaMismatch when the batch does not fit it."""
    source.require_fit()
    return (
        f"{source.batch.batch}: the batch fits its source; {source.row_count():,} rows to copy, "
        f"each with a DynamoDB key of its own."
    )


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:23]}…"


def _type(column: Column) -> str:
    return "json" if column.is_json else column.column_type


def _column_terms(column: Column) -> list[str]:
    """The aggregates of one column. A text is empty when it has no bytes: `=` would take spaces for nothing."""
    name = quote_name(column.name)
    empty = f"SUM(OCTET_LENGTH({name}) = 0)" if column.kind == "text" else "0"
    terms = [f"SUM({name} IS NULL)", empty, f"COUNT(DISTINCT {name})"]
    if column.kind in ("json", "binary", "geometry"):
        return [*terms, "NULL", "NULL"]
    value = f"{name} + 0" if column.kind == "bit" else select_list([column])
    return [*terms, f"MIN({value})", f"MAX({value})"]
