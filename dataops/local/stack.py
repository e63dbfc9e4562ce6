"""A handle on an embedded stack: start it, find it, stop it. The stack itself lives in `dataops.local.host`."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from dataops.errors import StackError
from dataops.local.servers import ServerInfo
from dataops.local.spawn import die_with_parent, last_line

REGION = "ap-northeast-1"
CONTROL_TABLE = "dataops-control"
STATE_FILE = "stack.json"
START_SECONDS = 180


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
        if _is_host(self.info.pid, self.info.folder):
            os.kill(self.info.pid, signal.SIGTERM)
        deadline = time.monotonic() + 30
        while _is_host(self.info.pid, self.info.folder) or Path(self.info.folder).exists():
            if self._process:
                self._process.poll()
            if time.monotonic() > deadline:
                raise StackError(f"stack {self.info.name}: process {self.info.pid} does not end")
            time.sleep(0.02)


def start(name: str = "default", *, detach: bool, concurrency: int = 4) -> Stack:
    """Start a stack and wait until it is ready.

    A detached one outlives this process; any other ends with it, however it ends. `concurrency` is the number of
    sandboxes a function may have. Raises StackError, one line, when it is already up or cannot start.
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
    log = folder / "host.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dataops.local.host", name, str(folder), str(concurrency)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            preexec_fn=None if detach else die_with_parent(signal.SIGTERM),
        )  # fmt: skip
    (folder / "pid").write_text(str(process.pid))
    return Stack(_await_ready(name, folder, process), process)


def find(name: str = "default") -> Stack | None:
    """The running stack of that name."""
    file = runtime_folder() / name / STATE_FILE
    try:
        info = msgspec.json.decode(file.read_bytes(), type=StackInfo)
    except FileNotFoundError:
        return None
    return Stack(info) if _is_host(info.pid, info.folder) else None


def list_stacks() -> list[Stack]:
    """All running stacks of this user, in order of name."""
    names = sorted(path.parent.name for path in runtime_folder().glob(f"*/{STATE_FILE}"))
    return [stack for name in names if (stack := find(name))]


def runtime_folder() -> Path:
    """Where stacks keep their folders: short, since a socket's path may have 107 characters only."""
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    if len(str(base)) > 40:
        base = Path("/tmp")  # noqa: S108 - private by its mode
    folder = base / f"dataops-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise StackError(f"{folder}: belongs to another user")
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
    try:
        os.kill(pid, 0)
        command = subprocess.run(
            ["ps", "-ww", "-o", "stat=,args=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # no ps here: ask the kernel's own files
        try:
            return folder.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
    return folder in command.stdout and not command.stdout.startswith("Z")


def _await_ready(name: str, folder: Path, process: subprocess.Popen[bytes]) -> StackInfo:
    deadline = time.monotonic() + START_SECONDS
    failure = folder.parent / f"{folder.name}.failure"
    while not (folder / STATE_FILE).exists():
        if process.poll() is not None:
            reason = failure.read_text().strip() if failure.exists() else last_line(folder / "host.log")
            failure.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            raise StackError(f"stack {name}: {reason.splitlines()[-1] if reason else 'ended at once'}")
        if time.monotonic() > deadline:
            process.terminate()
            raise StackError(f"stack {name}: was not ready after {START_SECONDS} seconds")
        time.sleep(0.02)
    return msgspec.json.decode((folder / STATE_FILE).read_bytes(), type=StackInfo)
