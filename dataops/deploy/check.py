"""Every static check of what is deployed, offline: batch files and flows with their schedules, and state machines."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from dataops.batch import read_batch
from dataops.deploy.asl import HISTORY_EVENTS, PAYLOAD_BYTES, Fault, check_machine, count_events
from dataops.deploy.check_template import check_template, is_template
from dataops.deploy.flow import flow_definition
from dataops.deploy.machine import DEFINITION, placeholder_of
from dataops.deploy.package import state_handlers
from dataops.deploy.starts import (
    flow_input_bytes,
    flow_schedule_resource,
    input_bytes,
    schedule_resource,
)
from dataops.errors import BatchFileError
from dataops.flow import FlowFile, is_flow, read_flow_file

STEPFUNCTIONS = DEFINITION.parent


class Finding(NamedTuple):
    """A fault in a file. `where` is a place in it, empty where the message names it; `level`: error or warning."""

    file: str
    where: str
    error: str
    level: str

    def __str__(self) -> str:
        level = "warning: " if self.level == "warning" else ""
        return ": ".join(filter(None, [self.file, self.where, level + self.error]))


def find_checked(paths: Sequence[Path] = ()) -> list[Path]:
    """The files to check: those given, and those in folders given; without any, all of stepfunctions/."""
    found: list[Path] = []
    for path in paths or [STEPFUNCTIONS]:
        inside = (file for of in ("*.asl.json", "*.yml", "*.yaml") for file in path.rglob(of))
        found += sorted(inside) if os.path.isdir(path) else [path]
    return found


def check_file(path: Path) -> list[Finding]:
    """Everything that is wrong in a file, each with its place; a file that is not there and a check that breaks, too."""
    try:
        found = _check_file(path)
    except Exception as error:  # the other files' findings must not be lost
        what = f"could not be checked: unexpected {type(error).__name__}; please report it"
        found = [Finding(path.name, "", what, "error")]
    return [Finding(*map(_printable, finding)) for finding in found]


def _printable(text: str) -> str:
    r"""A text that can be printed: JSON may hold half of a pair of surrogates (\ud800), as may a file's name."""
    return text.encode("utf-8", "backslashreplace").decode()


def _check_file(path: Path) -> list[Finding]:
    if not os.path.isfile(path):
        return [Finding(str(path), "", "is not there", "error")]
    if path.suffix not in (".json", ".yml", ".yaml"):
        what = "expected a batch file (.yml) or a state machine's definition (.json)"
        return [Finding(str(path), "", what, "error")]
    if path.suffix == ".json":
        return [Finding(path.name, *fault) for fault in _check_definition(path)]
    try:
        if is_template(path):
            return [Finding(path.name, *fault) for fault in check_template(path)]
        if is_flow(path):
            return [Finding(path.name, *fault) for fault in _check_flow(path)]
        batch = read_batch(path)
        _require_fitting(input_bytes(batch))
        if batch.schedule:
            schedule_resource(batch, workers=1)
    except BatchFileError as error:
        said = re.match(
            rf"(?:{re.escape(str(path))}|{re.escape(path.name)})?(?::(\d+))?(?::(\d+))?(?:: )?(.*)", str(error)
        )
        line, column, what = said.groups() if said else (None, None, str(error))
        where = f"line {line}" + (f", column {column}" if column else "") if line else ""
        return [Finding(path.name, where, what, "error")]
    return []


def forecast(path: Path) -> str | None:
    """What a file without errors will use of the service's limits: a batch of a payload, a machine of its history."""
    try:
        said = _forecast(path)
        return said and _printable(said)
    except Exception:  # it is a courtesy, for which no finding may be lost
        return None


def _forecast(path: Path) -> str | None:
    if path.suffix == ".json":
        events = count_events(json.loads(path.read_text("utf-8")))
        return f"{path.name}: at most {events:,} of {HISTORY_EVENTS:,} events of history, if every state is entered once and every retry is used"
    if is_template(path):
        return None
    if is_flow(path):
        flow, batches = _flow_at(path)
        events = count_events(json.loads(flow_definition(flow)))
        return (
            f"{path.name}: a state of {flow_input_bytes(flow, batches):,} of {PAYLOAD_BYTES:,} bytes, and at most {events:,} "
            f"of {HISTORY_EVENTS:,} events of history"
        )
    return f"{path.name}: an input of {input_bytes(read_batch(path)):,} of {PAYLOAD_BYTES:,} bytes"


def _check_flow(path: Path) -> Iterator[Fault]:
    """The batches fit together; the machine is sound, in the order that is given or else as they are listed."""
    flow, batches = _flow_at(path)
    _require_fitting(flow_input_bytes(flow, batches))
    if flow.schedule:
        flow_schedule_resource(flow, batches, machine="FlowMachine")
    yield from check_machine(flow_definition(flow))


def _flow_at(path: Path) -> FlowFile:
    """A flow, with a step for each batch where it gives no order, and its batches."""
    flow, batches = read_flow_file(path)
    return FlowFile(flow if flow.steps else msgspec.structs.replace(flow, batches=(), steps=flow.batches), batches)


def _require_fitting(size: int) -> None:
    if size > PAYLOAD_BYTES:
        raise BatchFileError(f"expected an input of at most {PAYLOAD_BYTES:,} bytes, found {size:,}")


def _check_definition(path: Path) -> Iterator[Fault]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        yield Fault("", f"cannot be read as UTF-8 text ({type(error).__name__})")
        return
    yield from check_machine(text)
    if path.resolve() == DEFINITION:
        named = set(re.findall(r"\$\{([^}]*)\}", text))
        ours = {placeholder_of(function) for function in state_handlers()}
        yield from (
            Fault("", f"${{{name}}} stands for no handler in dataops/handlers") for name in sorted(named - ours)
        )
        yield from (Fault("", f"the handler of ${{{name}}} is in no state") for name in sorted(ours - named))
