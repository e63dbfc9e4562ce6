"""What runs in Jupyter: tables, pictures, reports. Calls core and handlers, never the reverse.

The names that notebooks use stand here.
"""

from dataops.workbook.changes import preview_changes
from dataops.workbook.diagram import draw_machine
from dataops.workbook.inspect import open_source, require_rows
from dataops.workbook.normalization import preview_normalization, require_storable
from dataops.workbook.packaging import package_batch, require_deployable
from dataops.workbook.preflight import preflight
from dataops.workbook.progress import NotebookProgress
from dataops.workbook.projection import preview_projection, require_projection
from dataops.workbook.reconcile import reconcile_batch, require_agreement
from dataops.workbook.report import cost_table, counts_table, draw_outcome, rejections_table, require_success
from dataops.workbook.run import find_batch, run_batch
from dataops.workbook.timeline import draw_consumption, draw_timeline

__all__ = [
    "NotebookProgress",
    "cost_table",
    "counts_table",
    "draw_consumption",
    "draw_machine",
    "draw_outcome",
    "draw_timeline",
    "find_batch",
    "open_source",
    "package_batch",
    "preflight",
    "preview_changes",
    "preview_normalization",
    "preview_projection",
    "reconcile_batch",
    "rejections_table",
    "require_agreement",
    "require_deployable",
    "require_projection",
    "require_rows",
    "require_storable",
    "require_success",
    "run_batch",
]
