"""Publish Flow: put the new tables of all batches in place at once."""

from __future__ import annotations

from typing import Any

from dataops.core.flow import publish_flow
from dataops.handlers.edge import edge


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run and execution of the flow. Reply: empty."""
    publish_flow(event["run"], event["execution"])
    return {}
