"""Roll Back Flow: drop what held runs have staged, release their leases, record and notify why."""

from __future__ import annotations

from typing import Any

from dataops.core.flow import roll_back_flow
from dataops.handlers.edge import edge


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run, execution, start and machine of the flow, and the name of the error that was caught. Reply: why the flow failed."""
    names = event["run"], event["execution"], event["started"], event["machine"]
    record = roll_back_flow(*names, event["error"])
    return {"cause": record.cause}
