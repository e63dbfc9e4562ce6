"""The second stop of a scheduler: what runs is interrupted, so that it rolls back, and recorded as failed."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import nbformat

from dataops.workbook.scheduler import Firing, Scheduled, Scheduler, list_recorded, start_notebook
from tests.workbook.test_scheduler import BEGIN, EVERY, await_file

STOPPABLE = """
import pathlib, time
folder = pathlib.Path({folder!r})
try:
    (folder / "begun").touch()
    time.sleep(600)
except KeyboardInterrupt:
    (folder / "rolled back").touch()
    raise
"""


def stop_twice(batch: Scheduled, start, folder: Path) -> Firing:
    """A firing's record, after the scheduler was asked to end what runs."""
    scheduler = Scheduler([batch], folder / "schedule", start)
    scheduler.step(BEGIN)
    scheduler.step(BEGIN + timedelta(minutes=1))
    try:
        await_file(folder / "begun")
        scheduler.terminate()
        for _, process in scheduler._running.values():
            process.wait(120)
    finally:
        for _, process in scheduler._running.values():
            process.kill()
    scheduler.collect(BEGIN)
    return list_recorded(folder / "schedule")[0]


def test_the_second_stop_interrupts_the_cell_that_a_notebook_runs(tmp_path, monkeypatch):
    parameters = nbformat.v4.new_code_cell('batch: str = ""\nscheduled: str = ""', metadata={"tags": ["parameters"]})
    cells = [parameters, nbformat.v4.new_code_cell(STOPPABLE.format(folder=str(tmp_path)))]
    kernel = {"kernelspec": {"name": "python3", "display_name": "p", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "a.ipynb")
    monkeypatch.chdir(tmp_path)
    somebody = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "ap-northeast-1"}
    firing = stop_twice(EVERY, start_notebook(str(tmp_path / "a.ipynb"), somebody), tmp_path)
    assert (tmp_path / "rolled back").exists()
    assert (firing.status, firing.cause) == ("failed", "exit status 1; its log says why")


def test_the_second_stop_interrupts_the_run_of_a_flow_so_that_it_rolls_back(tmp_path):
    def start(batch: Scheduled, firing: Firing, log: Path) -> subprocess.Popen[bytes]:
        waiting = f"def wait(*_, **__): exec({STOPPABLE.format(folder=str(tmp_path))!r})"
        program = f"import sys\nfrom dataops.cli import main\nfrom dataops.workbook import flow\n{waiting}\nflow.run_flow = wait\nmain()"
        return subprocess.Popen([sys.executable, "-c", program, "run", "nightly"])

    firing = stop_twice(EVERY, start, tmp_path)
    assert (tmp_path / "rolled back").exists()
    assert (firing.status, firing.cause) == ("failed", "exit status 1; its log says why")
