"""Dynamodb To Rds: load one segment into staging until it is done or the time runs short."""

from __future__ import annotations

from typing import Any

from dataops.core.load import load_segment
from dataops.core.task import Task
from dataops.handlers.edge import edge, time_is_short


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run, segment. Reply: done, false when there is more to do."""
    with Task.open(event["run"]) as task:
        return {"done": load_segment(task, event["segment"], time_is_short(context))}
