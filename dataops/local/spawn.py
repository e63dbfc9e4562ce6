"""Child processes that never outlive this one."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from dataops.errors import StackError

_PR_SET_PDEATHSIG = 1
STARTS = 5
"""Times that a server is started on another port, in case somebody takes the free one first."""


def die_with_parent(number: int = signal.SIGKILL) -> Callable[[], None]:
    """A `preexec_fn` that has the kernel send `number` to the child when the thread that made it ends (Linux)."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    parent = os.getpid()

    def ask_kernel() -> None:
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, number)
            if os.getppid() != parent:  # it ended before it could be watched
                os._exit(1)

    return ask_kernel


class Spawner:
    """Starts processes from one thread that lives as long as this process: the kernel's signal follows the thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spawner")

    def spawn(
        self, command: Sequence[str], *, log: Path, environment: Mapping[str, str], cwd: Path | None = None,
        end_signal: int | None = signal.SIGKILL,
    ) -> subprocess.Popen[bytes]:  # fmt: skip
        """A running process in a session of its own, its output at the end of `log`.

        `end_signal` is what it gets when this process ends, however that happens; None: it lives on.
        """
        return self._thread.submit(self._spawn, command, log, environment, cwd, end_signal).result()

    @staticmethod
    def _spawn(
        command: Sequence[str], log: Path, environment: Mapping[str, str], cwd: Path | None, end_signal: int | None
    ) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(environment), cwd=cwd,
                preexec_fn=die_with_parent(end_signal) if end_signal else None, start_new_session=True,
            )  # fmt: skip


def end_process(process: subprocess.Popen[bytes], patience: float = 5.0) -> None:
    """Ask a process to end, and kill it with its children when it has not after `patience` seconds."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    kill_process(process)


def kill_process(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that `Spawner` made, and what it has started itself; returns when it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process has ended, this very moment: `poll` does not know while another thread waits for it."""
    if sys.platform != "linux":
        return process.poll() is not None
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def free_port() -> int:
    """A loopback port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], what: str, log: Path, seconds: float
) -> None:
    """Return when `ready()`. Raises StackError when the process ends or the time is up."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None:
            raise StackError(f"{what} ended at once (status {process.returncode}): {last_line(log)}")
        if time.monotonic() > deadline:
            raise StackError(f"{what} was not ready after {seconds:.0f} seconds: {last_line(log)}")
        time.sleep(0.02)


def last_line(log: Path) -> str:
    """The line of a log file that tells most, to show in an error: the last error, else the last line."""
    lines = log.read_text("utf-8", "replace").strip().splitlines() if log.exists() else []
    telling = [line for line in lines if not line.endswith("Aborting")]
    errors = [line for line in telling if re.search(r"error", line, re.IGNORECASE)]
    return (errors or telling or ["no output"])[-1][-300:]


def own_environment(**more: str) -> dict[str, str]:
    """What a child needs of this process's environment, and no more."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "PYTHONPATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | more
