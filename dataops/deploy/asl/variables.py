"""The variables that an Assign sets: of a state, of a Choice's rule, of a Catch's entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dataops.deploy.asl.fields import Fault

LONGEST_VARIABLE = 80


def check_assign(holder: Mapping[str, Any], at: str) -> Iterator[Fault]:
    """The names in an Assign, which are identifiers.

    https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html
    """
    given = holder.get("Assign", {})
    if not isinstance(given, dict):
        yield Fault(f"{at}.Assign", "expected an object, whose keys are the variables")
        return
    for key in given:
        name = key.removesuffix(".$")
        if name == "states":
            yield Fault(f"{at}.Assign.{key}", "$states is reserved: what the service tells a state is in it")
        elif not name.isidentifier() or len(name) > LONGEST_VARIABLE:
            what = f"expected a variable's name: a letter, then letters, digits and _, {LONGEST_VARIABLE} at most"
            yield Fault(f"{at}.Assign.{key}", what)
