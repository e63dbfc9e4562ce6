"""The paths, templates and expressions of a state, whatever its type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dataops.deploy.asl.fields import Fault
from dataops.deploy.asl.path import find_jsonata_fault, find_path_fault, find_template_fault

TEMPLATES = {"Parameters", "ResultSelector", "ItemSelector", "Assign", "Credentials"}
"""Fields whose keys that end in `.$` hold paths or intrinsic functions, in JSONPath states."""


def check_paths(state: Mapping[str, Any], at: str) -> Iterator[Fault]:
    """The paths and templates of a JSONPath state."""
    for name, value in state.items():
        if name.endswith("Path") and not (value is None and name in ("InputPath", "OutputPath", "ResultPath")):
            yield from _check_path(name, value, f"{at}.{name}")
        elif name in TEMPLATES:
            yield from _check_template(value, f"{at}.{name}")
    for name in ("ItemReader", "ItemBatcher", "ResultWriter"):
        yield from _check_template(state.get(name), f"{at}.{name}")


def _check_path(name: str, value: Any, at: str) -> Iterator[Fault]:
    if not isinstance(value, str):
        yield Fault(at, "expected a path, which begins with $")
        return
    intrinsic = name in ("ErrorPath", "CausePath") and value.startswith("States.")
    fault = find_template_fault(value) if intrinsic else find_path_fault(value, reference=name == "ResultPath")
    if not fault and name == "ResultPath" and value.startswith("$$"):
        fault = "the context object cannot be written"
    if fault:
        yield Fault(at, fault)


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
            elif fault := find_template_fault(part):
                yield Fault(f"{at}.{name}", fault)


def check_expressions(value: Any, at: str) -> Iterator[Fault]:
    """The `{% ... %}` of a JSONata state, wherever they stand, but not those of the states inside it."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name not in ("Branches", "ItemProcessor", "Iterator", "Comment", "QueryLanguage", "Type", "Resource"):
                yield from check_expressions(part, f"{at}.{name}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from check_expressions(part, f"{at}[{number}]")
    elif isinstance(value, str) and (value.startswith("{%") or value.endswith("%}")):
        if not (value.startswith("{%") and value.endswith("%}")):
            yield Fault(at, "expected {% and %} at both ends, with nothing around them")
        elif fault := find_jsonata_fault(value):
            yield Fault(at, fault)
