"""Close Flow: close the runs, release their leases, write the flow's record."""

from __future__ import annotations

from typing import Any

from dataops.core.flow import close_flow
from dataops.handlers.edge import edge


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run and execution of the flow. Reply: run and status."""
    record = close_flow(event["run"], event["execution"])
    return {"run": record.run, "status": record.status}
