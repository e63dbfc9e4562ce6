"""Prepare Staging: an empty keyed table like the target, and the segments to load it by."""

from __future__ import annotations

from typing import Any

from dataops.core.load import prepare_staging
from dataops.core.task import Task
from dataops.handlers.edge import edge


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run. Reply: the numbers of the segments."""
    with Task.open(event["run"]) as task:
        return {"segments": prepare_staging(task)}
