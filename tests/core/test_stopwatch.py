"""Where a worker's time goes: waits by side, and all the rest is computing."""

from __future__ import annotations

import threading
import time

import pytest

from dataops.core.stopwatch import Stopwatch, Wait, limiting_side, sum_spent


def compute(seconds: float = 0.05) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def wait_for(side: str, seconds: float = 0.05) -> None:
    with Wait(side):
        threading.Event().wait(seconds)


def test_what_is_no_wait_is_computing_and_nothing_is_missing():
    began, stopwatch = time.perf_counter(), Stopwatch()
    wait_for("source", 0.2)
    compute()
    spent = stopwatch.add_to({})
    assert set(spent) == {"source", "computing"}
    assert spent["source"] >= 0.2 - 1e-6
    assert sum(spent.values()) <= time.perf_counter() - began


def test_computing_within_a_wait_is_no_wait():
    stopwatch, began, cpu = Stopwatch(), time.perf_counter(), time.thread_time()
    with Wait("source"):
        compute()
    spent = stopwatch.add_to({})
    off_the_cpu = time.perf_counter() - began - (time.thread_time() - cpu)  # a busy machine's part
    assert spent.get("source", 0.0) <= off_the_cpu + 1e-6
    assert spent["computing"] >= 0.05 - 1e-6


def test_time_is_told_once():
    stopwatch = Stopwatch()
    wait_for("target", 0.2)
    first = stopwatch.add_to({})
    wait_for("source", 0.01)
    second = stopwatch.add_to(first)
    assert second["target"] == first["target"]
    assert second["source"] > 0


def test_another_threads_waits_are_its_own():
    stopwatch = Stopwatch()
    thread = threading.Thread(target=wait_for, args=("target",))
    thread.start()
    thread.join()
    assert set(stopwatch.add_to({})) == {"computing"}


def test_a_wait_that_ends_in_an_error_counts():
    stopwatch = Stopwatch()
    with pytest.raises(ZeroDivisionError), Wait("dynamodb"):
        threading.Event().wait(0.05) / 0
    assert "dynamodb" in stopwatch.add_to({})


def test_workers_are_summed():
    assert sum_spent([{"source": 1.5, "target": 1e-9}, {"source": 1.0, "limit": 2.0}]) == {"source": 2.5, "limit": 2.0}
    assert limiting_side({"source": 1.0, "limit": 2.0}) == "limit"
    assert limiting_side({}) == ""
