"""Source Vs DynamoDB: name the chunks that have drifted since they were copied."""

from __future__ import annotations

from typing import Any

from dataops.core.reconcile import verify_source
from dataops.core.task import Task
from dataops.handlers.edge import edge, time_is_short


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run. Reply: done, and the numbers of the drifted chunks."""
    with Task.open(event["run"]) as task:
        drifted = verify_source(task, time_is_short(context))
        return {"done": drifted is not None, "drifted": drifted or []}
