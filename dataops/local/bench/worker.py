"""One run of one method, in a fresh interpreter: reads a `Work` (JSON) from standard input, prints a `Done`.

Modules, connections and clients are there before the clock runs: the method has moved a few rows already.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dataops.local.bench import back, forward, stages
from dataops.local.bench.subject import COPY, WARM, WARM_ROWS, Done, Subject, Work

if TYPE_CHECKING:
    from dataops.core.records import Plan

CALM_SECONDS, CALM_CPU = 3, 0.005
Method = Callable[[Subject], Callable[[], None]]
OURS, READS, SLOWEST = "dataops", "pymysql fetchall (reads only)", "put_item per row"
METHODS: dict[str, dict[str, Method]] = {
    "forward": {
        "batch_writer": forward.copy_by_batch_writer,
        OURS: forward.copy_by_dataops,
        READS: forward.read_by_fetchall,
        SLOWEST: forward.copy_by_put_item,
        "awswrangler": forward.copy_by_awswrangler,
    },
    "back": {
        "resource scan + executemany": back.load_by_executemany,
        OURS: back.load_by_dataops,
        f"{OURS}, local_infile off": back.load_by_statements,
        "awswrangler": back.load_by_awswrangler,
    },
}
"""The methods of each direction; the first is what the others are compared with. What is compared runs one after the
other: how fast a machine is changes within seconds."""
STAGES: dict[str, dict[str, Method]] = {
    "plan": {OURS: stages.plan_table},
    "copy": {OURS: stages.copy_table},
    "load": {OURS: stages.load_table},
}
"""The stages of a run of ours, each in a process of its own; the later ones go on from what the first has planned."""


def run(work: Work) -> Done:
    """Move the rows and say what it took."""
    method = (METHODS | STAGES)[work.direction][work.method]
    method(Subject(work, WARM, WARM_ROWS))()
    move = method(Subject(work, work.name, work.rows))
    gc.collect()
    if work.direction == "back":
        await_calm(work.server_pid)
    server, wall, cpu = server_seconds(work.server_pid), time.perf_counter(), time.process_time()
    move()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    server = server_seconds(work.server_pid) - server
    table, chunks = "", 0
    if work.direction in ("back", "load"):
        table = _loaded_table(work)
    elif work.direction == "plan":
        chunks = _plan(work).chunks
    return Done(cpu, server, wall, table, peak_memory(), chunks)


def server_seconds(pid: int) -> float:
    """CPU seconds of a process so far, to the nanosecond: Linux's clock of a process (clock_getcpuclockid(3)).

    0 elsewhere.
    """
    return time.clock_gettime(~pid << 3 | 2) if sys.platform == "linux" else 0.0


def await_calm(pid: int) -> None:
    """Return when a process, which may still write what was done before, has hardly worked for a moment."""
    for _ in range(CALM_SECONDS * 10):
        before = server_seconds(pid)
        time.sleep(0.1)
        if server_seconds(pid) - before < CALM_CPU:
            break


def peak_memory() -> float:
    """The most resident memory that this process ever had, in MiB: VmHWM of proc(5). 0 where there is no /proc.

    (getrusage's ru_maxrss would count what the parent had before this program was loaded.)
    """
    file = Path("/proc/self/status")
    lines = file.read_text().splitlines() if file.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def _loaded_table(work: Work) -> str:
    if not work.method.startswith(OURS):
        return COPY
    from dataops.core.staging import staging_name

    return staging_name(_plan(work))


def _plan(work: Work) -> Plan:
    from dataops.core.control import Control

    return Control(f"bench-{work.name}").require_plan()


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Work))).decode())
