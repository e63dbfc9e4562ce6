"""Look at a source table: its schema, what its columns hold, a sample of its rows."""

from __future__ import annotations

from dataops.batch import Batch
from dataops.core.describe import describe_table
from dataops.core.mysql import PlainReader, condition, connect, errors_located, execute, quote_name, quote_table
from dataops.core.normalize import key_of_rows, selected_columns
from dataops.core.schema import Column
from dataops.core.secrets import fetch_secret
from dataops.workbook.stack import attach
from dataops.workbook.table import Table


class SourceTable:
    """A batch's source table. Every method reads it anew and gives a table to look at."""

    def __init__(self, batch: Batch) -> None:
        attach()
        self.batch = batch
        self._connection = connect(fetch_secret(batch.source.secret))
        self.table = describe_table(self._connection, batch.source.table, batch.source.database)
        self.columns = selected_columns(batch, self.table)
        self._name = quote_table(self.table.database, self.table.name)
        self._key = key_of_rows(batch, self.table)

    def schema(self) -> Table:
        """Every column with its type, whether it may be NULL, and the keys that it is part of."""
        rows = []
        for column in self.columns:
            keys = ", ".join(key.name for key in self.table.keys if column.name in key.columns)
            traits = ["generated"] if column.generated else []
            traits += ["auto increment"] if column.auto_increment else []
            nullable = "NULL" if column.nullable else "NOT NULL"
            rows.append(
                (column.name, "json" if column.is_json else column.column_type, nullable, keys, ", ".join(traits))
            )
        return Table(("column", "type", "nullable", "keys", "notes"), rows, f"{self.table.name}: {len(rows)} columns")

    def counts(self) -> Table:
        """Rows, and per column: NULLs, empty strings, distinct values, least and greatest; in one pass of the table."""
        terms = ["COUNT(*)"]
        for column in self.columns:
            terms += _column_terms(column)
        where = "".join(f" WHERE {term}" for term in condition(self.batch.source.where))
        with errors_located(f"source {self.table.name}: counting"):
            (row,) = execute(self._connection, f"SELECT {', '.join(terms)} FROM {self._name}{where}")
        total, cells = int(row[0]), list(row[1:])
        rows = []
        for column in self.columns:
            values = [cells.pop(0) for _ in _column_terms(column)]
            counts = [int(value or 0) for value in values[:3]]
            rows.append((column.name, *counts, *(_plain(value) for value in values[3:])))
        heads = ("column", "NULL", "''", "distinct", "least", "greatest")
        return Table(heads, rows, f"{self.table.name}: {total:,} rows")

    def sample(self, rows: int = 10) -> Table:
        """The first `rows` rows in key order, exactly as the server writes them."""
        reader = PlainReader(self._connection, self._name, self.columns, self._key, self.batch.source.where)
        found = reader.read(None, None, rows)
        caption = f"{self.table.name}: the first {len(found)} rows by {', '.join(self._key)}"
        return Table([column.name for column in self.columns], found, caption)

    def row_count(self) -> int:
        """How many rows the batch would read."""
        where = "".join(f" WHERE {term}" for term in condition(self.batch.source.where))
        return int(execute(self._connection, f"SELECT COUNT(*) FROM {self._name}{where}")[0][0])


def open_source(batch: Batch) -> SourceTable:
    """The source table of a batch. Raises SecretError, Unreachable or SchemaMismatch."""
    return SourceTable(batch)


def require_rows(source: SourceTable) -> str:
    """The verdict on a source: that it can be copied. Raises SchemaMismatch when the batch does not fit it."""
    from dataops.core.fit import require_fit, require_unique_key

    require_fit(source.batch, source.table, None)
    require_unique_key(source._connection, source.batch, source.table)
    return (
        f"{source.batch.batch}: the batch fits its source; {source.row_count():,} rows to copy, "
        f"each with a DynamoDB key of its own."
    )


def _column_terms(column: Column) -> list[str]:
    name = quote_name(column.name)
    empty = f"SUM({name} = '')" if column.kind == "text" else "0"
    terms = [f"SUM({name} IS NULL)", empty, f"COUNT(DISTINCT {name})"]
    if column.kind in ("json", "binary", "geometry"):
        return [*terms, "NULL", "NULL"]
    return [*terms, f"MIN({name})", f"MAX({name})"]


def _plain(value: str | bytes | None) -> str | None:
    if isinstance(value, bytes):
        return str(int.from_bytes(value, "big"))
    return value
