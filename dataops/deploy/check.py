"""Every static check of what is deployed, offline: batch files with their schedules, and state machines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dataops.batch import read_batch
from dataops.deploy.asl import Fault, check_machine
from dataops.deploy.machine import DEFINITION, placeholder_of
from dataops.deploy.package import state_handlers
from dataops.deploy.schedule import parse_schedule
from dataops.deploy.template import read_template
from dataops.errors import BatchFileError

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
    """The files to check: those given, and those in folders given; without any, all of stepfunctions/.

    Raises BatchFileError for what is not there, or is neither a batch file nor a definition.
    """
    found: list[Path] = []
    for path in paths or [STEPFUNCTIONS]:
        if path.is_dir():
            found += sorted(file for of in ("*.asl.json", "*.yml", "*.yaml") for file in path.rglob(of))
        elif not path.is_file():
            raise BatchFileError(f"{path}: is not there")
        elif path.suffix not in (".json", ".yml", ".yaml"):
            raise BatchFileError(f"{path}: expected a batch file (.yml) or a state machine's definition (.json)")
        else:
            found.append(path)
    return found


def check_file(path: Path) -> list[Finding]:
    """Everything that is wrong in a file, each with its place."""
    if path.suffix == ".json":
        return [Finding(path.name, *fault) for fault in _check_definition(path)]
    try:
        if _is_template(path):
            read_template(path)
            return []
        batch = read_batch(path)
        if batch.schedule:
            parse_schedule(batch.schedule.expression, batch.schedule.timezone or "")
    except BatchFileError as error:
        said = re.match(
            rf"(?:{re.escape(str(path))}|{re.escape(path.name)})?(?::(\d+))?(?::(\d+))?(?:: )?(.*)", str(error)
        )
        line, column, what = said.groups() if said else (None, None, str(error))
        where = f"line {line}" + (f", column {column}" if column else "") if line else ""
        return [Finding(path.name, where, what, "error")]
    return []


def _is_template(path: Path) -> bool:
    """Whether a YAML file is a CloudFormation template: it has Resources, which no batch file has."""
    try:
        return bool(re.search(r"^Resources:", path.read_text(encoding="utf-8"), re.MULTILINE))
    except (OSError, UnicodeDecodeError):
        return False


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
