"""Small definitions in the Amazon States Language, and what is wrong in one."""

from __future__ import annotations

import json
from typing import Any

from dataops.deploy.asl import check_machine

TASK = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:1:function:f", "TimeoutSeconds": 60, "End": True}
PASS = {"Type": "Pass", "End": True}
SCOPE = {"StartAt": "Inner", "States": {"Inner": PASS}}
DISTRIBUTED = {**SCOPE, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}


def machine(**states: Any) -> dict[str, Any]:
    """A machine of these states, the first of which starts it."""
    return {"StartAt": next(iter(states)), "States": states}


def jsonata(**states: Any) -> dict[str, Any]:
    """A machine of these states, whose query language is JSONata."""
    return {**machine(**states), "QueryLanguage": "JSONata"}


def distributed_map(**fields: Any) -> dict[str, Any]:
    """A machine of a distributed Map with these fields."""
    return machine(A={"Type": "Map", "ItemProcessor": DISTRIBUTED, "End": True, **fields})


def faults(of: Any, level: str = "error") -> list[tuple[str, str]]:
    """The places and messages of what is wrong in a definition."""
    found = check_machine(of if isinstance(of, str) else json.dumps(of))
    return [(fault.where, fault.what) for fault in found if fault.level == level]
