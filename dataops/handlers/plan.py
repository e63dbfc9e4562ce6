"""Plan: claim, lease, check, cut into chunks."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from dataops.core.plan import PlanRequest, plan_run
from dataops.handlers.edge import edge


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run, execution, started and the execution's input. Reply: run, batch, chunks, workers; or skipped."""
    seconds = int(os.environ.get("DATAOPS_FUNCTION_SECONDS", "900"))
    request = msgspec.convert({**event.pop("input"), **event, "function_seconds": seconds}, PlanRequest)
    planned = plan_run(request)
    return {"skipped": True} if planned is None else {"skipped": False, **planned}
