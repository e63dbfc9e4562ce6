"""Sweep Stale: remove what older generations of this batch left."""

from __future__ import annotations

from typing import Any

from dataops.core.sweep import sweep_stale
from dataops.core.task import Task
from dataops.handlers.edge import edge, time_is_short


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run. Reply: done, false when there is more to do."""
    with Task.open(event["run"]) as task:
        return {"done": sweep_stale(task, time_is_short(context))}
