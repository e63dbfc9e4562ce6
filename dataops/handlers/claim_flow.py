"""Claim Flow: claim the scheduled instant, name the batches' runs."""

from __future__ import annotations

from typing import Any

from dataops.core.flow import FlowRequest, claim_flow
from dataops.handlers.edge import edge


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run, execution, started and the execution's input. Reply: runs, workers, create_target; or skipped."""
    claimed = claim_flow(FlowRequest.parse(event))
    return {"skipped": True} if claimed is None else {"skipped": False, **claimed}
