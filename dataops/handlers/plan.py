"""Plan: claim, lease, check, cut into chunks."""

from __future__ import annotations

from typing import Any

from dataops.core.plan import PlanRequest, plan_run
from dataops.handlers.edge import edge


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run, execution, started and the execution's input. Reply: run, batch, chunks, workers; or skipped."""
    planned = plan_run(PlanRequest.parse(event))
    return {"skipped": True} if planned is None else {"skipped": False, **planned}
