"""How many events a run writes into its execution's history, which may have 25,000."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HISTORY_EVENTS = 25_000
"""https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
_ENDS, _PASSED, _FAILED_TRY = 2, 2, 3
"""Events of an execution's start and end; of entering and leaving a state; of one try of a Task: scheduled, started, failed."""
_WORK = {"Task": 3, "Parallel": 2, "Map": 2}
"""Events of a state that works: scheduled, started, succeeded; a Parallel or Map is started and succeeds."""


def count_events(machine: Mapping[str, Any]) -> int:
    """The most events that one run writes if it enters every state once and uses every retry.

    Each further turn of a loop writes its states' events again. A distributed Map's children have histories of their own;
    an inline Map is counted with one item.
    """
    return _ENDS + _count_states(machine)


def _count_states(scope: Mapping[str, Any]) -> int:
    return sum(map(_count_state, scope["States"].values()))


def _count_state(state: Mapping[str, Any]) -> int:
    inner = sum(map(_count_states, state.get("Branches", [])))
    processor = state.get("ItemProcessor") or state.get("Iterator")
    if processor and processor.get("ProcessorConfig", {}).get("Mode") != "DISTRIBUTED":
        inner += 2 + _count_states(processor)
    tries = sum(_attempts(retry) for retry in state.get("Retry", []))
    again = inner + (_FAILED_TRY if state.get("Type") == "Task" else _WORK.get(str(state.get("Type")), 0))
    return _PASSED + _WORK.get(str(state.get("Type")), 0) + inner + tries * again


def _attempts(retry: Mapping[str, Any]) -> int:
    """Of an expression that is known in a run only, as many as without one."""
    given = retry.get("MaxAttempts", 3)
    return given if isinstance(given, int) else 3
