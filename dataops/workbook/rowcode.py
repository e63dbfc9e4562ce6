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
from dataops.core.task import load_transform
from dataops.errors import Permanent
from dataops.workbook.stack import attach


def row_code_of(batch: Batch) -> str:
    """The code for the batch's tables as they are now. Raises Permanent where rows are read one by one.

    Without a target table the load's function is that for a target like the source.
    """
    attach()
    with closing(open_connection(batch.source.secret)) as connection:
        table = describe_table(connection, batch.source.table, batch.source.database)
    require_fit(batch, table, None)
    target = find_target(batch)
    codec = Codec(batch, table, target, load_transform(batch))
    if why := why_plain(codec):
        raise Permanent(f"{batch.batch}: its rows are read one by one, by no function of their own: {why}")
    code = row_code(codec, sum(exactness(column) is not None for column in codec.columns))
    columns = [
        (target or table).column(column.name) if (target or table).has(column.name) else column
        for column in codec.outputs
    ]
    return code if why_items(codec) else f"{code}\n\n{page_code(codec, columns)}"
