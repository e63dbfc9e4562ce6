"""Publish: make the verified staging table the target, atomically."""

from __future__ import annotations

from typing import Any

from dataops.core.control import Control
from dataops.core.publish import publish
from dataops.core.task import Task
from dataops.handlers.edge import edge


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run. Reply: empty."""
    control = Control(event["run"])
    with Task(control, control.require_plan()) as task:
        publish(task)
        return {}
