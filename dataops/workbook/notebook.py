"""Run a notebook unattended: parameters checked by name and type first, then papermill, then a page to read."""

from __future__ import annotations

import keyword
import os
import re
import secrets
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import msgspec

from dataops import errors
from dataops.batch import did_you_mean
from dataops.errors import BatchFileError
from dataops.workbook.lab import NOTEBOOKS

Value: TypeAlias = str | int | float | bool
SECRET = re.compile(r"passw|passphrase|pwd|secret|token|credential|api_?key|access_?key|private_?key", re.IGNORECASE)

SCRIPT = re.compile(r"<script\b.*?</script>", re.IGNORECASE | re.DOTALL)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"


OUTCOME = "outcome.json"
CELL_SECONDS = 4 * 3600
"""Seconds that a cell may take: longer than any run's functions would be tried."""


class NotebookRun(msgspec.Struct, frozen=True):
    """A notebook that has ended. `cause` is empty when every cell succeeded; `page` shows it without its code."""

    notebook: str
    status: str
    seconds: float
    output: Path
    page: Path | None
    cause: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """What became of a notebook, kept in its folder: `status` is running, succeeded or failed; `pid` ran it."""

    notebook: str
    started: str
    status: str
    pid: int
    cause: str = ""
    seconds: float = 0.0


class _Parameter(msgspec.Struct, frozen=True):
    name: str
    inferred_type_name: str
    default: str
    help: str


def run_notebook(
    name: str | Path, parameters: Mapping[str, Value], folder: Path, cell_seconds: int = CELL_SECONDS
) -> NotebookRun:
    """Execute a notebook into a new folder of its own under `folder`; a failing cell gives `status` failed, and so does
    one that takes longer than `cell_seconds` and a kernel that dies. `outcome.json` there says how it went, from the start.

    Texts are converted to the types that the notebook's parameters cell declares. Raises BatchFileError, before
    anything runs, for a notebook that is not there and for a parameter that it does not take.
    """
    path = find_notebook(name)
    values = check_parameters(path, parameters)
    started = time.monotonic()
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    place = folder / f"{path.stem}-{stamp}-{secrets.token_hex(2)}"
    place.mkdir(parents=True)
    output = place / path.name
    begun = Outcome(path.stem, stamp, "running", os.getpid())
    _save(place, begun)
    try:
        with _stops_reach_the_kernel():
            cause = _execute(path, output, values, cell_seconds)
    except BaseException as error:
        _save(place, msgspec.structs.replace(begun, status="failed", cause=f"was stopped ({type(error).__name__})"))
        raise
    seconds, status = time.monotonic() - started, "failed" if cause else "succeeded"
    _save(place, msgspec.structs.replace(begun, status=status, cause=cause, seconds=round(seconds, 3)))
    return NotebookRun(path.stem, status, seconds, output, _write_page(output), cause)


def list_outcomes(folder: Path, count: int) -> list[tuple[str, Outcome]]:
    """The newest notebooks that ran into `folder`, each with its own folder's name; cut off where nobody ran it to its
    end."""
    found = []
    for file in folder.glob(f"*/{OUTCOME}"):
        with suppress(OSError, msgspec.MsgspecError):
            outcome = msgspec.json.decode(file.read_bytes(), type=Outcome)
            if outcome.status == "running" and not Path(f"/proc/{outcome.pid}").exists():
                outcome = msgspec.structs.replace(outcome, status="cut off")
            found.append((file.parent.name, outcome))
    return sorted(found, key=lambda entry: (entry[1].started, entry[0]), reverse=True)[:count]


@contextmanager
def _stops_reach_the_kernel() -> Iterator[None]:
    """SIGINT and SIGTERM interrupt the cell that runs: a run in it rolls back, and the notebook fails.

    The kernel has a session of its own: no Ctrl-C reaches it, and left to papermill it would be killed in its run.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _interrupt_kernel) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt_kernel(_number: int, _frame: FrameType | None) -> None:
    own = os.getpid()
    try:
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    except OSError:  # not Linux
        raise KeyboardInterrupt from None
    if not children:
        raise KeyboardInterrupt
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGINT)


def _save(place: Path, outcome: Outcome) -> None:
    """Overwrite a notebook's outcome, all or nothing."""
    draft = place / f".{OUTCOME}"
    draft.write_bytes(msgspec.json.encode(outcome))
    draft.replace(place / OUTCOME)


def find_notebook(name: str | Path) -> Path:
    """The notebook of that name (`04-run-batch`, or `run-batch`), or at that path. Raises BatchFileError."""
    path = Path(name)
    if path.suffix == ".ipynb":
        if path.is_file():
            return path.resolve()
        raise BatchFileError(f"notebook {path}: is not there")
    known = {file.stem: file for file in sorted(NOTEBOOKS.glob("*.ipynb"))}
    short = {stem.partition("-")[2]: file for stem, file in known.items()}
    found = known.get(str(name)) or short.get(str(name))
    if found is None:
        raise BatchFileError(f"notebook '{name}': is not in notebooks/{did_you_mean(str(name), [*known, *short])}")
    return found


def check_parameters(path: Path, parameters: Mapping[str, Value]) -> dict[str, Value]:
    """The parameters in the notebook's own types. Raises BatchFileError, which never shows a value.

    papermill writes names and values into a cell as they are, and only warns of a name that is unknown: a name that
    the notebook does not declare could be any code.
    """
    declared = _declared(path)
    checked: dict[str, Value] = {}
    for name, value in parameters.items():
        where = f"{path.name}: parameter {name[:40]!r}"
        if SECRET.search(name):
            raise BatchFileError(f"{where}: looks like a secret; connections come from Secrets Manager")
        if name not in declared or not name.isidentifier() or keyword.iskeyword(name):
            takes = ", ".join(declared) or "none"
            raise BatchFileError(f"{where}: is not declared{did_you_mean(name, list(declared))}; it takes: {takes}")
        checked[name] = _convert(value, declared[name].inferred_type_name, where)
    return checked


def _declared(path: Path) -> dict[str, _Parameter]:
    import papermill

    try:
        found: dict[str, dict[str, Any]] = papermill.inspect_notebook(str(path))
    except Exception as error:  # papermill raises whatever its reader does
        raise BatchFileError(f"{path.name}: cannot be read as a notebook ({type(error).__name__})") from error
    return {name: msgspec.convert(of, _Parameter) for name, of in found.items()}


def _convert(value: Value, of: str, where: str) -> Value:
    """A value in the type of an annotation: str, int, float or bool."""
    types: dict[str, type[Value]] = {"str": str, "int": int, "float": float, "bool": bool}
    if of not in types:
        raise BatchFileError(f"{where}: is declared as {of or 'no type'}; only str, int, float and bool can be given")
    text = str(value)
    if of == "bool":
        text = text.lower()
    elif isinstance(value, bool) and of != "str":
        raise BatchFileError(f"{where}: expected {of}, found a bool")
    try:
        return msgspec.convert(text, types[of], strict=False)
    except msgspec.ValidationError:
        expected = "true or false" if of == "bool" else of
        raise BatchFileError(f"{where}: expected {expected}, found another text") from None


def _execute(path: Path, output: Path, values: Mapping[str, Value], cell_seconds: int) -> str:
    """Run every cell, in the caller's folder; gives why it failed, in one line.

    What papermill raises decides, not what is in the file. Of an error that is not ours only the name is told: its
    text may hold a row's value.
    """
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from traitlets.config import Config

    try:
        papermill.execute_notebook(
            str(path), str(output), parameters=dict(values), kernel_name="python3", progress_bar=False,
            log_output=False, execution_timeout=cell_seconds, config=Config({"KernelManager": {"transport_encryption": "auto"}}),
        )  # fmt: skip
    except papermill.PapermillExecutionError as error:
        ours = hasattr(errors, error.ename)
        what = (error.evalue.strip().splitlines() or [""])[0] if ours else f"{error.ename}; see {output.name}"
        return f"{path.name}: cell {error.exec_count}: {what}"
    except (DeadKernelError, CellTimeoutError) as error:
        return f"{path.name}: the kernel did not finish ({type(error).__name__}); see {output.name}"
    return ""


def _write_page(output: Path) -> Path | None:
    """An HTML page of the executed notebook without its code, script or network; none when nothing was written."""
    from nbconvert import HTMLExporter

    if not output.exists():
        return None
    exporter: Any = HTMLExporter
    body, _ = exporter(exclude_input=True, embed_images=True).from_filename(str(output))
    policy = f'<head><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    page = output.with_suffix(".html")
    page.write_text(SCRIPT.sub("", body).replace("<head>", policy, 1), "utf-8")
    return page
