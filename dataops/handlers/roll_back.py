"""Roll Back: drop staging, release the lease, record and notify why."""

from __future__ import annotations

from typing import Any

from dataops.core.publish import roll_back
from dataops.handlers.edge import edge


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run, execution, and the error that was caught. Reply: why the run failed."""
    error = event["error"]
    record = roll_back(event["run"], event["execution"], error["Error"], error["Cause"])
    return {"cause": record.cause}
