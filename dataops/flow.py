"""A flow file as a value: which batches run in which order, and whether readers see all their tables change at once.

The one declaration of a flow is a YAML file (`stepfunctions/flows/nightly.yml`), read like a batch file. With each step
worked out (`dataops.workbook.flow` does so from the source's foreign keys) it is the flow machine's input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from dataops._wording import did_you_mean, parse_declared
from dataops.batch import Batch, Schedule, read_batch
from dataops.errors import BatchFileError

FLOW_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
MAX_BATCHES = 40
"""Every batch is in the input of each state: so many of usual size fit, and one RENAME of so many tables is quick."""


class Flow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Batches that run one after another and side by side.

    Either `batches`, in an order worked out from the source's foreign keys, or `steps`, each a batch or a list of batches
    that run side by side. With `publish: together` one RENAME puts all new tables in place; with `each`, a batch publishes
    as soon as it is done. `references` says whether no row may be published that refers to one that is not.
    """

    flow: str
    batches: tuple[str, ...] = ()
    steps: tuple[str | tuple[str, ...], ...] = ()
    schedule: Schedule | None = None
    workers: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4
    publish: Literal["together", "each"] = "together"
    references: Literal["check", "ignore"] = "check"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all batches, in order of the steps, where they are known."""
        return tuple(name for step in self.stages for name in step) or self.batches

    @property
    def stages(self) -> tuple[tuple[str, ...], ...]:
        """The steps, each as the batches that run side by side."""
        return tuple((step,) if isinstance(step, str) else step for step in self.steps)


def parse_flow(declared: Any, where: str = "flow") -> Flow:
    """The flow in a mapping (parsed YAML, or the execution's input); `where` begins every error's text.

    Raises BatchFileError for an unknown key, a wrong type, or parts that contradict each other.
    """
    return parse_declared(declared, Flow, _PARTS, _contradictions, where)


def read_flow(path: Path) -> Flow:
    """The flow in a YAML file. Raises BatchFileError: one line with file, place, what is wrong."""
    from dataops._yaml import read_yaml

    return parse_flow(read_yaml(path), path.name)


class FlowFile(NamedTuple):
    """A flow and its batches, by name."""

    flow: Flow
    batches: dict[str, Batch]


def read_flow_file(path: Path) -> FlowFile:
    """The flow in a YAML file with its batches, which stand in the folder `batches` beside the file's own.

    Raises BatchFileError for a batch that is not there, or batches that do not fit together.
    """
    flow = read_flow(path)
    folder = path.resolve().parent.with_name("batches")
    known = {file.stem: file for file in sorted(folder.glob("*.yml"))}
    if flow.flow in known:
        raise BatchFileError(f"{path.name}: flow: a batch has the name {flow.flow} already")
    for name in flow.names:
        if name not in known:
            part, near = "steps" if flow.steps else "batches", did_you_mean(name, list(known))
            raise BatchFileError(f"{path.name}: {part}: batch '{name}' is not in {folder.parent.name}/batches{near}")
    batches = {name: read_batch(known[name]) for name in flow.names}
    require_together(flow, batches, path.name)
    return FlowFile(flow, batches)


def is_flow(path: Path) -> bool:
    """Whether a YAML file is a flow's: it says `flow:` at its top level, which no batch file does."""
    try:
        return bool(re.search(r"^flow:", path.read_text(encoding="utf-8"), re.MULTILINE))
    except (OSError, UnicodeDecodeError):
        return False


def require_together(flow: Flow, batches: Mapping[str, Batch], where: str = "flow") -> None:
    """Raises BatchFileError where these batches cannot run in one flow, or their tables not change at once."""
    for problem in _unfit(flow, [batches[name] for name in flow.names]):
        raise BatchFileError(f"{where}: {problem}")


_PARTS: dict[str, type[msgspec.Struct]] = {"the top level": Flow, "schedule": Schedule}


def _contradictions(flow: Flow) -> Iterator[str]:
    if not FLOW_NAME.fullmatch(flow.flow):
        yield "flow: expected a letter, then up to 31 letters, digits, - or _"
    if bool(flow.batches) == bool(flow.steps):
        yield "expected either batches (their order is worked out) or steps (their order is given)"
    for number, step in enumerate(flow.stages):
        if not step:
            yield f"steps[{number}]: expected a batch or a list of batches, found an empty list"
    seen: set[str] = set()
    for name in flow.names:
        if name in seen:
            yield f"{'steps' if flow.steps else 'batches'}: batch '{name}' stands there twice"
        seen.add(name)
    if len(seen) > MAX_BATCHES:
        yield f"expected at most {MAX_BATCHES} batches, found {len(seen)}"


def _unfit(flow: Flow, batches: Sequence[Batch]) -> Iterator[str]:
    targets: dict[tuple[str, str | None, str], str] = {}
    for batch in batches:
        target = batch.target
        other = targets.setdefault((target.secret, target.database, target.table), batch.batch)
        if other != batch.batch:
            yield f"batches {other} and {batch.batch} have the same target, {target.table}"
        if flow.publish == "together" and target.mode != "swap":
            yield f"batch {batch.batch}: target.mode: tables that change together need swap, found {target.mode}"
    secrets = sorted({batch.target.secret for batch in batches})
    if flow.publish == "together" and len(secrets) > 1:
        yield f"publish: together needs one target server, found secrets {' and '.join(secrets)}; use publish: each"
