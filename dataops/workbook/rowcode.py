"""The functions that a batch's rows go through in the copy and in the load, as code to read."""

from __future__ import annotations

from contextlib import closing

from dataops.batch import Batch
from dataops.core.compare import find_target
from dataops.core.connection import open_connection
from dataops.core.describe import describe_table
from dataops.core.fit import require_fit
from dataops.core.itemcode import page_code, why_items
from dataops.core.mysql import exactness
from dataops.core.normalize import Codec
from dataops.core.rowcode import row_code, why_plain
from dataops.core.schema import Table
from dataops.core.task import load_transform
from dataops.workbook.stack import attach


def row_code_of(batch: Batch) -> str:
    """The code for the batch's tables as they are now; a comment with the reason for a function that it does not have.

    Without a target table the load's function is that for a target like the source.
    """
    attach()
    with closing(open_connection(batch.source.secret)) as connection:
        table = describe_table(connection, batch.source.table, batch.source.database)
    require_fit(batch, table, None)
    target = find_target(batch)
    codec = Codec(batch, table, target, load_transform(batch))
    return f"{_copy_code(codec)}\n\n{_load_code(codec, target or table)}"


def _copy_code(codec: Codec) -> str:
    if why := why_plain(codec):
        return f"# The copy reads rows one by one, by no function of their own: {why}\n"
    return row_code(codec, sum(exactness(column) is not None for column in codec.columns))


def _load_code(codec: Codec, target: Table) -> str:
    if why := why_items(codec):
        return f"# The load takes items one by one, by no function of their own: {why}\n"
    columns = [target.column(column.name) if target.has(column.name) else column for column in codec.outputs]
    return page_code(codec, columns)
