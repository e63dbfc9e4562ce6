"""The paths, templates and expressions of a state, whatever its type."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dataops.deploy.asl.fields import Fault
from dataops.deploy.asl.path import (
    find_jsonata_fault,
    find_path_doubt,
    find_path_fault,
    find_reserved_fault,
    find_template_fault,
)

TEMPLATES = {"Parameters", "ResultSelector", "ItemSelector", "Assign", "Credentials"}
"""Fields whose keys that end in `.$` hold paths or intrinsic functions, in JSONPath states."""
MAP_NUMBERS = {
    "MaxConcurrencyPath", "ToleratedFailureCountPath", "ToleratedFailurePercentagePath",
    "MaxItemsPath", "MaxItemsPerBatchPath", "MaxInputBytesPerBatchPath",
}  # fmt: skip
"""Paths to numbers of a Map: AWS takes reference paths only, into the state's input (github.com/floci-io/floci/issues/3733)."""
TIMES = {"SecondsPath", "TimestampPath", "TimeoutSecondsPath", "HeartbeatSecondsPath"}
"""Reference paths by the specification; whether AWS refuses a filter there is not known, so that is a warning."""
REFERENCES = {"ResultPath", "ItemsPath"} | MAP_NUMBERS | TIMES


def check_paths(state: Mapping[str, Any], at: str) -> Iterator[Fault]:
    """The paths and templates of a JSONPath state."""
    for name, value in state.items():
        if name.endswith("Path") and not (value is None and name in ("InputPath", "OutputPath", "ResultPath")):
            yield from _check_path(name, value, f"{at}.{name}")
        elif name in TEMPLATES:
            yield from _check_template(value, f"{at}.{name}")
    for name in ("ItemReader", "ItemBatcher", "ResultWriter"):
        yield from _check_template(state.get(name), f"{at}.{name}")


def check_path(text: Any, at: str) -> Iterator[Fault]:
    """A path that may name any number of nodes."""
    if not isinstance(text, str):
        yield Fault(at, "expected a path, which begins with $")
    elif fault := find_path_fault(text):
        yield Fault(at, fault)
    elif doubt := find_path_doubt(text):
        yield Fault(at, doubt, "warning")


def _check_path(name: str, value: Any, at: str) -> Iterator[Fault]:
    if name in ("ErrorPath", "CausePath") and isinstance(value, str) and value.startswith("States."):
        yield from _check_value(value, at)
    elif isinstance(value, str) and name in REFERENCES:
        yield from _check_reference(name, value, at)
    else:
        yield from check_path(value, at)


def _check_reference(name: str, text: str, at: str) -> Iterator[Fault]:
    """Items may be filtered: the developer guide has `$.jar[?(@.a >= 5)]` among its reference paths."""
    fault = find_path_fault(text, reference=True)
    if fault and not find_path_fault(text) and not find_path_doubt(text) and name not in {"ResultPath"} | MAP_NUMBERS:
        if name in TIMES:
            yield Fault(at, fault, "warning")
    elif fault:
        yield Fault(at, fault)
    elif name == "ResultPath" and re.match(r"\$(?:\$|\w)", text):
        yield Fault(at, f"the {'context object' if text.startswith('$$') else 'variable'} cannot be written")
    elif name in MAP_NUMBERS and text.startswith("$$"):
        yield Fault(at, "expected a path into the state's input: the context object is not read here")


def _check_template(value: Any, at: str) -> Iterator[Fault]:
    if isinstance(value, list):
        for number, part in enumerate(value):
            yield from _check_template(part, f"{at}[{number}]")
    elif isinstance(value, dict):
        for name, part in value.items():
            if not name.endswith(".$"):
                yield from _check_template(part, f"{at}.{name}")
            elif not isinstance(part, str):
                yield Fault(f"{at}.{name}", "expected a path or an intrinsic function, since its key ends in .$")
            else:
                yield from _check_value(part, f"{at}.{name}")


def _check_value(text: str, at: str) -> Iterator[Fault]:
    if fault := find_template_fault(text):
        yield Fault(at, fault)
    elif doubt := find_path_doubt(text):
        yield Fault(at, doubt, "warning")


def check_expressions(state: Mapping[str, Any], at: str) -> Iterator[Fault]:
    """The `{% ... %}` of a JSONata state, wherever they stand, but not those of the states inside it."""
    works = state.get("Type") in ("Task", "Parallel", "Map")
    for name, value in state.items():
        if name in ("Choices", "Retry", "Catch"):
            yield from _check_entries(value, f"{at}.{name}", "errorOutput" if name == "Catch" else "")
        elif name not in ("Branches", "ItemProcessor", "Iterator", "Comment", "QueryLanguage", "Type", "Resource"):
            allowed = "result" if works and name in ("Output", "Assign") else ""
            yield from _check_expression(value, f"{at}.{name}", allowed)


def _check_entries(entries: Any, at: str, allowed: str) -> Iterator[Fault]:
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        for name, value in entry.items() if isinstance(entry, dict) else ():
            if name != "Comment":
                where = f"{at}[{number}].{name}"
                yield from _check_expression(value, where, allowed if name in ("Output", "Assign") else "")


def _check_expression(value: Any, at: str, allowed: str) -> Iterator[Fault]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _check_expression(part, f"{at}.{name}", allowed)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _check_expression(part, f"{at}[{number}]", allowed)
    elif isinstance(value, str) and (value.startswith("{%") or value.endswith("%}")):
        if not (value.startswith("{%") and value.endswith("%}")):
            yield Fault(at, "expected {% and %} at both ends, with nothing around them")
        elif fault := find_jsonata_fault(value) or find_reserved_fault(value, allowed):
            yield Fault(at, fault)
