"""DynamoDB Vs Staging: items and staging rows agree, or the run fails."""

from __future__ import annotations

from typing import Any

from dataops.core.reconcile import verify_staging
from dataops.core.task import Task
from dataops.handlers.edge import edge, time_is_short


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run. Reply: done, false when there is more to do."""
    with Task.open(event["run"]) as task:
        return {"done": verify_staging(task, time_is_short(context))}
