"""Rds To Dynamodb: copy one chunk until it is done or the time runs short."""

from __future__ import annotations

from typing import Any

from dataops.core.copy import copy_chunk
from dataops.core.task import Task
from dataops.handlers.edge import edge, time_is_short


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run, chunk. Reply: done, false when there is more to do."""
    with Task.open(event["run"]) as task:
        return {"done": copy_chunk(task, event["chunk"], time_is_short(context))}
