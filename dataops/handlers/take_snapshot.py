"""Take Snapshot: for a batch that asks for it, make all items those of one instant of the source."""

from __future__ import annotations

from typing import Any

from dataops.core.reconcile import take_snapshot
from dataops.core.task import Task
from dataops.handlers.edge import edge, time_is_short


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run. Reply: empty."""
    with Task.open(event["run"]) as task:
        take_snapshot(task, time_is_short(context))
        return {}
