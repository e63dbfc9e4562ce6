"""The entries of Retry and Catch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dataops._wording import did_you_mean
from dataops.deploy.asl.fields import LONGEST_SECONDS, Fault, check_names, check_target, check_whole
from dataops.deploy.asl.templates import check_paths
from dataops.deploy.asl.variables import check_assign

RESERVED = {
    "States.ALL", "States.HeartbeatTimeout", "States.Timeout", "States.TaskFailed", "States.Permissions",
    "States.ResultPathMatchFailure", "States.ParameterPathFailure", "States.QueryEvaluationError", "States.BranchFailed",
    "States.NoChoiceMatched", "States.IntrinsicFailure", "States.ExceedToleratedFailureThreshold", "States.Runtime",
    "States.ItemReaderFailed", "States.ResultWriterFailed", "States.DataLimitExceeded",
}  # fmt: skip
RETRIER = {
    "ErrorEquals",
    "IntervalSeconds",
    "MaxAttempts",
    "BackoffRate",
    "MaxDelaySeconds",
    "JitterStrategy",
    "Comment",
}
CATCHER = {"ErrorEquals", "Next", "ResultPath", "Comment", "Assign", "Output"}


def check_entries(
    entries: Any, at: str, allowed: set[str], language: str, states: Mapping[str, Any]
) -> Iterator[Fault]:
    """The entries of Retry (`allowed` is RETRIER) or Catch (CATCHER), in a state of a query language."""
    if not isinstance(entries, list):
        yield Fault(at, "expected a list")
        return
    for number, entry in enumerate(entries):
        where = f"{at}[{number}]"
        if not isinstance(entry, dict):
            yield Fault(where, "expected an object")
            continue
        yield from check_names(entry, allowed, where)
        yield from _check_error_names(entry.get("ErrorEquals"), f"{where}.ErrorEquals", number == len(entries) - 1)
        if allowed is CATCHER:
            yield from check_target(entry.get("Next"), f"{where}.Next", states)
            yield from _check_catcher(entry, where, language)
        else:
            yield from _check_retrier(entry, f"{where}.")


def _check_error_names(names: Any, at: str, last: bool) -> Iterator[Fault]:
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        yield Fault(at, "required: a list of the errors' names")
        return
    if "States.ALL" in names and (len(names) > 1 or not last):
        why = "it stands alone" if len(names) > 1 else "it stands in the last entry: those after it would never match"
        yield Fault(at, f"States.ALL catches everything, so {why}")
    for name in names:
        if name.startswith("States.") and name not in RESERVED and not name.startswith("States.Http.StatusCode."):
            yield Fault(at, f"{name} is no error that Step Functions raises{did_you_mean(name, RESERVED)}", "warning")


def _check_catcher(entry: Mapping[str, Any], where: str, language: str) -> Iterator[Fault]:
    wrong = "ResultPath" if language == "JSONata" else "Output"
    if wrong in entry:
        yield Fault(f"{where}.{wrong}", f"is not for a state whose query language is {language}")
    yield from check_assign(entry, where)
    if language == "JSONPath":
        yield from check_paths({name: entry[name] for name in ("ResultPath", "Assign") if name in entry}, where)


def _check_retrier(entry: Mapping[str, Any], place: str) -> Iterator[Fault]:
    yield from check_whole(entry, "IntervalSeconds", place, 1, LONGEST_SECONDS)
    yield from check_whole(entry, "MaxAttempts", place, 0, LONGEST_SECONDS)
    yield from check_whole(entry, "MaxDelaySeconds", place, 1, 31_622_400)
    first, longest = entry.get("IntervalSeconds", 1), entry.get("MaxDelaySeconds")
    if isinstance(first, int) and isinstance(longest, int) and longest <= first:
        yield Fault(f"{place}MaxDelaySeconds", "expected more than IntervalSeconds: no wait would ever grow", "warning")
    rate = entry.get("BackoffRate", 1)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or rate < 1:
        yield Fault(f"{place}BackoffRate", "expected a number of at least 1.0")
    if entry.get("JitterStrategy", "NONE") not in ("FULL", "NONE"):
        yield Fault(f"{place}JitterStrategy", "expected FULL or NONE")
