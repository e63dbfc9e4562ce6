"""Account Rows: every row read became an item, a rejection or was dropped."""

from __future__ import annotations

from typing import Any

from dataops.core.account import account_rows
from dataops.core.task import Task
from dataops.handlers.edge import edge


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: run. Reply: empty."""
    with Task.open(event["run"]) as task:
        account_rows(task)
        return {}
