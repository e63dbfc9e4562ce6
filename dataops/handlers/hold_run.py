"""Hold Run: prove the staging table and leave its publication to the flow."""

from __future__ import annotations

from typing import Any

from dataops.core.control import Control
from dataops.core.flow import hold_run
from dataops.core.task import Task
from dataops.handlers.edge import edge


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run, execution. Reply: empty."""
    control = Control(event["run"])
    with Task(control, control.require_plan()) as task:
        hold_run(task, event["execution"])
        return {}
