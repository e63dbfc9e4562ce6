"""Roles that are wider than needed, each with its place: what a template lets its functions, machines and schedules do.

A role is narrow when every action and resource in it is named, a role of ours allows what the table in allowed.py does and
no more, a machine's role invokes exactly its functions, and a schedule's role starts the stack's machines only.
What AWS lets nobody narrow has a comment with the reason in the line above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from dataops.deploy.allowed import ALLOWED, TRUSTED, actions_on, names_of
from dataops.deploy.asl import Fault
from dataops.deploy.template import Tagged, of_type

_OWN_NAME = re.compile(r"\$\{(?!AWS::(Partition|Region|AccountId|URLSuffix)\})")
"""A part of a Sub that names something of the stack itself."""


class Grant(NamedTuple):
    """A statement of a role or policy (its logical id): where it stands, as path and as text, and what it says.

    It is in the stack where all of `conditions` hold, names in the template's Conditions; `not X` where X must not.
    """

    owner: str
    path: tuple[str | int, ...]
    statement: Mapping[str, Any]
    conditions: tuple[str, ...] = ()

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
        """Whether it may allow something: an effect that is worked out later may."""
        return self.statement.get("Effect") != "Deny"


def check_roles(template: Mapping[str, Any], text: str) -> Iterator[Fault]:
    """What is too wide in a template, whose text tells the reasons; roles of ours are held to ALLOWED."""
    reasons, held = _Reasons(text), _held(template)
    for grant in list_grants(template):
        if grant.allows:
            found = list(_check_grant(grant, reasons))
            yield from found or [
                fault for name in sorted(held.get(grant.owner, ())) for fault in _check_held(grant, name, template)
            ]
    for name, properties in of_type(template, "AWS::IAM::Role"):
        yield from _check_policies(name, properties, is_held=name in held)
        yield from _check_trust(name, properties, held.get(name, set()))
    yield from _check_attached(template, held)
    yield from _check_machines(template, held)
    yield from _check_schedules(template, held)


def _held(template: Mapping[str, Any]) -> dict[str, set[str]]:
    """Roles and policies that ALLOWED knows, by their own name or by that of the function that has the role."""
    held = {name: {name} for name in template["Resources"] if name in ALLOWED}
    for name, properties in of_type(template, "AWS::Lambda::Function"):
        role = _target(properties.get("Role"))
        if f"{name}Role" in ALLOWED and role:
            held.setdefault(role, set()).add(f"{name}Role")
    return held


def _check_held(grant: Grant, name: str, template: Mapping[str, Any]) -> Iterator[Fault]:
    """No pair of action and resource that ALLOWED has not, and kms:Decrypt through Secrets Manager only."""
    if not grant.actions or not grant.resources:
        yield Fault(grant.where, f"{name} is held to what it needs: expected Action and Resource in plain words")
    extra: dict[str, list[str]] = {}
    for resource in grant.resources:
        known = set().union(*(actions_on(name, of) for of in names_of(resource, template)))
        if more := sorted(set(map(str, grant.actions)) - known):
            extra[_spell(resource)] = more
    if extra:
        told = "; ".join(f"{', '.join(actions)} on {resource}" for resource, actions in extra.items())
        yield Fault(grant.where, f"{told}: {name} needs no such thing")
    elif "kms:Decrypt" in grant.actions and "kms:ViaService" not in str(grant.statement.get("Condition")):
        yield Fault(grant.where, "kms:Decrypt: for Secrets Manager only; expected Condition with kms:ViaService")


def _check_policies(name: str, properties: Mapping[str, Any], *, is_held: bool) -> Iterator[Fault]:
    """No managed policy of somebody else's, and for a role of ours none but NetworkPolicy."""
    own = (Tagged("Ref", "NetworkPolicy"), Tagged("Ref", "AWS::NoValue"))
    arns = properties.get("ManagedPolicyArns")
    for number, policy in enumerate(_listed(arns)):
        where = f"Resources.{name}.Properties.ManagedPolicyArns[{number}]"
        if any(isinstance(of, str) and ":policy/" in of for of in _branches(policy)):
            yield Fault(where, "a managed policy of somebody else's: name the actions that are needed instead")
        elif is_held and any(of not in own for of in _branches(policy)):
            yield Fault(where, f"{_spell(policy)}: {name} needs no such policy; name the actions in the role instead")


def _check_trust(name: str, properties: Mapping[str, Any], held: set[str]) -> Iterator[Fault]:
    """Not anybody takes a role, and one of ours only the service that it is for."""
    for number, trusted in enumerate(_listed(properties.get("AssumeRolePolicyDocument", {}).get("Statement"))):
        where = f"Resources.{name}.Properties.AssumeRolePolicyDocument.Statement[{number}].Principal"
        principal = trusted.get("Principal") if isinstance(trusted, dict) else trusted
        if "*" in str(principal):
            yield Fault(where, "anybody may take this role: name the service")
        elif held:
            services = set().union(*(TRUSTED.get(of, {"lambda"}) for of in held))
            wanted = {f"{of}.amazonaws.com" for of in services}
            named = principal.get("Service") if isinstance(principal, dict) and len(principal) == 1 else None
            if not named or not set(map(str, _listed(named))) <= wanted:
                yield Fault(where, f"expected Service: {', '.join(sorted(wanted))}; nobody else may take {name}")


def _check_attached(template: Mapping[str, Any], held: Mapping[str, set[str]]) -> Iterator[Fault]:
    """No policy that is put on a role of ours from outside of it."""
    for kind in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::RolePolicy"):
        for policy, properties in of_type(template, kind):
            for part in ("Roles", "RoleName"):
                for role in sorted(set(re.findall(r"\w+", str(properties.get(part)))) & held.keys()):
                    where = f"Resources.{policy}.Properties.{part}"
                    yield Fault(
                        where, f"{role} needs no other policy than its own: name the actions in the role instead"
                    )


def list_grants(template: Mapping[str, Any]) -> Iterator[Grant]:
    """All statements of a template's roles and policies; of a condition both branches."""
    path: tuple[str | int, ...]
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        under = (str(resource["Condition"]),) if "Condition" in resource else ()
        if resource.get("Type") == "AWS::IAM::Role":
            for number, policy in enumerate(properties.get("Policies", [])):
                path = ("Resources", name, "Properties", "Policies", number, "PolicyDocument", "Statement")
                yield from _grants(name, path, policy["PolicyDocument"], under)
        elif resource.get("Type") in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
            path = ("Resources", name, "Properties", "PolicyDocument", "Statement")
            yield from _grants(name, path, properties["PolicyDocument"], under)


def _grants(
    owner: str, path: tuple[str | int, ...], document: Mapping[str, Any], under: tuple[str, ...]
) -> Iterator[Grant]:
    for number, statement in enumerate(_listed(document.get("Statement"))):
        for conditions, branch in _conditional(statement, under):
            if isinstance(branch, dict):
                yield Grant(owner, (*path, number), branch, conditions)


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


class _Reach(NamedTuple):
    """How far a role reaches with one action: what it may use beyond what is wanted, and what it may not use of that."""

    beyond: list[Fault]
    lacking: list[Fault]


def _check_machines(template: Mapping[str, Any], held: Mapping[str, set[str]]) -> Iterator[Fault]:
    """A machine's role invokes exactly the functions of its definition; what a role of ours has beyond them is told by ALLOWED."""
    for name, properties in of_type(template, "AWS::StepFunctions::StateMachine"):
        used = {_target(arn) for arn in properties.get("DefinitionSubstitutions", {}).values()}
        functions = {of for of, _ in of_type(template, "AWS::Lambda::Function")} & used
        role = _target(properties.get("RoleArn"))
        reach = _reach(template, role, "lambda:InvokeFunction", functions, f"machine {name}")
        yield from reach.lacking if role in held else reach.beyond + reach.lacking


def _check_schedules(template: Mapping[str, Any], held: Mapping[str, set[str]]) -> Iterator[Fault]:
    """A role that Scheduler or EventBridge takes starts the stack's machines and nothing else; it need not start all."""
    machines = {name for name, _ in of_type(template, "AWS::StepFunctions::StateMachine")}
    for name, properties in of_type(template, "AWS::IAM::Role"):
        trusted = str(properties.get("AssumeRolePolicyDocument"))
        if name not in held and ("scheduler.amazonaws.com" in trusted or "events.amazonaws.com" in trusted):
            yield from _reach(template, name, "states:StartExecution", machines, "a schedule").beyond


def _reach(template: Mapping[str, Any], role: str, action: str, wanted: set[str], who: str) -> _Reach:
    where, beyond, reached = f"Resources.{role}", [], set()
    for grant in list_grants(template):
        if grant.owner != role or not grant.allows or action not in grant.actions:
            continue
        where = f"{grant.where}.Resource"
        for resource in grant.resources:
            reached.add(_target(resource))
            if _target(resource) not in wanted:
                told = f"{_spell(resource)}: {who} may use {action} on {', '.join(sorted(wanted))} only"
                beyond.append(Fault(where, told))
    missing = ", ".join(sorted(wanted - reached))
    return _Reach(beyond, [Fault(where, f"{who} also needs {action} on {missing}")] if missing else [])


def _target(value: Any) -> str:
    """The logical id that a `!Ref` or `!GetAtt X.Arn` names; empty for anything else."""
    if isinstance(value, Tagged) and value.tag in ("Ref", "GetAtt"):
        return str(value.value).removesuffix(".Arn")
    return ""


def _branches(value: Any) -> list[Any]:
    """What a value may be: of an `!If` both branches."""
    return [branch for _, branch in _conditional(value)]


def _conditional(value: Any, under: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What a value may be, each with the conditions under which it is that."""
    if isinstance(value, Tagged) and value.tag == "If":
        name, then, other = value.value
        yield from _conditional(then, (*under, str(name)))
        yield from _conditional(other, (*under, f"not {name}"))
    else:
        yield under, value


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
            parts = dict(enumerate(node.value)) if isinstance(step, int) else {k.value: v for k, v in node.value}
            if step not in parts:
                return False
            node = parts[step]
        line = node.start_mark.line
        return bool(line > 0 and self._lines[line - 1].lstrip().startswith("#"))
