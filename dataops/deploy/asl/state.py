"""One state: its fields, by its type. States inside it (of a Map, of branches) are checked by `machine`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dataops._wording import did_you_mean
from dataops.deploy.asl.choice import check_choice, is_instant
from dataops.deploy.asl.fields import (
    LONGEST_SECONDS,
    PAYLOAD_BYTES,
    Fault,
    check_exclusive,
    check_names,
    check_target,
    check_whole,
)
from dataops.deploy.asl.map import check_map
from dataops.deploy.asl.resource import is_resource
from dataops.deploy.asl.retry import CATCHER, RETRIER, check_entries
from dataops.deploy.asl.templates import check_expressions, check_paths
from dataops.deploy.asl.variables import check_assign

COMMON = {"Type", "Comment", "QueryLanguage", "InputPath", "OutputPath", "Assign", "Output"}
ENDING = {"Next", "End"}
RETRIED = {"Retry", "Catch", "ResultPath", "ResultSelector", "Parameters", "Arguments"}
FIELDS = {
    "Task": COMMON | ENDING | RETRIED
    | {"Resource", "TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath", "Credentials"},
    "Pass": COMMON | ENDING | {"Result", "ResultPath", "Parameters"},
    "Wait": COMMON | ENDING | {"Seconds", "SecondsPath", "Timestamp", "TimestampPath"},
    "Choice": COMMON | {"Choices", "Default"},
    "Succeed": COMMON - {"Assign"},
    "Fail": {"Type", "Comment", "QueryLanguage", "Error", "ErrorPath", "Cause", "CausePath"},
    "Parallel": COMMON | ENDING | RETRIED | {"Branches"},
    "Map": COMMON | ENDING | RETRIED
    | {"ItemProcessor", "Iterator", "ItemSelector", "ItemsPath", "Items", "MaxConcurrency", "MaxConcurrencyPath",
       "ItemReader", "ItemBatcher", "ResultWriter", "Label", "ToleratedFailurePercentage",
       "ToleratedFailurePercentagePath", "ToleratedFailureCount", "ToleratedFailureCountPath"},
}  # fmt: skip
"""The fields of each type of state."""
JSONPATH_ONLY = {"InputPath", "OutputPath", "ResultPath", "ResultSelector", "Parameters", "ItemsPath"}
JSONATA_ONLY = {"Arguments", "Output", "Items"}


def check_state(
    state: dict[str, Any], at: str, language: str, outer: str, states: Mapping[str, Any]
) -> Iterator[Fault]:
    """Faults of a state in its query language, within a scope of the language `outer` whose states are `states`."""
    kind = state.get("Type")
    if not isinstance(kind, str) or kind not in FIELDS:
        near = did_you_mean(kind, FIELDS) if isinstance(kind, str) else ""
        yield Fault(f"{at}.Type", f"expected one of {', '.join(FIELDS)}{near}")
        return
    yield from check_names(state, FIELDS[kind], at)
    if outer == "JSONata" and language == "JSONPath":
        yield Fault(f"{at}.QueryLanguage", "the machine is JSONata, and a state of it cannot go back to JSONPath")
    wrong = JSONPATH_ONLY if language == "JSONata" else JSONATA_ONLY
    for name in [name for name in state if name in wrong or (language == "JSONata" and name.endswith("Path"))]:
        yield Fault(f"{at}.{name}", f"is not for a state whose query language is {language}")
    if "Next" in FIELDS[kind]:
        yield from _check_next(state, at, states)
    yield from check_paths(state, at) if language == "JSONPath" else check_expressions(state, at)
    yield from check_assign(state, at)
    for name, allowed in (("Retry", RETRIER), ("Catch", CATCHER)):
        if name in state and name in FIELDS[kind]:
            yield from check_entries(state[name], f"{at}.{name}", allowed, language, states)
    yield from _BY_KIND[kind](state, at, language, states)


def _check_next(state: Mapping[str, Any], at: str, states: Mapping[str, Any]) -> Iterator[Fault]:
    if "End" in state and not isinstance(state["End"], bool):
        yield Fault(f"{at}.End", "expected true")
    if ("Next" in state) == (state.get("End") is True):
        both = "has both" if "Next" in state else "has neither"
        yield Fault(at, f"expected either Next or End: true, {both}")
    if "Next" in state:
        yield from check_target(state["Next"], f"{at}.Next", states)


def _check_task(state: dict[str, Any], at: str, *_rest: Any) -> Iterator[Fault]:
    if not isinstance(state.get("Resource"), str) or not is_resource(state["Resource"]):
        yield Fault(f"{at}.Resource", "required: an ARN, or a ${Placeholder} that stands for one")
    role = state.get("Credentials", {"RoleArn": ""})
    if not isinstance(role, str) and (not isinstance(role, dict) or len({"RoleArn", "RoleArn.$"} & role.keys()) != 1):
        yield Fault(f"{at}.Credentials", "expected an object with RoleArn or RoleArn.$")
    for name in ("TimeoutSeconds", "HeartbeatSeconds"):
        yield from check_exclusive(state, (name, f"{name}Path"), at, required=False)
        yield from check_whole(state, name, f"{at}.", 1, LONGEST_SECONDS)
    beat, limit = state.get("HeartbeatSeconds"), state.get("TimeoutSeconds")
    if isinstance(beat, int) and isinstance(limit, int) and beat >= limit:
        yield Fault(f"{at}.HeartbeatSeconds", "expected less than TimeoutSeconds")
    if not {"TimeoutSeconds", "TimeoutSecondsPath"} & state.keys():
        yield Fault(at, "has no TimeoutSeconds: a task that is never answered waits for a year", "warning")


def _check_wait(state: dict[str, Any], at: str, *_rest: Any) -> Iterator[Fault]:
    yield from check_exclusive(state, ("Seconds", "SecondsPath", "Timestamp", "TimestampPath"), at, required=True)
    yield from check_whole(state, "Seconds", f"{at}.", 0, LONGEST_SECONDS)
    until = state.get("Timestamp", "{%")
    if not isinstance(until, str) or not (until.startswith(("{%", "${")) or is_instant(until)):
        yield Fault(f"{at}.Timestamp", "expected an ISO-8601 instant with its zone, as 2026-02-28T09:00:00Z")


def _check_pass(state: dict[str, Any], at: str, *_rest: Any) -> Iterator[Fault]:
    for name in ("Result", "Output") if state.get("ResultPath", "$") is not None else ():
        size = len(json.dumps(state.get(name), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
        if size > PAYLOAD_BYTES:
            yield Fault(
                f"{at}.{name}", f"expected at most {PAYLOAD_BYTES:,} bytes, which a state may give, found {size:,}"
            )


def _check_fail(state: dict[str, Any], at: str, *_rest: Any) -> Iterator[Fault]:
    for name in ("Error", "Cause"):
        yield from check_exclusive(state, (name, f"{name}Path"), at, required=False)


def _check_choice(state: dict[str, Any], at: str, language: str, states: Mapping[str, Any]) -> Iterator[Fault]:
    if "Default" in state:
        yield from check_target(state["Default"], f"{at}.Default", states)
    for fault in check_choice(state.get("Choices"), language):
        yield fault._replace(where=f"{at}.Choices{fault.where}")
    rules = state.get("Choices")
    for number, rule in enumerate(rules if isinstance(rules, list) else []):
        if isinstance(rule, dict) and isinstance(rule.get("Next"), str):
            yield from check_target(rule["Next"], f"{at}.Choices[{number}].Next", states)


def _check_parallel(state: dict[str, Any], at: str, *_rest: Any) -> Iterator[Fault]:
    branches = state.get("Branches")
    if not isinstance(branches, list) or not branches:
        yield Fault(f"{at}.Branches", "required: a list of at least one branch")
        return
    for number in (number for number, branch in enumerate(branches) if not isinstance(branch, dict)):
        yield Fault(f"{at}.Branches[{number}]", "expected an object with StartAt and States")


def _nothing(*_rest: Any) -> Iterator[Fault]:
    return iter(())


_BY_KIND = {
    "Task": _check_task, "Pass": _check_pass, "Wait": _check_wait, "Choice": _check_choice, "Succeed": _nothing,
    "Fail": _check_fail, "Parallel": _check_parallel, "Map": check_map,
}  # fmt: skip
