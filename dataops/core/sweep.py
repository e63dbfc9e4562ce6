"""Sweep Stale: remove what older generations of this batch left, so that a full refresh means deletions too."""

from __future__ import annotations

from collections.abc import Callable

from dataops.core.dynamodb import key_of, remove_stale, scan_page
from dataops.core.task import Task, pack_cursor, unpack_cursor
from dataops.core.telemetry import count


def sweep_stale(task: Task, until: Callable[[], bool]) -> bool:
    """Remove items whose stamp is not of this run: True when all are gone, False when the time ran short.

    An item is removed only while it still has the stamp that was seen, so a racing write always wins.
    """
    batch, control = task.plan.batch, task.control
    owned = task.owned if batch.dynamodb.write == "update" else None
    current, progress = task.current_stamps(), control.sweep()
    while True:
        control.require_wanted()
        cursor = unpack_cursor(progress.cursor)
        page = scan_page(task.dynamodb, batch.dynamodb.table, batch.stamp, cursor, only=task.key_names)
        for item in page.items:
            if item[batch.stamp].get("N") not in current:
                key = key_of(item, task.key_names)
                seen = item[batch.stamp]
                removed = remove_stale(task.dynamodb, batch.dynamodb.table, key, batch.stamp, seen, owned)
                progress.deleted += removed
                count(deleted=removed)
                if until():
                    control.save_sweep(progress)
                    return False
        progress.cursor = pack_cursor(page.cursor)
        control.save_sweep(progress)
        if page.cursor is None:
            return True
        if until():
            return False
