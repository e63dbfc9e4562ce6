"""Roles that are wider than needed, each with its place: what a template lets its functions, machines and schedules do.

A role is narrow when every action and resource in it is named, a function's role allows no action that the committed
template does not, a machine's role invokes exactly its functions, and a schedule's role starts the stack's machines only.
What AWS lets nobody narrow has a comment with the reason in the line above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from dataops.deploy.asl import Fault
from dataops.deploy.template import Tagged, of_type

_OWN_NAME = re.compile(r"\$\{(?!AWS::(Partition|Region|AccountId|URLSuffix)\})")
"""A part of a Sub that names something of the stack itself."""


class Grant(NamedTuple):
    """A statement of a role or policy (its logical id): where it stands, as path and as text, and what it says."""

    owner: str
    path: tuple[str | int, ...]
    statement: Mapping[str, Any]

    @property
    def where(self) -> str:
        """Its place, as `Resources.PlanRole.Properties.Policies[0].PolicyDocument.Statement[2]`."""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path).lstrip(".")

    @property
    def actions(self) -> list[Any]:
        """The actions that it names."""
        return _listed(self.statement.get("Action"))

    @property
    def resources(self) -> list[Any]:
        """The resources that it names."""
        return _listed(self.statement.get("Resource"))

    @property
    def allows(self) -> bool:
        """Whether it allows something."""
        return self.statement.get("Effect") == "Allow"


def check_roles(template: Mapping[str, Any], text: str, committed: Mapping[str, Any]) -> Iterator[Fault]:
    """What is too wide in a template, whose text tells the reasons; `committed` is the one that functions are held to."""
    reasons = _Reasons(text)
    for grant in list_grants(template):
        if grant.allows:
            yield from _check_grant(grant, reasons)
    for name, properties in of_type(template, "AWS::IAM::Role"):
        for number, policy in enumerate(properties.get("ManagedPolicyArns", [])):
            if any(isinstance(of, str) and ":policy/" in of for of in _branches(policy)):
                where = f"Resources.{name}.Properties.ManagedPolicyArns[{number}]"
                yield Fault(where, "a managed policy of somebody else's: name the actions that are needed instead")
        for number, trusted in enumerate(_listed(properties.get("AssumeRolePolicyDocument", {}).get("Statement"))):
            if "*" in str(trusted.get("Principal")):
                where = f"Resources.{name}.Properties.AssumeRolePolicyDocument.Statement[{number}].Principal"
                yield Fault(where, "anybody may take this role: name the service")
    yield from _check_functions(template, committed)
    yield from _check_machines(template)
    yield from _check_schedules(template)


def list_grants(template: Mapping[str, Any]) -> Iterator[Grant]:
    """All statements of a template's roles and policies; of a condition both branches."""
    path: tuple[str | int, ...]
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource.get("Type") == "AWS::IAM::Role":
            for number, policy in enumerate(properties.get("Policies", [])):
                path = ("Resources", name, "Properties", "Policies", number, "PolicyDocument", "Statement")
                yield from _grants(name, path, policy["PolicyDocument"])
        elif resource.get("Type") in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
            path = ("Resources", name, "Properties", "PolicyDocument", "Statement")
            yield from _grants(name, path, properties["PolicyDocument"])


def _grants(owner: str, path: tuple[str | int, ...], document: Mapping[str, Any]) -> Iterator[Grant]:
    for number, statement in enumerate(_listed(document.get("Statement"))):
        for branch in _branches(statement):
            if isinstance(branch, dict):
                yield Grant(owner, (*path, number), branch)


def _check_grant(grant: Grant, reasons: _Reasons) -> Iterator[Fault]:
    for part in ("NotAction", "NotResource"):
        if part in grant.statement:
            yield Fault(f"{grant.where}.{part}", "allows all but what it names: name what is needed instead")
    for action in grant.actions:
        if "*" in str(action) or "?" in str(action):
            yield Fault(f"{grant.where}.Action", f"{action}: a wildcard; name each action that is needed")
    for resource in grant.resources:
        if _is_wide(resource) and not reasons.given(grant.path):
            yield Fault(
                f"{grant.where}.Resource",
                f"{_spell(resource)}: names nothing of this stack; narrow it, or say why not in a comment in the line above",
            )


def _is_wide(resource: Any) -> bool:
    """Whether a resource is everything, or everything of a kind: its last part is `*`, and nothing names the stack's own."""
    text = resource.value if isinstance(resource, Tagged) and resource.tag == "Sub" else resource
    if not isinstance(text, str):
        return False
    name = text.split(":", 5)[-1] if text.startswith("arn:") else text
    return text == "*" or ("*" in name and not _OWN_NAME.search(name))


def _check_functions(template: Mapping[str, Any], committed: Mapping[str, Any]) -> Iterator[Fault]:
    """No action that the committed role of the same function has not."""
    allowed = _actions_by_owner(committed)
    for name, properties in of_type(template, "AWS::Lambda::Function"):
        role = _target(properties.get("Role"))
        if name not in committed["Resources"]:
            continue
        known = allowed.get(_target(committed["Resources"][name]["Properties"].get("Role")), set())
        for grant in list_grants(template):
            extra = sorted(set(map(str, grant.actions)) - known) if grant.owner == role and grant.allows else []
            if extra:
                yield Fault(
                    f"{grant.where}.Action", f"{', '.join(extra)}: function {name} may do so in no committed template"
                )


def _check_machines(template: Mapping[str, Any]) -> Iterator[Fault]:
    """A machine's role invokes exactly the functions of its definition."""
    for name, properties in of_type(template, "AWS::StepFunctions::StateMachine"):
        used = {_target(arn) for arn in properties.get("DefinitionSubstitutions", {}).values()}
        functions = {of for of, _ in of_type(template, "AWS::Lambda::Function")} & used
        yield from _check_reach(
            template,
            _target(properties.get("RoleArn")),
            "lambda:InvokeFunction",
            functions,
            f"machine {name}",
            exactly=True,
        )


def _check_schedules(template: Mapping[str, Any]) -> Iterator[Fault]:
    """A role that Scheduler or EventBridge takes starts the stack's machines and nothing else."""
    machines = {name for name, _ in of_type(template, "AWS::StepFunctions::StateMachine")}
    for name, properties in of_type(template, "AWS::IAM::Role"):
        trusted = str(properties.get("AssumeRolePolicyDocument"))
        if "scheduler.amazonaws.com" in trusted or "events.amazonaws.com" in trusted:
            yield from _check_reach(template, name, "states:StartExecution", machines, "a schedule", exactly=False)


def _check_reach(
    template: Mapping[str, Any], role: str, action: str, wanted: set[str], who: str, *, exactly: bool
) -> Iterator[Fault]:
    reached: set[str] = set()
    where = f"Resources.{role}"
    for grant in list_grants(template):
        if grant.owner != role or not grant.allows or action not in grant.actions:
            continue
        where = f"{grant.where}.Resource"
        for resource in grant.resources:
            reached.add(_target(resource))
            if _target(resource) not in wanted:
                yield Fault(where, f"{_spell(resource)}: {who} may use {action} on {', '.join(sorted(wanted))} only")
    if missing := sorted(wanted - reached if exactly else set()):
        yield Fault(where, f"{who} also needs {action} on {', '.join(missing)}")


def _actions_by_owner(template: Mapping[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for grant in list_grants(template):
        if grant.allows:
            found.setdefault(grant.owner, set()).update(map(str, grant.actions))
    return found


def _target(value: Any) -> str:
    """The logical id that a `!Ref` or `!GetAtt X.Arn` names; empty for anything else."""
    if isinstance(value, Tagged) and value.tag in ("Ref", "GetAtt"):
        return str(value.value).removesuffix(".Arn")
    return ""


def _branches(value: Any) -> list[Any]:
    """What a value may be: of an `!If` both branches."""
    if isinstance(value, Tagged) and value.tag == "If":
        return [branch for part in value.value[1:] for branch in _branches(part)]
    return [value]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _spell(resource: Any) -> str:
    return f"!{resource.tag} {resource.value}" if isinstance(resource, Tagged) else str(resource)


class _Reasons:
    """The comments of a template's text, by the place of what they stand above."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._root = yaml.compose(text)

    def given(self, path: tuple[str | int, ...]) -> bool:
        """Whether the line above what stands there is a comment."""
        node: Any = self._root
        for step in path:
            node = node.value[step] if isinstance(step, int) else next(v for k, v in node.value if k.value == step)
        line = node.start_mark.line
        return bool(line > 0 and self._lines[line - 1].lstrip().startswith("#"))
