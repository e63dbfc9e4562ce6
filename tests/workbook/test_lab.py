"""JupyterLab on the workbook: loopback, behind a token that nobody else can read, and gone when it is stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

SERVE = "import os; from dataops.workbook.lab import serve_lab; raise SystemExit(serve_lab(os.environ, browser=False))"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def lab(tmp_path):
    """A running lab: its process, its address and its token."""
    log = (tmp_path / "lab.log").open("w")
    process = subprocess.Popen(  # SIGINT may be ignored where the tests were started
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        args=[sys.executable, "-c", SERVE],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    try:
        address, _, token = process.stdout.readline().split()[1].partition("/lab?token=")
        await_answer(process, int(address.rpartition(":")[2]))
        yield process, address, token
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        log.close()


def await_answer(process: subprocess.Popen[str], port: int) -> None:
    """Return once the port is open; it says it runs a little before it listens."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("the lab does not listen")


def ask(address: str, token: str = "") -> int:
    headers = {"Authorization": f"token {token}"} if token else {}
    try:
        with OPENER.open(urllib.request.Request(address + "/api/contents", headers=headers), timeout=20) as reply:
            names = {file["name"] for file in json.load(reply)["content"]}
            assert "04-run-batch.ipynb" in names
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_it_serves_the_notebooks_to_who_has_the_token_only(lab):
    _, address, token = lab
    assert address.startswith("http://127.0.0.1:")
    assert ask(address, token) == 200
    assert ask(address) == 403
    assert ask(address, "wrong") == 403


def test_the_token_stands_on_no_command_line(lab):
    process, _, token = lab
    pids = [process.pid, *children_of(process.pid)]
    assert len(pids) > 1
    assert not [pid for pid in pids if token.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_leaves_no_server_behind(lab, number):
    process, *_ = lab
    (server,) = children_of(process.pid)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not Path(f"/proc/{server}").exists()
