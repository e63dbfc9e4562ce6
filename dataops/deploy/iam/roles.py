"""Roles that are wider than needed, each with its place: what a template lets its functions, machines and schedules do.

A role of ours, known by its logical id, allows what the tables in allowed.py do and no more: actions, resources, conditions,
who takes it, and the one Deny. Another role is narrow when every action and resource in it is named, only services take it,
and it has a hand in nobody's rights; where AWS knows no narrower resource than `*`, a comment in the line above says so.
A machine's role invokes exactly its functions, a schedule's role starts the stack's machines only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dataops.deploy.asl import Fault
from dataops.deploy.iam.access import check_access, is_wide
from dataops.deploy.iam.allowed import ALLOWED, CONDITIONS, DENIED, actions_on, names_of, trust_of
from dataops.deploy.iam.grants import Grant, find_parts, has_condition, is_within, list_grants, list_leaves
from dataops.deploy.iam.intrinsic import NO_VALUE, find_target, spell_out
from dataops.deploy.iam.reasons import Reasons
from dataops.deploy.template import of_type, write_line

_RIGHTS = re.compile(
    r"iam:(?!Get|List)|sts:AssumeRole|\w[\w-]*:(AddPermission|Put\w*Policy|CreateGrant)$", re.IGNORECASE
)
"""Actions that hand on rights."""
_ACTION = re.compile(r"[\w-]+:\w+")
_SERVICE = re.compile(r"[a-z][\w.-]*\.(amazonaws\.com(\.cn)?|\$\{AWS::URLSuffix\})")
_ATTACHING = ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::RolePolicy")


def check_roles(template: Mapping[str, Any], text: str) -> Iterator[Fault]:
    """What is too wide in a template, whose text tells the reasons; what is ours is held to the tables in allowed.py."""
    reasons, template = Reasons(text), spell_out(template)
    for grant in list_grants(template):
        if grant.allows:
            is_ours = grant.owner in ALLOWED
            yield from list(_check_words(grant)) or (
                _check_ours(grant, template) if is_ours else _check_other(grant, template, reasons)
            )
    yield from _check_denied(template)
    for name, _ in of_type(template, "AWS::IAM::Role"):
        yield from _check_policies(template, name)
        yield from _check_trust(template, name)
    yield from _check_attached(template)
    yield from check_access(template)
    yield from _check_machines(template)
    yield from _check_schedules(template)


def _check_words(grant: Grant) -> Iterator[Fault]:
    for part in ("NotAction", "NotResource"):
        if part in grant.statement:
            yield Fault(f"{grant.where}.{part}", "allows all but what it names: name what is needed instead")
            return
    if not grant.actions or not grant.resources:
        yield Fault(grant.where, "expected Action and Resource in plain words")
    for action in grant.actions:
        if "*" in str(action) or "?" in str(action):
            yield Fault(f"{grant.where}.Action", f"{write_line(action)}: a wildcard; name each action that is needed")


def _check_ours(grant: Grant, template: Mapping[str, Any]) -> Iterator[Fault]:
    """No pair of action and resource that ALLOWED has not, and no condition less than CONDITIONS."""
    name, actions = grant.owner, {write_line(action) for action in grant.actions}
    extra: dict[str, list[str]] = {}
    for resource in grant.resources:
        known = set().union(*(actions_on(name, of) for of in names_of(resource, template)))
        if more := sorted(actions - known):
            extra[write_line(resource)] = more
    if extra:
        told = "; ".join(f"{', '.join(more)} on {resource}" for resource, more in extra.items())
        yield Fault(grant.where, f"{told}: {name} needs no such thing")
    for action in CONDITIONS.keys() & actions:
        if not extra and not has_condition(grant.statement, CONDITIONS[action]):
            yield Fault(grant.where, f"{action}: expected Condition: {write_line(CONDITIONS[action])}")


def _check_other(grant: Grant, template: Mapping[str, Any], reasons: Reasons) -> Iterator[Fault]:
    """No hand in anybody's rights, and nothing wide without a reason."""
    for action in grant.actions:
        if not _ACTION.fullmatch(str(action)):
            yield Fault(f"{grant.where}.Action", f"{write_line(action)}: expected an action, such as dynamodb:GetItem")
        elif _RIGHTS.match(action):
            yield Fault(f"{grant.where}.Action", f"{action}: hands on rights; leave it out")
    for resource in grant.resources:
        if is_wide(resource, template) and not reasons.given(grant.path):
            told = "names nothing of this stack; narrow it, or say why not (three words or more) in a comment above"
            yield Fault(f"{grant.where}.Resource", f"{write_line(resource)}: {told}")


def _check_denied(template: Mapping[str, Any]) -> Iterator[Fault]:
    """Each statement of DENIED is there whenever its owner is."""
    for name in DENIED.keys() & template["Resources"].keys():
        own = template["Resources"][name].get("Condition")
        there = [
            {key: value for key, value in grant.statement.items() if key != "Sid"}
            for grant in list_grants(template)
            if grant.owner == name and grant.conditions == ((own,) if own else ())
        ]
        if DENIED[name] not in there:
            where = f"Resources.{name}.Properties.PolicyDocument.Statement"
            yield Fault(where, f"{name} is too wide without {write_line(DENIED[name])}")


def _check_policies(template: Mapping[str, Any], name: str) -> Iterator[Fault]:
    """No managed policy but the template's own, and for a role of ours none but NetworkPolicy."""
    own = {policy for policy, _ in of_type(template, "AWS::IAM::ManagedPolicy")}
    for part in find_parts(template, name, "ManagedPolicyArns"):
        if part.is_leaf and part.value not in (None, NO_VALUE):
            target = find_target(part.value)
            if target not in own:
                yield Fault(part.where, "a managed policy of somebody else's: name the actions that are needed instead")
            elif name in ALLOWED and target != "NetworkPolicy":
                yield Fault(part.where, f"{target}: {name} needs no such policy; name the actions in the role instead")


def _check_trust(template: Mapping[str, Any], name: str) -> Iterator[Fault]:
    """A role of ours is taken by the service that it is for, under its condition; another by services."""
    for part in find_parts(template, name, "AssumeRolePolicyDocument"):
        if not part.is_statement or part.value.get("Effect") == "Deny":
            continue
        principal = part.value.get("Principal")
        if not isinstance(principal, dict) or "*" in str(principal):
            yield Fault(f"{part.where}.Principal", "anybody may take this role: name the service")
        elif name in ALLOWED:
            if not is_within(part.value, trust_of(name)):
                yield Fault(part.where, f"who may take {name}: expected {write_line(trust_of(name))}")
        elif principal.keys() != {"Service"} or not all(_SERVICE.fullmatch(str(of)) for of in list_leaves(principal)):
            yield Fault(f"{part.where}.Principal", f"{write_line(principal)}: expected a service")


def _check_attached(template: Mapping[str, Any]) -> Iterator[Fault]:
    """A policy is put on roles of the template only, and from outside of it on no role of ours."""
    roles = {name for name, _ in of_type(template, "AWS::IAM::Role")}
    for kind in _ATTACHING:
        for policy, properties in of_type(template, kind):
            for key in properties.keys() & {"Roles", "RoleName", "Users", "Groups"}:
                for part in find_parts(template, policy, key):
                    role = find_target(part.value)
                    if part.is_leaf and role in ALLOWED:
                        told = f"{role} needs no other policy than its own: name the actions in the role instead"
                        yield Fault(part.where, told)
                    elif part.is_leaf and role not in roles and part.value != NO_VALUE:
                        yield Fault(part.where, f"{write_line(part.value)}: expected !Ref of a role of this template")


class _Reach(NamedTuple):
    """How far a role reaches with one action: what it may use beyond what is wanted, and what it may not use of that."""

    beyond: list[Fault]
    lacking: list[Fault]


def _check_machines(template: Mapping[str, Any]) -> Iterator[Fault]:
    """A machine's role invokes exactly the functions of its definition; what a role of ours has beyond them is told by ALLOWED."""
    roles = dict(of_type(template, "AWS::IAM::Role"))
    for name, properties in of_type(template, "AWS::StepFunctions::StateMachine"):
        used = {find_target(arn) for arn in properties.get("DefinitionSubstitutions", {}).values()}
        functions = {of for of, _ in of_type(template, "AWS::Lambda::Function")} & used
        role = find_target(properties.get("RoleArn"))
        if role in roles:
            reach = _reach(template, role, "lambda:InvokeFunction", functions, f"machine {name}")
            yield from reach.lacking if role in ALLOWED else reach.beyond + reach.lacking


def _check_schedules(template: Mapping[str, Any]) -> Iterator[Fault]:
    """A role that Scheduler or EventBridge takes starts the stack's machines and nothing else; it need not start all."""
    machines = {name for name, _ in of_type(template, "AWS::StepFunctions::StateMachine")}
    for name, properties in of_type(template, "AWS::IAM::Role"):
        trusted = str(properties.get("AssumeRolePolicyDocument"))
        if name not in ALLOWED and ("scheduler.amazonaws.com" in trusted or "events.amazonaws.com" in trusted):
            yield from _reach(template, name, "states:StartExecution", machines, "a schedule").beyond


def _reach(template: Mapping[str, Any], role: str, action: str, wanted: set[str], who: str) -> _Reach:
    where, beyond, reached = f"Resources.{role}", [], set()
    for grant in list_grants(template):
        if grant.owner != role or not grant.allows or action not in grant.actions:
            continue
        where = f"{grant.where}.Resource"
        for resource in grant.resources:
            reached.add(find_target(resource))
            if find_target(resource) not in wanted:
                told = f"{write_line(resource)}: {who} may use {action} on {', '.join(sorted(wanted))} only"
                beyond.append(Fault(where, told))
    missing = ", ".join(sorted(wanted - reached))
    return _Reach(beyond, [Fault(where, f"{who} also needs {action} on {missing}")] if missing else [])
