"""Access that a template gives besides its roles' statements: roles from elsewhere, what lets somebody in, and defaults.

Whatever takes a role takes one of this template, where it can be read. A resource that lets somebody in, by its type or by a
statement in it, stands in OPENED with that statement; of every other one only a Deny is taken. What a macro adds, nobody
can read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dataops.deploy.asl import Fault
from dataops.deploy.iam.allowed import OPENED, TAKEN
from dataops.deploy.iam.grants import GRANTING, find_parts, is_within, list_grants
from dataops.deploy.iam.intrinsic import NO_VALUE, find_target
from dataops.deploy.template import of_type, write_line

_OPENING = re.compile(
    r"AWS::(IAM|RAM|SSO|Organizations)::.*|AWS::Lambda::(Url|\w*Permission)"
    r"|AWS::.*::(\w*Resource|Queue|QueueInline|Topic|TopicInline|Bucket|EventBus)Policy"
)
"""Types that are there for identities or access."""
_NARROWING = ("AWS::EC2::VPCEndpoint",)
"""Types whose statements only ever take away: without any, all is let through."""
_DOCUMENTS = ("Properties", "Policies", "PolicyDocument", "AssumeRolePolicyDocument", "Statement")
_WILD = re.compile(r"[*?]|\{\{resolve:")
_SUFFIX = re.compile(r"-\?{6}$")
"""What Secrets Manager ends a secret's ARN with."""


def check_access(template: Mapping[str, Any]) -> Iterator[Fault]:
    """What gives access beside the statements of roles, in a template that is spelled out."""
    if "Transform" in template:
        yield Fault("Transform", "what a macro adds cannot be read here: write it out")
    for name, resource in template["Resources"].items():
        yield from _check_taken(template, name)
        if resource.get("Type") in GRANTING:
            yield from _check_readable(template, name)
        else:
            yield from _check_opened(template, name, str(resource.get("Type")))
    yield from _check_defaults(template)


def is_wide(resource: Any, template: Mapping[str, Any]) -> bool:
    """Whether a resource may be more than one thing and names nothing of the stack itself, or cannot be read here."""
    if not isinstance(resource, str):
        return True
    named = {*re.findall(r"\$\{([\w:]+)", resource)}
    return bool(_WILD.search(_SUFFIX.sub("", resource))) and not named & {"AWS::StackName", *template["Resources"]}


def _check_taken(template: Mapping[str, Any], name: str) -> Iterator[Fault]:
    """A role that a resource takes is one of this template, and the one that is its own."""
    roles = {role for role, _ in of_type(template, "AWS::IAM::Role")}
    expected = {TAKEN[name]} if name in TAKEN else roles - set(TAKEN.values())
    for part in find_parts(template, name):
        key = next((step for step in reversed(part.path) if isinstance(step, str)), "")
        if part.is_leaf and re.fullmatch(r"Role|\w*RoleArn", key) and part.value != NO_VALUE:
            role = find_target(part.value)
            if role not in expected or part.value != f"${{{role}.Arn}}":
                wanted = (
                    f"{TAKEN[name]}.Arn" if name in TAKEN else "X.Arn, X a role of this template that is no other's"
                )
                yield Fault(part.where, f"{write_line(part.value)}: expected !GetAtt {wanted}")


def _check_readable(template: Mapping[str, Any], name: str) -> Iterator[Fault]:
    """A role or policy has all its statements in words."""
    for part in find_parts(template, name):
        key = next(step for step in reversed(part.path) if isinstance(step, str))
        if part.is_leaf and key in _DOCUMENTS and part.value != NO_VALUE:
            yield Fault(part.where, f"{write_line(part.value)}: cannot be read here; write the statements out")


def _check_opened(template: Mapping[str, Any], name: str, kind: str) -> Iterator[Fault]:
    """Nobody is let in but as OPENED says."""
    statements = [] if kind in _NARROWING else [part for part in find_parts(template, name) if part.is_statement]
    if _OPENING.fullmatch(kind) and (not statements or "::IAM::" in kind):
        yield Fault(f"Resources.{name}", f"{kind} gives access that nothing of this stack needs")
        return
    for part in statements:
        if part.value.get("Effect") != "Deny" and not (name in OPENED and is_within(part.value, OPENED[name])):
            expected = f"expected {write_line(OPENED[name])}" if name in OPENED else "nothing of this stack needs that"
            yield Fault(part.where, f"lets somebody in: {expected}")


def _check_defaults(template: Mapping[str, Any]) -> Iterator[Fault]:
    """No parameter that statements allow something on is everything unless somebody says otherwise."""
    parameters = template.get("Parameters", {})
    resources = [of for grant in list_grants(template) if grant.allows for of in grant.resources]
    for name in sorted({*re.findall(r"\$\{(\w+)\}", str(resources))} & parameters.keys()):
        for key in parameters[name].keys() & {"Default", "AllowedValues"}:
            values = parameters[name][key]
            for value in values if isinstance(values, list) else str(values).split(","):
                if is_wide(str(value).strip(), template):
                    told = "a role is allowed something on it; expected the ARN of one thing, or no default"
                    yield Fault(f"Parameters.{name}.{key}", f"{value}: {told}")
