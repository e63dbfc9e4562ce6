"""Account Rows: no row that was read is lost."""

from __future__ import annotations

from collections import Counter

from dataops.core.task import Task
from dataops.errors import Permanent, Unaccounted


def account_rows(task: Task) -> None:
    """Check that every row that was read became an item, a rejection or was dropped.

    Raises Unaccounted when they do not add up in every chunk, Permanent when rows were rejected and the batch says
    `on_reject: fail`: nothing has been published yet.
    """
    chunks = task.control.chunks()
    rejected = sum(chunk.rejected for chunk in chunks)
    if not all(chunk.done for chunk in chunks):
        raise Permanent("some chunks were never copied to their end; run again")
    for chunk in chunks:
        if chunk.rows != chunk.items + chunk.rejected + chunk.dropped:
            raise Unaccounted(
                f"source {task.plan.source.name}: chunk {chunk.id}: {chunk.rows:,} rows read, but {chunk.items:,} items "
                f"+ {chunk.rejected:,} rejected + {chunk.dropped:,} dropped"
            )
    if rejected and task.plan.batch.on_reject == "fail":
        faults = Counter((fault.column, fault.reason) for fault in task.control.rejections(limit=1000))
        (column, reason), _ = faults.most_common(1)[0]
        what = f"{column} {reason}" if column else reason
        raise Permanent(
            f"source {task.plan.source.name}: {rejected:,} rows were rejected, most often because {what}; the report "
            "lists them; correct them, or say on_reject: continue"
        )
