"""What runs in Jupyter: tables, pictures, reports. Calls core and handlers, never the reverse.

The names that notebooks use stand here.
"""

from dataops.workbook.diagram import draw_machine
from dataops.workbook.inspect import open_source, require_rows
from dataops.workbook.report import counts_table, draw_outcome, rejections_table, require_success
from dataops.workbook.run import find_batch, run_batch

__all__ = [
    "counts_table",
    "draw_machine",
    "draw_outcome",
    "find_batch",
    "open_source",
    "rejections_table",
    "require_rows",
    "require_success",
    "run_batch",
]
