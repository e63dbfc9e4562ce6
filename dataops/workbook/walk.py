"""Walk a batch's source rows through its codec, a page at a time, and write nothing: what previews are made from."""

from __future__ import annotations

from collections.abc import Iterator

from dataops.batch import Batch
from dataops.core.compare import find_target
from dataops.core.connection import open_connection
from dataops.core.describe import describe_table
from dataops.core.fit import require_fit
from dataops.core.mysql import PlainReader, condition, errors_located, execute, quote_table
from dataops.core.normalize import Codec, Row, reading_key, selected_columns
from dataops.core.task import load_transform
from dataops.errors import BatchFileError
from dataops.workbook.stack import attach

PAGE_ROWS = 1000


class SourceWalk:
    """The rows that a batch reads, in key order: all of them, or the first `most`. A page is in memory at a time.

    `total` are the rows that there are, `read` those that `rows` has given so far.
    """

    def __init__(self, batch: Batch, most: int = 0) -> None:
        if most < 0:
            raise BatchFileError(f"rows: expected 0 (all) or more, found {most:,}")
        attach()
        self.batch, self._most, self.read = batch, most, 0
        self._connection = open_connection(batch.source.secret)
        self.table = describe_table(self._connection, batch.source.table, batch.source.database)
        require_fit(batch, self.table, None)
        self._name = quote_table(self.table.database, self.table.name)
        self.codec = self.codec_of(batch)
        where = "".join(f" WHERE {term}" for term in condition(batch.source.where))
        with errors_located(f"source {self.table.name}: counting"):
            self.total = int(execute(self._connection, f"SELECT COUNT(*) FROM {self._name}{where}")[0][0])

    def codec_of(self, batch: Batch) -> Codec:
        """The codec of this batch, or of the same with other rules; the target's NOT NULL columns count where it is."""
        return Codec(batch, self.table, find_target(batch), load_transform(batch))

    def rows(self) -> Iterator[Row]:
        """The rows, as the server writes them."""
        key, columns = reading_key(self.batch, self.table), selected_columns(self.batch, self.table)
        reader = PlainReader(self._connection, self._name, columns, key, self.batch.source.where)
        after = None
        while limit := min(PAGE_ROWS, self._most - self.read if self._most else PAGE_ROWS):
            page = reader.read(after, None, limit)
            if not page:
                return
            self.read += len(page)
            yield from page
            after = reader.key_of(page[-1])

    @property
    def partial(self) -> bool:
        """Whether there were more rows than were read."""
        return self.read < self.total

    @property
    def what(self) -> str:
        """What was read, in words: `6,000 rows`, or `the first 1,000 of 6,000 rows by key`."""
        return f"the first {self.read:,} of {self.total:,} rows by key" if self.partial else f"{self.read:,} rows"
