"""What a function's cold start takes: each handler from the zip, in a fresh interpreter, to its import and its first page.

As in AWS nothing of the zip is compiled beforehand, since there a function cannot write beside its code; boto3 and the
runtime client are. Times are the process's CPU, so they are those of one whole processor (1,769 MB); with less memory they
take longer in proportion.
"""

from __future__ import annotations

import io
import json
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dataops.deploy.package import build_zip, handlers
from dataops.errors import StackError
from dataops.local.sandbox import make_runtime
from dataops.local.spawn import own_environment
from dataops.workbook.bench import NAME, Bench, open_bench
from dataops.workbook.table import Table

if TYPE_CHECKING:
    from dataops.local.mysqld import Flavor

ROUNDS, PAGE_ROWS = 5, 1000
RUN = {"run": f"bench-{NAME}"}
EVENTS = {"rds_to_dynamodb": RUN | {"chunk": 0}, "prepare_staging": RUN, "dynamodb_to_rds": RUN | {"segment": 0}}
"""The functions that are invoked as well, one after the other: a chunk and a segment of one page."""
PROBE = """
import importlib, json, sys, time
import awslambdaric.bootstrap
began = time.process_time()
module = importlib.import_module(sys.argv[1])
imported = ended = time.process_time()
class Context:
    get_remaining_time_in_millis = staticmethod(lambda: 900_000)
if len(sys.argv) > 2:
    module.handler(json.loads(sys.argv[2]), Context())
    ended = time.process_time()
print(json.dumps([began, imported - began, ended - imported]))
"""


class ColdStart(msgspec.Struct):
    """One handler's starts, in milliseconds of CPU: interpreter and runtime client, import, first page (or nothing)."""

    handler: str
    runtime: list[float] = []
    imports: list[float] = []
    page: list[float] = []


class ColdStarts(msgspec.Struct, frozen=True):
    """All handlers' starts, and the bytes of the zip."""

    handlers: tuple[ColdStart, ...]
    zip_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Medians as plain values."""
        names = ("runtime", "imports", "page")
        found = [
            {"handler": of.handler, **{f"{name}_ms": _median(getattr(of, name)) for name in names}}
            for of in self.handlers
        ]
        return {"handlers": found, "zip_bytes": self.zip_bytes}

    def table(self) -> Table:
        """Medians, a line for each handler."""
        heads = ("handler", "runtime ms", "import ms", f"first {PAGE_ROWS:,} rows ms")
        rows = [
            (of.handler, *(_told(_median(times)) for times in (of.runtime, of.imports, of.page)))
            for of in self.handlers
        ]
        return Table(heads, rows, f"CPU of a cold start; the zip has {self.zip_bytes:,} bytes", right=heads[1:])


def measure_cold_starts(
    tell: Callable[[str], None], flavor: Flavor | None = None, *, rounds: int = ROUNDS
) -> ColdStarts:
    """Start every handler so many times. `tell` is given a line for each round. Raises StackError."""
    content = build_zip()
    found = {path.split(".")[-2]: ColdStart(path.split(".")[-2]) for path in handlers().values()}
    with tempfile.TemporaryDirectory(prefix="dataops-cold-") as name, open_bench(Path(name), flavor) as bench:
        folder = Path(name)
        zipfile.ZipFile(io.BytesIO(content)).extractall(folder / "task")
        runtime = make_runtime(folder / "runtime")
        bench.fill(PAGE_ROWS)
        paths = own_environment(PYTHONPATH=f"{folder / 'task'}:{runtime}", PYTHONDONTWRITEBYTECODE="1")
        for number in range(rounds):
            _measure_round(bench, found, {**bench.environment, **paths})
            tell(f"round {number + 1} of {rounds}")
    return ColdStarts(tuple(found.values()), len(content))


def _measure_round(bench: Bench, found: dict[str, ColdStart], environment: dict[str, str]) -> None:
    bench.hold(PAGE_ROWS, chunks=1)
    bench.work("plan", "dataops", PAGE_ROWS)
    for handler in (*EVENTS, *(name for name in found if name not in EVENTS)):
        event = [json.dumps(EVENTS[handler])] if handler in EVENTS else []
        command = [sys.executable, "-S", "-c", PROBE, f"dataops.handlers.{handler}", *event]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().rpartition("\n")[2]
            raise StackError(f"bench: cold start of {handler}: {said[-200:]}")
        started = found[handler]
        runtime, imports, page = (1000 * seconds for seconds in json.loads(done.stdout.splitlines()[-1]))
        started.runtime.append(runtime)
        started.imports.append(imports)
        started.page += [page] if event else []
    if bench.check_items():
        raise StackError("bench: cold start of rds_to_dynamodb: an item differs")


def _median(times: list[float]) -> float | None:
    return round(statistics.median(times), 1) if times else None


def _told(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:,.0f}"
