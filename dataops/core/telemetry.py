"""What a function says of itself: log lines in JSON, and counts in CloudWatch's embedded metric format.

Each line is one JSON object and carries the labels of its invocation: state, run, batch, chunk or segment, request.
The last line of an invocation, failed or not, also holds its counts, from which CloudWatch makes metrics of the
namespace `dataops` with the dimension `batch`. Nothing here takes a row's value.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

NAMESPACE = "dataops"
METRICS = {
    **dict.fromkeys(("rows", "items", "rejected", "dropped", "loaded", "deleted"), "Count"),
    **dict.fromkeys(("throttles", "retries", "write_units", "read_units", "runs_succeeded", "runs_failed"), "Count"),
    **dict.fromkeys(("milliseconds", "milliseconds_left"), "Milliseconds"),
}
"""Every metric with its unit. Counts are what an invocation did: one that is repeated counts again, unlike the record."""


class _Invocation:
    """The labels and counts of one invocation."""

    def __init__(self, labels: dict[str, str | int], milliseconds_left: Callable[[], int | None]) -> None:
        self.labels, self.milliseconds_left = labels, milliseconds_left
        self.counts: Counter[str] = Counter()


_current: ContextVar[_Invocation | None] = ContextVar("invocation", default=None)


@contextmanager
def invocation(milliseconds_left: Callable[[], int | None], **labels: str | int | None) -> Iterator[None]:
    """Within it lines carry these labels and counts are kept; at its end, come as it may, one line tells them all."""
    told = _Invocation({name: value for name, value in labels.items() if value is not None}, milliseconds_left)
    token, began, message = _current.set(told), time.monotonic(), "failed"
    try:
        yield
        message = "done"
    finally:
        left = milliseconds_left()
        measured = {"milliseconds": round((time.monotonic() - began) * 1000)}
        measured |= {} if left is None else {"milliseconds_left": left}
        told.labels.setdefault("batch", "unknown")
        _print("INFO" if message == "done" else "ERROR", message, _embedded({**told.counts, **measured}))
        _current.reset(token)


def label(**labels: str | int) -> None:
    """Let the lines of this invocation carry these labels as well, from now on."""
    told = _current.get()
    if told:
        told.labels.update(labels)


def count(**amounts: float) -> None:
    """Add to the counts of this invocation, under names of `METRICS`; outside of one it does nothing."""
    told = _current.get()
    if told:
        told.counts.update(amounts)


def least_left(before: int | None) -> int | None:
    """The lesser of `before` and the milliseconds that this invocation has left; outside of one, `before`."""
    told = _current.get()
    left = told.milliseconds_left() if told else None
    return min((of for of in (before, left) if of is not None), default=None)


def count_run(batch: str, **amounts: float) -> None:
    """Print these counts for a batch that this invocation is not labelled with: a flow's functions work for several."""
    _print("INFO", "counted", {"batch": batch, **_embedded(amounts)})


def log(level: str, message: str, **fields: str | int) -> None:
    """Print one line. `level` is INFO, WARNING or ERROR; `message` and `fields` hold no row value and no secret."""
    _print(level, message, fields)


def tell_for_interpreter() -> None:
    """Have the interpreter's own words come as lines as well: errors that nothing could catch, and warnings.

    They tell the class of an error and where it was; its text may hold anything.
    """
    sys.unraisablehook = lambda told: _tell_error(told.exc_type, getattr(told.object, "__qualname__", ""))
    threading.excepthook = lambda told: _tell_error(told.exc_type, told.thread.name if told.thread else "")
    warnings.showwarning = _tell_warning


def _tell_error(kind: type[BaseException], where: str) -> None:
    log("WARNING", "an error that nothing could catch", error=kind.__name__, where=where)


def _tell_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    log("WARNING", "a warning of Python", error=category.__name__, where=f"{filename.rpartition('/')[2]}:{lineno}")


def _embedded(values: dict[str, float]) -> dict[str, object]:
    """The values with what makes them metrics."""
    metrics = [{"Name": name, "Unit": METRICS[name]} for name in values]
    directive = {"Namespace": NAMESPACE, "Dimensions": [["batch"]], "Metrics": metrics}
    return {**values, "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}}


def _print(level: str, message: str, fields: Mapping[str, object]) -> None:
    """One write for a line: processes may share a log, as they do on the embedded stack."""
    told = _current.get()
    line = json.dumps({"level": level, "message": message, **(told.labels if told else {}), **fields})
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
