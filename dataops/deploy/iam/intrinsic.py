"""CloudFormation's intrinsic functions, each as the text that `!Sub` would take for it, so that a check reads one spelling."""

from __future__ import annotations

import re
from typing import Any

from dataops.deploy.template import Tagged

NO_VALUE = "${AWS::NoValue}"
_NAME = re.compile(r"\$\{(\w+)\}")
_TARGET = re.compile(r"\$\{(\w+)(?:\.Arn)?\}")


def spell_out(part: Any) -> Any:
    """A part of a template with texts in place of its functions: `!Ref Topic` is `${Topic}`, `!GetAtt Table.Arn` `${Table.Arn}`.

    `!Sub` and `!Join` of such texts are texts as well. What is worked out later (`!If`, `!ImportValue`, ...) stays Tagged, a
    long form as its short one. A `${` that stands in a plain text is `${!`, as in `!Sub`.
    """
    if isinstance(part, Tagged):
        return _spell(part.tag, part.value)
    if isinstance(part, list):
        return [spell_out(of) for of in part]
    if isinstance(part, dict):
        name, value = next(iter(part.items())) if len(part) == 1 else ("", None)
        if name == "Ref" or str(name).startswith("Fn::"):
            return _spell(name.removeprefix("Fn::"), value)
        return {key: spell_out(of) for key, of in part.items()}
    return part.replace("${", "${!") if isinstance(part, str) else part


def find_target(text: Any) -> str:
    """The logical id that a spelled-out `!Ref X` or `!GetAtt X.Arn` names; empty for anything else."""
    found = _TARGET.fullmatch(text) if isinstance(text, str) else None
    return found[1] if found else ""


def _spell(tag: str, value: Any) -> Any:
    if tag == "Ref" and isinstance(value, str):
        return f"${{{value}}}"
    if tag == "GetAtt":
        return f"${{{value if isinstance(value, str) else '.'.join(map(str, value))}}}"
    if tag == "Sub" and isinstance(value, str):
        return value
    if tag in ("Sub", "Join") and isinstance(value, list) and len(value) == 2:
        first, rest = value[0], spell_out(value[1])
        if tag == "Sub" and isinstance(rest, dict) and all(isinstance(of, str) for of in rest.values()):
            return _NAME.sub(lambda name: str(rest.get(name[1], name[0])), first)
        if tag == "Join" and isinstance(rest, list) and all(isinstance(of, str) for of in rest):
            return str(first).join(of for of in rest if of != NO_VALUE)
    return Tagged(tag, spell_out(value))
