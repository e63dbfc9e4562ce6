"""Preflight, invoked directly and no state: can this function reach and do all that a run of the batch needs?"""

from __future__ import annotations

from typing import Any

import msgspec

from dataops.core.preflight import run_preflight
from dataops.handlers.edge import edge, time_is_short


@edge
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event: batch (a batch file's content). Reply: the checks."""
    return {"checks": msgspec.to_builtins(run_preflight(event["batch"], time_is_short(context)))}
