"""What a template's roles and policies say, statement by statement, each with its place and the conditions it is under."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dataops.deploy.template import Tagged

Place = tuple[str | int, ...]
GRANTING = ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::RolePolicy")
"""The types of resources whose statements are grants."""


class Part(NamedTuple):
    """A value in a template: where it stands, what it is, and the names in the template's Conditions that it is under.

    It is there where all of `conditions` hold; `not X` where X must not.
    """

    path: Place
    value: Any
    conditions: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Its place, as `Resources.PlanRole.Properties.Policies[0].PolicyDocument.Statement[2]`."""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path).lstrip(".")

    @property
    def is_statement(self) -> bool:
        """Whether it is a statement of a policy, an identity's or a resource's."""
        said = {str(key).lower() for key in self.value} if isinstance(self.value, dict) else set()
        return "effect" in said and not said.isdisjoint({"action", "notaction", "principal", "notprincipal"})

    @property
    def is_leaf(self) -> bool:
        """Whether nothing else stands in it."""
        return not isinstance(self.value, (dict, list))


class Grant(NamedTuple):
    """A statement of a role or policy (its logical id): where it stands and what it says, and its conditions as of a Part."""

    owner: str
    path: Place
    statement: Mapping[str, Any]
    conditions: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Its place, as that of a Part."""
        return Part(self.path, self.statement).where

    @property
    def actions(self) -> list[Any]:
        """The actions that it names."""
        return list_leaves(self.statement.get("Action"))

    @property
    def resources(self) -> list[Any]:
        """The resources that it names."""
        return list_leaves(self.statement.get("Resource"))

    @property
    def allows(self) -> bool:
        """Whether it may allow something: an effect that is worked out later may."""
        return self.statement.get("Effect") != "Deny"


def list_grants(template: Mapping[str, Any]) -> Iterator[Grant]:
    """All statements of a template's roles and policies; of a condition both branches."""
    for name, resource in template["Resources"].items():
        if resource.get("Type") in GRANTING:
            for part in find_parts(template, name):
                if part.is_statement and "AssumeRolePolicyDocument" not in part.path:
                    yield Grant(name, part.path, part.value, part.conditions)


def find_parts(template: Mapping[str, Any], name: str, *properties: str) -> Iterator[Part]:
    """All that stands in a resource's properties, or in one of them, from the outside in; of a condition both branches."""
    resource = template["Resources"][name]
    value: Any = resource.get("Properties", {})
    for of in properties:
        value = value.get(of)
    under = (str(resource["Condition"]),) if "Condition" in resource else ()
    yield from _walk(value, ("Resources", name, "Properties", *properties), under)


def list_leaves(value: Any) -> list[Any]:
    """The single values in a part of a template; of a condition both branches."""
    return [part.value for part in _walk(value, (), ()) if part.is_leaf and part.value is not None]


def _walk(value: Any, path: Place, under: tuple[str, ...]) -> Iterator[Part]:
    if isinstance(value, Tagged) and value.tag == "If":
        name, then, other = value.value
        yield from _walk(then, (*path, 1), (*under, str(name)))
        yield from _walk(other, (*path, 2), (*under, f"not {name}"))
        return
    yield Part(path, value, under)
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in parts:
        yield from _walk(part, (*path, step), under)


def is_within(statement: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a statement says no more than another: no other action, resource or principal, and no condition less."""
    says_more = _facts(statement, "Sid", "Condition") - _facts(other, "Sid", "Condition")
    return not says_more and has_condition(statement, other.get("Condition", {}))


def has_condition(statement: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    """Whether a statement is under a condition; under others as well, it is the narrower."""
    found = statement.get("Condition", {})
    return all(
        isinstance(found, dict) and isinstance(found.get(operator), dict) and found[operator].get(key) == value
        for operator, keys in condition.items()
        for key, value in keys.items()
    )


def _facts(statement: Mapping[str, Any], *but: str) -> set[tuple[Place, str]]:
    """What a statement says, a single value each with the keys that it stands under."""
    return {
        (tuple(step for step in part.path if isinstance(step, str)), str(part.value))
        for part in _walk({key: value for key, value in statement.items() if key not in but}, (), ())
        if part.is_leaf
    }
