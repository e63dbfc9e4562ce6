"""Close Run: release the lease, write the run's record."""

from __future__ import annotations

from typing import Any

from dataops.core.close import close_run
from dataops.handlers.edge import edge


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run, execution. Reply: the run's counts."""
    record = close_run(event["run"], event["execution"])
    return {
        "run": record.run,
        "status": record.status,
        "source_rows": record.source_rows,
        "target_rows": record.target_rows,
    }
