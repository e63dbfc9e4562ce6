"""Processes of their own, and the most memory that each of them ever had."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataops.deploy.package import handlers
from dataops.local.sandbox import FunctionSpec, Sandbox, make_runtime
from dataops.local.spawn import Spawner

ROOT = Path(__file__).parents[3]


class Functions:
    """The handlers of a zip, each in one sandbox that lives through all its invocations."""

    def __init__(self, zip_bytes: bytes, folder: Path, environment: Mapping[str, str]) -> None:
        self._task, self._runtime, self._log = folder / "task", make_runtime(folder / "runtime"), folder / "log"
        with zipfile.ZipFile(io.BytesIO(zip_bytes)) as archive:
            archive.extractall(self._task)
        self._base = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        self._environment = tuple(environment.items())
        self._spawner, self._sandboxes = Spawner(), dict[str, Sandbox]()

    def call(self, name: str, **event: Any) -> Any:
        """The reply of a handler, called again until it is done."""
        while True:
            outcome = self._sandbox(name).invoke(json.dumps(event))
            assert not outcome.failed, outcome.payload
            reply = json.loads(outcome.payload)
            if reply.get("done", True):
                return reply

    def close(self) -> dict[str, float]:
        """End them; gives the most memory of each handler that was called, in MiB."""
        peaks = {name: peak_of(sandbox.pid) for name, sandbox in self._sandboxes.items()}
        for sandbox in self._sandboxes.values():
            sandbox.close()
        return peaks

    def _sandbox(self, name: str) -> Sandbox:
        if name not in self._sandboxes:
            function = f"dataops-{name.replace('_', '-')}"
            spec = FunctionSpec(function, handlers()[function], b"", 900, 256, self._environment, f"arn:{function}")
            sandbox = Sandbox(spec, self._task, self._runtime, self._log, self._base, self._spawner)
            self._sandboxes[name] = sandbox
        return self._sandboxes[name]


def run_module(module: str, *arguments: str, environment: Mapping[str, str]) -> list[str]:
    """The lines that a module prints, run in a fresh interpreter."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=dict(environment), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def peak_of(pid: int | str) -> float:
    """The most resident memory that a process ever had, in MiB: VmHWM of proc(5).

    (getrusage's ru_maxrss would count what the parent had before the child's program was loaded.)
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
