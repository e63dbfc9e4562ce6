"""A handle on an embedded stack: start it, find it, stop it. The stack itself lives in `dataops.local.host`."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import msgspec

from dataops.errors import StackError
from dataops.local.mysqld import Flavor
from dataops.local.servers import ServerInfo
from dataops.local.spawn import Spawner, end_process, last_line

REGION = "ap-northeast-1"
CONTROL_TABLE = "dataops-control"
STATE_FILE = "stack.json"
START_SECONDS, STOP_SECONDS = 180, 30


class StackInfo(msgspec.Struct, frozen=True):
    """What a running stack offers; `variables` are the ones to export."""

    name: str
    folder: str
    pid: int
    source: ServerInfo
    target: ServerInfo
    variables: dict[str, str]


class Stack:
    """A running stack."""

    def __init__(self, info: StackInfo, process: subprocess.Popen[bytes] | None = None) -> None:
        self.info, self._process = info, process

    def stop(self) -> None:
        """Stop it: no process and no folder is left. Stopping a stopped stack does nothing."""
        pid, folder = self.info.pid, Path(self.info.folder)
        if not _is_host(pid, str(folder)):
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while _runs(pid) or folder.exists():
            if self._process:
                self._process.poll()
            if time.monotonic() > deadline:
                raise StackError(f"stack {self.info.name}: process {pid} does not end")
            time.sleep(0.02)


def start(name: str = "default", *, detach: bool, concurrency: int = 4, flavor: Flavor | None = None) -> Stack:
    """Start a stack and wait until it is ready.

    A detached one outlives this process; any other ends with it, however it ends. `concurrency` is the number of
    sandboxes a function may have, `flavor` the kind of its servers (None: what there is). Raises StackError, one line, when it is already up or cannot start.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}", name):
        raise StackError(f"stack name {name!r}: expected up to 31 letters, digits, - or _")
    if find(name):
        raise StackError(f"stack {name}: is already up; use it, or stop it with `dataops down`")
    folder = runtime_folder() / name
    remove_orphans()
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise StackError(f"stack {name}: is being started by another process") from None
    arguments = [name, str(folder), str(concurrency), *filter(None, [flavor])]
    process = _spawner(os.getpid()).spawn(
        [sys.executable, "-P", "-m", "dataops.local.host", *arguments],
        log=folder / "host.log", environment=_host_environment(), end_signal=None if detach else signal.SIGTERM,
    )  # fmt: skip
    try:
        (folder / "pid").write_text(str(process.pid))
        return Stack(_await_ready(name, folder, process), process)
    except BaseException:
        end_process(process, patience=STOP_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
        raise


@cache
def _spawner(_pid: int) -> Spawner:
    """Of this very process: a child that is forked from it has none of its threads."""
    return Spawner()


def _host_environment() -> dict[str, str]:
    """This process's environment without what it says about AWS: the host speaks to its own emulators only."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def find(name: str = "default") -> Stack | None:
    """The running stack of that name."""
    file = runtime_folder() / name / STATE_FILE
    try:
        info = msgspec.json.decode(file.read_bytes(), type=StackInfo)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return Stack(info) if _is_host(info.pid, info.folder) else None


def runtime_folder() -> Path:
    """Where stacks keep their folders: short, since a socket's path may have 107 characters only.

    Raises StackError when somebody else could write there.
    """
    base = Path(tempfile.gettempdir())
    if len(str(base)) > 40:
        base = Path("/tmp")  # noqa: S108 - private by its mode
    folder = base / f"dataops-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise StackError(f"{folder}: expected a folder of this user that nobody else may enter; remove it")
    return folder


def remove_orphans() -> None:
    """Delete what hosts that were killed have left."""
    for folder in runtime_folder().iterdir():
        if folder.is_dir() and not _is_host(_pid_in(folder), str(folder)) and _is_old(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _pid_in(folder: Path) -> int:
    try:
        return int((folder / "pid").read_text())
    except (OSError, ValueError):
        return 0


def _is_old(folder: Path) -> bool:
    """Not one that another process is creating this very moment."""
    return (folder / "pid").exists() or time.time() - folder.stat().st_mtime > 10


def _is_host(pid: int, folder: str) -> bool:
    """Whether that process runs and is the host of that folder, not a later one with its number."""
    if pid <= 0:
        return False
    if Path("/proc/self").exists():
        return _runs(pid) and folder.encode() in _proc(pid, "cmdline").split(b"\0")
    command = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    return _runs(pid) and f" {folder} " in subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _runs(pid: int) -> bool:
    """Whether there is such a process, one that has ended and waits for its parent not counted."""
    if Path("/proc/self").exists():
        return _proc(pid, "stat").rpartition(b")")[2].split()[:1] not in ([], [b"Z"], [b"X"])
    command = ["ps", "-o", "stat=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, check=False).stdout.strip()[:1] not in (b"", b"Z")


def _proc(pid: int, file: str) -> bytes:
    """One of the kernel's files on a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:
        return b""


def _await_ready(name: str, folder: Path, process: subprocess.Popen[bytes]) -> StackInfo:
    deadline = time.monotonic() + START_SECONDS
    while not (folder / STATE_FILE).exists():
        if process.poll() is not None:
            raise StackError(f"stack {name}: {_failure(folder)}")
        if time.monotonic() > deadline:
            raise StackError(f"stack {name}: was not ready after {START_SECONDS} seconds")
        time.sleep(0.02)
    return msgspec.json.decode((folder / STATE_FILE).read_bytes(), type=StackInfo)


def _failure(folder: Path) -> str:
    """Why the host ended before its stack was up: the last line of what it has left."""
    file = folder.with_name(f"{folder.name}.failure")
    lines = file.read_text().strip().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines[-1] if lines else last_line(folder / "host.log")
