"""A definition as a whole: its scopes, the names in them, and the ways from state to state."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from dataops._wording import did_you_mean
from dataops.deploy.asl.fields import LONGEST_SECONDS, Fault, check_names, check_whole
from dataops.deploy.asl.history import HISTORY_EVENTS, count_events
from dataops.deploy.asl.state import check_state

MOST_BYTES, LONGEST_NAME = 1_048_576, 80
MACHINE = {"Comment", "StartAt", "States", "Version", "TimeoutSeconds", "QueryLanguage", "ProcessorConfig"}
UNREAD = "jsonata-python is not installed (pip install jsonata-python): JSONata expressions were not checked"
_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)')
"""A text, or what Python reads as a number and JSON does not know."""


def check_machine(text: str) -> list[Fault]:
    """All faults of a definition in JSON, in the order in which they stand."""
    if len(text.encode()) > MOST_BYTES:
        return [Fault("", f"expected at most {MOST_BYTES:,} bytes, found {len(text.encode()):,}")]
    constant = next((found for found in _CONSTANT.finditer(text) if found[1]), None)
    if constant:
        line = text.count("\n", 0, constant.start()) + 1
        return [Fault(f"line {line}", f"not JSON: {constant[0]} is no value of it")]
    try:
        machine = json.loads(text, object_pairs_hook=_Object)
        if not isinstance(machine, dict):
            return [Fault("", "expected an object with StartAt and States")]
        found = [*_repeated(machine, ""), *_check_scope(machine, "", "JSONPath", {}, top=True)]
    except json.JSONDecodeError as error:
        return [Fault(f"line {error.lineno}, column {error.colno}", f"not JSON: {error.msg}")]
    except ValueError:
        return [Fault("", "holds a number of too many digits")]
    except RecursionError:
        return [Fault("", "is nested too deeply")]
    if not any(fault.level == "error" for fault in found):
        found += _check_limits(machine)
    if "{%" in text and not find_spec("jsonata"):
        found.append(Fault("", UNREAD, "warning"))
    return found


class _Object(dict[str, Any]):
    """An object of JSON that knows its keys which stand twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        times = Counter(name for name, _ in pairs) if len(self) < len(pairs) else {}
        self.repeated = [name for name, number in times.items() if number > 1]


def _repeated(value: Any, at: str) -> Iterator[Fault]:
    if isinstance(value, list):
        for number, part in enumerate(value):
            yield from _repeated(part, f"{at}[{number}]")
    elif isinstance(value, _Object):
        place = f"{at}." if at else ""
        for name in value.repeated:
            yield Fault(f"{place}{name}", "the key stands twice in this object; JSON readers keep the last only")
        for name, part in value.items():
            yield from _repeated(part, f"{place}{name}")


def _check_limits(machine: Mapping[str, Any]) -> Iterator[Fault]:
    events = count_events(machine)
    if events > HISTORY_EVENTS:
        what = f"may write {events:,} events of history, where {HISTORY_EVENTS:,} end an execution: lower MaxAttempts"
        yield Fault("", f"{what}, or have a distributed Map or another machine do a part", "warning")


def _check_scope(
    scope: Mapping[str, Any], at: str, language: str, names: dict[str, str], *, top: bool = False
) -> Iterator[Fault]:
    """A machine, a branch or a Map's processor."""
    place = f"{at}." if at else ""
    yield from check_names(scope, MACHINE - {"ProcessorConfig"} if top else MACHINE, at)
    language = _language(scope, language)
    if "QueryLanguage" in scope and scope["QueryLanguage"] not in ("JSONPath", "JSONata"):
        yield Fault(f"{place}QueryLanguage", "expected JSONPath or JSONata")
    if scope.get("Version", "1.0") != "1.0":
        yield Fault(f"{place}Version", "expected 1.0, the only version")
    if "TimeoutSeconds" in scope:
        yield from check_whole(scope, "TimeoutSeconds", place, 1, LONGEST_SECONDS)
    states = scope.get("States")
    if not isinstance(states, dict) or not states:
        yield Fault(f"{place}States", "expected an object with at least one state")
        return
    start = scope.get("StartAt")
    if not isinstance(start, str):
        yield Fault(f"{place}StartAt", "required: the name of the first state")
    elif start not in states:
        yield Fault(f"{place}StartAt", f"no state here is called {start!r}{did_you_mean(start, states)}")
    for name, state in states.items():
        where = f"{place}States.{name}"
        if len(name) > LONGEST_NAME or not name:
            yield Fault(where, f"expected a name of 1 to {LONGEST_NAME} characters, found {len(name)}")
        if name in names:
            yield Fault(where, f"the name is taken by {names[name]}; names are unique in the whole machine")
        names.setdefault(name, where)
        if not isinstance(state, dict):
            yield Fault(where, "expected an object")
            continue
        yield from check_state(state, where, _language(state, language), language, states)
        for place_in, inner in _inner_scopes(state, where):  # they take the machine's language, not this state's
            yield from _check_scope(inner, place_in, language, names)
    yield from _check_ways(start, states, place)


def _inner_scopes(state: Mapping[str, Any], at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The machines inside a state, each with its place."""
    branches = state.get("Branches")
    scopes = [
        (f"{at}.Branches[{number}]", of) for number, of in enumerate(branches if isinstance(branches, list) else [])
    ]
    scopes += [(f"{at}.{name}", state[name]) for name in ("ItemProcessor", "Iterator") if name in state]
    return ((where, scope) for where, scope in scopes if isinstance(scope, dict))


def _language(scope: Mapping[str, Any], outer: str) -> str:
    given = scope.get("QueryLanguage", outer)
    return given if given in ("JSONPath", "JSONata") else outer


def _check_ways(start: Any, states: Mapping[str, Any], place: str) -> Iterator[Fault]:
    """States that nothing leads to, and a scope that never ends."""
    reached: set[str] = set()
    waiting = [start] if isinstance(start, str) and start in states else []
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [target for target in _targets(states[name]) if target in states]
    if reached:
        for name in (name for name in states if name not in reached):
            yield Fault(f"{place}States.{name}", "cannot be reached from StartAt")
        if not any(_ends(states[name]) for name in reached):
            yield Fault(f"{place}States", "expected a state that ends it: End: true, Succeed or Fail")


def _targets(state: Any) -> list[str]:
    if not isinstance(state, dict):
        return []
    lists = [entries for name in ("Choices", "Catch") if isinstance(entries := state.get(name), list)]
    entries = [entry for of in lists for entry in of if isinstance(entry, dict)]
    found = [*(entry.get("Next") for entry in entries), state.get("Next"), state.get("Default")]
    return [target for target in found if isinstance(target, str)]


def _ends(state: Any) -> bool:
    return isinstance(state, dict) and (state.get("End") is True or state.get("Type") in ("Succeed", "Fail"))
