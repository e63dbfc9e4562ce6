"""A JupyterLab as `dataops lab` serves it, in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from dataops.workbook.lab import NOTEBOOKS

SERVE = """
import os, sys
from pathlib import Path
from dataops.workbook.lab import serve_lab
raise SystemExit(serve_lab(os.environ, browser=False, folder=Path(sys.argv[1])))
"""


class Lab(NamedTuple):
    """A running lab; `address` has no path, `log` is what it and its kernels say."""

    process: subprocess.Popen[str]
    address: str
    token: str
    log: Path


@contextmanager
def running_lab(place: Path, folder: Path = NOTEBOOKS) -> Iterator[Lab]:
    """A lab on `folder`, with settings of its own under `place`; it and its kernels are gone afterwards."""
    log = place / "lab.log"
    with log.open("w") as errors:
        process = subprocess.Popen(  # SIGINT may be ignored where the tests were started
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            args=[sys.executable, "-c", SERVE, folder],
            env={**os.environ, "JUPYTER_CONFIG_DIR": str(place / "jupyter")},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            address, _, token = process.stdout.readline().split()[1].partition("/lab?token=")
            await_answer(process, int(address.rpartition(":")[2]))
            yield Lab(process, address, token, log)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=30)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def await_answer(process: subprocess.Popen[str], port: int) -> None:
    """Return once the port is open; it says it runs a little before it listens."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("the lab does not listen")
