"""Where a worker's time goes: to whom it waited for, and for all the rest to computing.

A wait is wall time less the thread's own CPU time, taken around what may block and nothing more: a function that gets
little of a CPU is slow between its waits, and so is found to be limited by computing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

COMPUTING, OTHER = "computing", "other"
SIDES = {
    "source": "the source", COMPUTING: "computing", "dynamodb": "DynamoDB's replies",
    "throttling": "DynamoDB's throttling", "limit": "the batch's own limit of units", "target": "the target",
    OTHER: "other servers",
}  # fmt: skip
"""What a worker's time goes to: the name in records, and the words for it."""


class _Waits(threading.local):
    """Seconds that a thread has waited since it began, by side."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(SIDES, 0.0)


_waits = _Waits()


class Wait:
    """Within it a thread waits for a side. One wait has no other within it."""

    __slots__ = ("_cpu", "_side", "_wall")

    def __init__(self, side: str) -> None:
        self._side, self._wall, self._cpu = side, 0.0, 0.0

    def __enter__(self) -> Self:
        self._wall, self._cpu = time.perf_counter(), time.thread_time()
        return self

    def __exit__(self, *_: object) -> None:
        """End it; what was ended before stays so."""
        if self._wall:
            waited = time.perf_counter() - self._wall - (time.thread_time() - self._cpu)
            _waits.seconds[self._side] += max(waited, 0.0)
            self._wall = 0.0


class Stopwatch:
    """Tells what this thread's time went to since it was made, or last asked."""

    def __init__(self) -> None:
        self._since, self._waits = time.perf_counter(), dict(_waits.seconds)

    def add_to(self, spent: Mapping[str, float]) -> dict[str, float]:
        """`spent` and the seconds since, by side."""
        now, waits = time.perf_counter(), dict(_waits.seconds)
        passed = {side: seconds - self._waits[side] for side, seconds in waits.items()}
        passed[COMPUTING] = max(now - self._since - sum(passed.values()), 0.0)
        self._since, self._waits = now, waits
        return sum_spent([spent, passed])


def sum_spent(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The seconds of several workers together, by side; microseconds are kept, and sides that took none left out."""
    total = dict.fromkeys(SIDES, 0.0)
    for part in parts:
        for side, seconds in part.items():
            total[side] += seconds
    return {side: round(seconds, 6) for side, seconds in total.items() if seconds >= 1e-6}


def limiting_side(spent: Mapping[str, float]) -> str:
    """The side that took most of the time; nothing where none did."""
    return max(spent, key=spent.__getitem__, default="")


def time_replies(client: DynamoDBClient) -> None:
    """Have a client's waits counted, from when a request is sent to its reply, or to the lack of one."""
    wait, events = Wait("dynamodb"), client.meta.events

    def begin(**_: Any) -> None:
        wait.__enter__()

    def end(**_: Any) -> None:
        wait.__exit__()

    events.register("before-send.dynamodb", begin)
    events.register("before-parse.dynamodb", end)
    events.register("needs-retry.dynamodb", end)
