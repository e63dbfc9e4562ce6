"""Every static check of a CloudFormation template: its roles, names against handlers, schedules, definitions, cfn-lint."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dataops.deploy.asl import Fault, check_machine
from dataops.deploy.iam import check_roles
from dataops.deploy.machine import DEFINITION
from dataops.deploy.package import handlers
from dataops.deploy.schedule import parse_schedule
from dataops.deploy.template import TEMPLATE, Tagged, of_type, read_template
from dataops.errors import BatchFileError

LINTER = "cfn-lint is not installed (pip install cfn-lint): names and types of properties were not checked"


def check_template(path: Path) -> Iterator[Fault]:
    """All faults of a template, each with its resource and property. Raises BatchFileError where it cannot be read."""
    template = read_template(path)
    text = path.read_text("utf-8")
    try:
        yield from check_roles(template, text)
        yield from _check_functions(template, whole=path.resolve() == TEMPLATE)
        yield from _check_starts(template)
        yield from _check_definitions(template)
    except (AttributeError, KeyError, TypeError) as error:
        yield Fault("Resources", f"a part is not shaped as CloudFormation wants it ({type(error).__name__}: {error})")
    yield from _lint(text)


def has_linter() -> bool:
    """Whether cfn-lint is installed here."""
    return find_spec("cfnlint") is not None


def is_template(path: Path) -> bool:
    """Whether a YAML file is a CloudFormation template: it has Resources, which no batch file has."""
    try:
        return bool(re.search(r"^Resources:", path.read_text(encoding="utf-8"), re.MULTILINE))
    except (OSError, UnicodeDecodeError):
        return False


def _check_functions(template: Mapping[str, Any], *, whole: bool) -> Iterator[Fault]:
    """Functions of ours have the name of their handler; the `whole` template has one for each."""
    ours = {handler: name for name, handler in handlers().items()}
    found = set()
    for name, properties in of_type(template, "AWS::Lambda::Function"):
        handler = str(properties.get("Handler"))
        where = f"Resources.{name}.Properties"
        if handler not in ours and handler.startswith("dataops."):
            yield Fault(f"{where}.Handler", f"{handler} is no handler in dataops/handlers")
        if handler in ours:
            found.add(handler)
            wanted = ours[handler].replace("dataops", "${AWS::StackName}", 1)
            if properties.get("FunctionName") != Tagged("Sub", wanted):
                yield Fault(f"{where}.FunctionName", f"expected !Sub {wanted}, the name of its handler")
    if whole:
        yield from (Fault("Resources", f"no function has the handler {of}") for of in sorted(ours.keys() - found))
        named = set(re.findall(r"\$\{(\w+)\}", DEFINITION.read_text("utf-8")))
        for name, properties in of_type(template, "AWS::StepFunctions::StateMachine"):
            given = properties.get("DefinitionSubstitutions", {}).keys()
            where = f"Resources.{name}.Properties.DefinitionSubstitutions"
            yield from (Fault(where, f"{of} is in no state of {DEFINITION.name}") for of in sorted(given - named))
            yield from (Fault(where, f"{DEFINITION.name} also has ${{{of}}}") for of in sorted(named - given))


def _check_starts(template: Mapping[str, Any]) -> Iterator[Fault]:
    for kind, zone in (("AWS::Scheduler::Schedule", "UTC"), ("AWS::Events::Rule", "")):
        for name, properties in of_type(template, kind):
            expression = properties.get("ScheduleExpression")
            if isinstance(expression, str):
                try:
                    parse_schedule(expression, str(properties.get("ScheduleExpressionTimezone", zone)))
                except BatchFileError as error:
                    yield Fault(f"Resources.{name}.Properties.ScheduleExpression", str(error))


def _check_definitions(template: Mapping[str, Any]) -> Iterator[Fault]:
    for name, properties in of_type(template, "AWS::StepFunctions::StateMachine"):
        text = properties.get("DefinitionString")
        text = text.value if isinstance(text, Tagged) and text.tag == "Sub" else text
        if isinstance(text, str):
            for fault in check_machine(text):
                place = f"Resources.{name}.Properties.DefinitionString"
                yield fault._replace(where=": ".join(filter(None, [place, fault.where])))


def _lint(text: str) -> Iterator[Fault]:
    """cfn-lint's errors and warnings, but for E3601 of a definition's text: it refuses what AWS takes, and `check_machine` was asked."""
    if not has_linter():
        return
    from cfnlint.api import lint_all

    for match in lint_all(text):
        asked = match.rule.id == "E3601" and "DefinitionString" in (match.path or [])
        if match.rule.severity in ("error", "warning") and not asked:
            steps = "".join(f"[{of}]" if isinstance(of, int) else f".{of}" for of in match.path or [])
            where = steps.lstrip(".") or f"line {match.linenumber}"
            yield Fault(where, f"{match.message} (cfn-lint {match.rule.id})", match.rule.severity)
