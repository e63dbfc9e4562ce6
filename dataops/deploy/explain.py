"""What a change set leaves unsaid: old and new values, what DynamoDB refuses, what changes only with what it refers to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dataops.deploy.cloudformation import Change

_VALUES = ("ScheduleExpression", "ScheduleExpressionTimezone")
_INDEXES = "GlobalSecondaryIndexes"


def explain(change: Change, before: Mapping[str, Any], after: Mapping[str, Any]) -> Change:
    """A change between two templates: `what` has old and new expressions of schedules, and of indexes.

    A change of an index in place, and more than one index that comes or goes, is risky: a table of DynamoDB takes one new
    or one deleted index in an update of its stack, and no other change of them ("Update requires" of
    AWS::DynamoDB::Table, GlobalSecondaryIndexes).
    """
    if change.action != "Modify":
        return change
    old, new = (dict(template["Resources"].get(change.resource, {})) for template in (before, after))
    one, other = old.get("Properties", {}), new.get("Properties", {})
    told = {name: f"{name}: {_spell(one.get(name))} -> {_spell(other.get(name))}" for name in _VALUES}
    edits = dict(_index_edits(one, other))
    told[_INDEXES] = f"{_INDEXES}: {'; '.join(f'{name}: {edit}' for name, edit in edits.items())}"
    changed = [told[of] if of in told and one.get(of) != other.get(of) else of for of in change.what.split(", ")]
    return change._replace(
        what=", ".join(changed),
        replacement="; ".join(filter(None, [change.replacement, _refusal(edits)])),
        by_reference=change.by_reference and old == new,
    )


def _index_edits(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The names of a table's indexes that differ, each with how."""
    old, new = ({of["IndexName"]: of for of in side.get(_INDEXES, [])} for side in (one, other))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield name, f"{_spell_index(old.get(name))} -> {_spell_index(new.get(name))}"


def _refusal(edits: Mapping[str, str]) -> str:
    in_place = [name for name, edit in edits.items() if "none" not in edit.split(" -> ")]
    if in_place:
        told = f"DynamoDB changes no index in place ({', '.join(in_place)})"
        return f"will be refused: {told}; deploy one of another name beside it, then remove it"
    if len(edits) > 1:
        return f"will be refused: DynamoDB takes one new or deleted index at a time ({', '.join(edits)}); deploy twice"
    return ""


def _spell(value: Any) -> str:
    return "none" if value is None else str(value)


def _spell_index(index: Mapping[str, Any] | None) -> str:
    if index is None:
        return "none"
    keys = ", ".join(key["AttributeName"] for key in index["KeySchema"])
    projection = index["Projection"]
    return f"({keys}) {' '.join([projection['ProjectionType'], *projection.get('NonKeyAttributes', [])])}"
