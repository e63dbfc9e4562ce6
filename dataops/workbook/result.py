"""A run as it is shown: how far it has come, how it ended, what its states took."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from dataops.core.records import FlowRecord, Record, Rejection, Usage
from dataops.core.stopwatch import limiting_side
from dataops.workbook.bill import Line, bill_flow, bill_json, bill_run

FAILURES = ("Roll Back", "Roll Back Flow", "Not Closed", "Not Rolled Back")
"""States that the machine goes to when the one before has failed."""
EXIT_STATUSES = {"succeeded": 0, "skipped": 0, "succeeded with rejections": 3}


COUNTS = {
    "rows read": "source_rows", "items": "items", "dropped": "dropped", "rejected": "rejected",
    "stale deleted": "stale_deleted", "rows published": "target_rows",
}  # fmt: skip
"""What a run counts: the name that every table shows, and the record's field."""


class StateTime(msgspec.Struct, frozen=True):
    """One state of an execution; `seconds` is summed over its visits, and 0 where only its Map was timed."""

    name: str
    status: str
    entered: str
    seconds: float
    visits: int


class Visit(msgspec.Struct, frozen=True):
    """One passage through a state; `began` and `ended` are seconds since 1970, `ended` 0 where it never left."""

    name: str
    began: float
    ended: float


class Work(msgspec.Struct, frozen=True):
    """A chunk that was copied or a segment that was loaded, in times as of a `Visit`, by the workers' clocks."""

    name: str
    rows: int
    began: float
    ended: float


class Snapshot(msgspec.Struct, frozen=True):
    """How far a running execution of a batch has come."""

    batch: str
    state: str
    chunks: int
    chunks_done: int
    rows_copied: int
    rows_loaded: int


class FlowResult(msgspec.Struct, frozen=True):
    """A flow's run that has ended, with those of its batches that began. `status` is as of a `RunResult`.

    `usage` is what the flow's own states took.
    """

    record: FlowRecord
    status: str
    seconds: float
    states: tuple[StateTime, ...]
    definition: str
    runs: tuple[RunResult, ...]
    folder: Path | None = None
    usage: Usage | None = None

    @property
    def exit_status(self) -> int:
        """0 succeeded or skipped, 1 failed, 3 succeeded with rejections."""
        return EXIT_STATUSES.get(self.status, 1)

    @property
    def timed_states(self) -> tuple[StateTime, ...]:
        """The states that took time worth showing, 5 ms or more."""
        return tuple(state for state in self.states if state.visits and state.seconds >= 0.005)

    @property
    def bill(self) -> tuple[Line, ...]:
        """What the flow's run cost, those of its batches in it."""
        return bill_flow(self.usage, [run.record for run in self.runs])

    def to_json(self) -> dict[str, Any]:
        """The flow's run as one mapping of plain values, with those of its batches."""
        record = self.record
        return {
            "run": record.run, "flow": record.flow, "status": self.status, "publish": record.publish,
            "published": record.published, "cause": record.cause, "seconds": round(self.seconds, 3),
            "states": [msgspec.to_builtins(state) for state in self.states],
            "usage": msgspec.to_builtins(self.usage), "cost": bill_json(self.bill),
            "runs": [run.to_json() for run in self.runs],
        }  # fmt: skip


class RunResult(msgspec.Struct, frozen=True):
    """A run that has ended. `status`: succeeded, succeeded with rejections, failed or skipped."""

    record: Record
    status: str
    seconds: float
    states: tuple[StateTime, ...]
    rejections: tuple[Rejection, ...]
    folder: Path | None
    definition: str
    visits: tuple[Visit, ...] = ()
    copied: tuple[Work, ...] = ()
    loaded: tuple[Work, ...] = ()

    @property
    def exit_status(self) -> int:
        """0 succeeded or skipped, 1 failed, 3 succeeded with rejections."""
        return EXIT_STATUSES.get(self.status, 1)

    @property
    def counts(self) -> dict[str, int]:
        """What the run counted, under the names of `COUNTS`."""
        return {name: getattr(self.record, field) for name, field in COUNTS.items()}

    @property
    def timed_states(self) -> tuple[StateTime, ...]:
        """The states that took time worth showing, 5 ms or more."""
        return tuple(state for state in self.states if state.visits and state.seconds >= 0.005)

    @property
    def bill(self) -> tuple[Line, ...]:
        """What the run cost."""
        return bill_run(self.record)

    def to_json(self) -> dict[str, Any]:
        """The run as one mapping of plain values."""
        record = self.record
        names = ("source_rows", "items", "target_rows", "rejected", "dropped", "outside", "emptied", "stale_deleted")
        return {
            "run": record.run, "batch": record.batch, "status": self.status,
            **{name: getattr(record, name) for name in names},
            "rejections": [msgspec.to_builtins(rejection) for rejection in self.rejections],
            "seconds": round(self.seconds, 3), "states": [msgspec.to_builtins(state) for state in self.states],
            "write_units": record.write_units, "read_units": record.read_units,
            "throttles": record.throttles, "retries": record.retries, "milliseconds_left": record.milliseconds_left,
            "copying": _spent(record.copying), "loading": _spent(record.loading),
            "plain": record.plain, "left_out": record.left_out, "as_of": record.as_of, "cause": record.cause,
            "usage": msgspec.to_builtins(record.usage), "cost": bill_json(self.bill),
        }  # fmt: skip


def _spent(seconds: dict[str, float]) -> dict[str, Any]:
    """What limited a work, and its workers' seconds by what they went to."""
    return {"limited_by": limiting_side(seconds), "seconds": seconds}


def first_failure(events: list[Any]) -> str:
    """What the first task that failed in an execution's history gave as its error: name and message, or nothing."""
    for event in events:
        for name in ("taskFailedEventDetails", "lambdaFunctionFailedEventDetails"):
            if name in event:
                told = event[name].get("cause", "")
                with suppress(ValueError, KeyError, TypeError):
                    told = json.loads(told)["errorMessage"]
                return ": ".join(filter(None, [event[name].get("error", ""), told]))
    return ""


def list_visits(events: list[Any]) -> tuple[Visit, ...]:
    """Every passage through a state in an execution's history, in order of entry."""
    visits: list[Visit] = []
    open_at: dict[str, int] = {}
    for event in events:
        at = event["timestamp"].timestamp()
        if "stateEnteredEventDetails" in event:
            open_at[event["stateEnteredEventDetails"]["name"]] = len(visits)
            visits.append(Visit(event["stateEnteredEventDetails"]["name"], at, 0.0))
        elif "stateExitedEventDetails" in event:
            place = open_at[event["stateExitedEventDetails"]["name"]]
            visits[place] = msgspec.structs.replace(visits[place], ended=at)
    return tuple(visits)


def state_times(events: list[Any], definition: str, status: str) -> tuple[StateTime, ...]:
    """The states in an execution's history, in order of first entry; states inside a Map take its status."""
    open_since: dict[str, Any] = {}
    times: dict[str, StateTime] = {}
    last = ""
    for event in events:
        if "stateEnteredEventDetails" in event:
            name = event["stateEnteredEventDetails"]["name"]
            if name in FAILURES and last in times:
                times[last] = msgspec.structs.replace(times[last], status="failed")
            if (ran := f"Run {name.removeprefix('Failed ')}") in times and name.startswith("Failed "):
                times[ran] = msgspec.structs.replace(times[ran], status="failed")
            open_since[name] = event["timestamp"]
            before = times.get(name) or StateTime(name, "aborted", event["timestamp"].isoformat(), 0.0, 0)
            times[name] = msgspec.structs.replace(before, visits=before.visits + 1, status="aborted")
        elif "stateExitedEventDetails" in event:
            last = event["stateExitedEventDetails"]["name"]
            seconds = (event["timestamp"] - open_since[last]).total_seconds()
            times[last] = msgspec.structs.replace(
                times[last], seconds=times[last].seconds + seconds, status="succeeded"
            )
    if status == "FAILED":
        ended = {name for name, kind in _types(definition) if kind == "Fail"}
        times = {
            name: msgspec.structs.replace(time_, status="failed") if name in ended else time_
            for name, time_ in times.items()
        }
    return tuple(_with_inner(times, definition))


def _with_inner(times: dict[str, StateTime], definition: str) -> Iterator[StateTime]:
    states = json.loads(definition)["States"]
    for name, state in times.items():
        yield state
        inner = states.get(name, {}).get("ItemProcessor", {}).get("States", {})
        for nested in inner:
            yield StateTime(nested, state.status, state.entered, 0.0, 0)


def _types(definition: str) -> Iterator[tuple[str, str]]:
    for name, state in json.loads(definition)["States"].items():
        yield name, state["Type"]
