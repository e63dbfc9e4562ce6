"""The rules of a Choice state: one comparison each, of the type that its operator names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from dataops._wording import did_you_mean
from dataops.deploy.asl.fields import Fault
from dataops.deploy.asl.templates import check_path, check_paths
from dataops.deploy.asl.variables import check_assign

ORDERS = ("Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals")
COMPARED = {
    **{f"{kind}{order}": kind for kind in ("String", "Numeric", "Timestamp") for order in ORDERS},
    "BooleanEquals": "Boolean",
    "StringMatches": "String",
}
"""Operators that compare with a value, and its type."""
TESTED = {f"Is{kind}": "Boolean" for kind in ("Null", "Present", "Numeric", "String", "Boolean", "Timestamp")}
BY_PATH = {f"{name}Path": "Path" for name in COMPARED if name != "StringMatches"}
OPERATORS: Mapping[str, str] = {**COMPARED, **TESTED, **BY_PATH}
JOINED = {"And", "Or", "Not"}
WORDS = {
    "String": "a text",
    "Numeric": "a number",
    "Boolean": "true or false",
    "Timestamp": "an ISO-8601 instant with its zone",
}


def check_choice(rules: Any, language: str) -> Iterator[Fault]:
    """Faults of a Choice state's rules, each with its place below `Choices`."""
    if not isinstance(rules, list) or not rules:
        yield Fault("", "required: a list of at least one rule")
        return
    for number, rule in enumerate(rules):
        at = f"[{number}]"
        if not isinstance(rule, dict):
            yield Fault(at, "expected an object")
            continue
        if not isinstance(rule.get("Next"), str):
            yield Fault(f"{at}.Next", "required: the name of a state")
        yield from check_assign(rule, at)
        if language == "JSONata":
            yield from _check_jsonata(rule, at)
            continue
        yield from _check_rule(rule, at, top=True)
        yield from check_paths({"Assign": rule.get("Assign")}, at)


def _check_jsonata(rule: Mapping[str, Any], at: str) -> Iterator[Fault]:
    condition = rule.get("Condition")
    if not isinstance(condition, bool) and not (isinstance(condition, str) and condition.startswith("{%")):
        yield Fault(f"{at}.Condition", "required: a JSONata expression, {% ... %}")
    for name in rule:
        if name not in ("Condition", "Next", "Assign", "Output", "Comment"):
            yield Fault(f"{at}.{name}", "unknown field in a JSONata rule")


def _check_rule(rule: Mapping[str, Any], at: str, *, top: bool = False) -> Iterator[Fault]:
    known = {"Variable", "Comment", *JOINED, *OPERATORS, *({"Next", "Assign"} if top else ())}
    for name in rule:
        if name not in known:
            deep = name == "Next" and not top
            what = "only the outermost rule has Next" if deep else f"unknown operator{did_you_mean(name, known)}"
            yield Fault(f"{at}.{name}", what)
    found = [name for name in rule if name in OPERATORS or name in JOINED]
    if len(found) != 1:
        yield Fault(at, f"expected exactly one comparison, found {' and '.join(found) if found else 'none'}")
        return
    if found[0] in JOINED:
        yield from _check_joined(found[0], rule[found[0]], f"{at}.{found[0]}")
        if "Variable" in rule:
            yield Fault(f"{at}.Variable", f"does not go with {found[0]}")
        return
    if not isinstance(rule.get("Variable"), str):
        yield Fault(f"{at}.Variable", "required: a path")
    else:
        yield from check_path(rule["Variable"], f"{at}.Variable")
    yield from _check_value(found[0], rule[found[0]], f"{at}.{found[0]}")


def _check_joined(name: str, value: Any, at: str) -> Iterator[Fault]:
    rules = [value] if name == "Not" else value
    if not isinstance(rules, list) or not rules:
        yield Fault(at, "expected a list of at least one rule")
        return
    for number, rule in enumerate(rules):
        where = at if name == "Not" else f"{at}[{number}]"
        if isinstance(rule, dict):
            yield from _check_rule(rule, where)
        else:
            yield Fault(where, "expected a rule")


def _check_value(operator: str, value: Any, at: str) -> Iterator[Fault]:
    kind = OPERATORS[operator]
    if kind == "Path":
        yield from check_path(value, at)
    elif not _is_of(kind, value):
        yield Fault(at, f"expected {WORDS[kind]}")


def _is_of(kind: str, value: Any) -> bool:
    if kind == "Boolean":
        return isinstance(value, bool)
    if kind == "Numeric":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str) and (kind == "String" or is_instant(value))


def is_instant(text: str) -> bool:
    """RFC 3339 with its capital T and Z, as the specification wants it."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9]{2}:[0-9]{2})", text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
