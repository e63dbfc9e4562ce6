"""Checks of single fields, which every part of a definition shares; each gives faults with their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from dataops._wording import did_you_mean

LONGEST_SECONDS = 99_999_999
"""The greatest number of seconds that a field takes."""
PAYLOAD_BYTES = 262_144
"""Bytes of a state's input or output at most. https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""


class Fault(NamedTuple):
    """Something wrong: where (`States.Plan.Retry[0]`), what, and whether it is an error or a warning."""

    where: str
    what: str
    level: str = "error"


def check_names(of: Mapping[str, Any], known: Iterable[str], at: str) -> Iterator[Fault]:
    """Fields that nobody knows."""
    for name in of:
        if name not in known:
            yield Fault(f"{at}.{name}" if at else name, f"unknown field here{did_you_mean(name, known)}")


def check_target(target: Any, at: str, states: Mapping[str, Any]) -> Iterator[Fault]:
    """The name of a state in the same scope."""
    if not isinstance(target, str):
        yield Fault(at, "expected the name of a state")
    elif target not in states:
        yield Fault(at, f"no state here is called {target!r}{did_you_mean(target, states)}")


def check_whole(of: Mapping[str, Any], name: str, place: str, least: int, most: int | None = None) -> Iterator[Fault]:
    """A whole number, or the JSONata or placeholder that stands for one."""
    value = of.get(name, least)
    if isinstance(value, str) and value.startswith(("{%", "${")):
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        known = f"of at least {least:,}" if most is None else f"of {least:,} to {most:,}"
        yield Fault(f"{place}{name}", f"expected a whole number {known}")


def check_exclusive(state: Mapping[str, Any], names: tuple[str, ...], at: str, *, required: bool) -> Iterator[Fault]:
    """At most one of several fields; exactly one where `required`."""
    given = [name for name in names if name in state]
    if len(given) > 1:
        yield Fault(at, f"{' and '.join(given)} exclude each other")
    elif required and not given:
        yield Fault(at, f"required: {' or '.join(names)}")
