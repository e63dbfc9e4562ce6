"""JupyterLab on the workbook: loopback, behind a token that nobody else can read, and gone when it is stopped."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.lab_process import running_lab

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def lab(tmp_path):
    """A running lab on the workbook's notebooks."""
    with running_lab(tmp_path) as lab:
        yield lab


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
    address, token = lab.address, lab.token
    assert address.startswith("http://127.0.0.1:")
    assert ask(address, token) == 200
    assert ask(address) == 403
    assert ask(address, "wrong") == 403


def test_the_token_stands_on_no_command_line(lab):
    process, token = lab.process, lab.token
    pids = [process.pid, *children_of(process.pid)]
    assert len(pids) > 1
    assert not [pid for pid in pids if token.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_leaves_no_server_behind(lab, number):
    process = lab.process
    (server,) = children_of(process.pid)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not Path(f"/proc/{server}").exists()
