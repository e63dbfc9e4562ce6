"""The alarms of one batch, on the metrics that its functions print (namespace `dataops`, dimension `batch`); and of a flow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from dataops.batch import Batch
from dataops.core.telemetry import NAMESPACE
from dataops.deploy.schedule import list_firings, parse_schedule
from dataops.deploy.template import Tagged

REJECTED, COMPLETED = "rejected", "runs_succeeded"
LONGEST_HOURS = 7 * 24
"""Hours that an alarm of CloudWatch can look back by the hour."""
MARGIN_HOURS = 2
"""What a run may take longer than the one before."""
SEEN_FIRINGS = 500
_ENDINGS = {
    "Failed": "failed. No target of its was changed, unless the record says that the new rows are in place",
    "TimedOut": "timed out. The next run of each of its batches takes over and cleans up",
    "Aborted": "was stopped by somebody. The next run of each of its batches takes over and cleans up",
}


def batch_alarms(batch: Batch) -> Iterator[tuple[str, dict[str, Any]]]:
    """The ending of each alarm's logical id, and the alarm: rejected rows; and where it has a schedule, no run."""
    rejected = f"Rows of batch {batch.batch} were rejected; the run's report lists them by key, column and reason."
    yield "RowsRejected", _alarm(batch, REJECTED, rejected, 1, "GreaterThanThreshold", "notBreaching")
    hours = longest_gap(batch)
    if hours and hours + MARGIN_HOURS <= LONGEST_HOURS:
        missing = (
            f"No run of batch {batch.batch} has been completed for {hours + MARGIN_HOURS} hours, longer than between any two firings "
            "of its schedule; dataops runs says what became of the last one."
        )
        yield (
            "RunMissing",
            _alarm(batch, COMPLETED, missing, hours + MARGIN_HOURS, "LessThanOrEqualToThreshold", "breaching"),
        )


def flow_alarms(name: str, machine: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The ending of each alarm's logical id, and the alarm, for a flow's machine (its logical id): failed, timed out,
    aborted."""
    for metric, text in _ENDINGS.items():
        properties = {
            "AlarmDescription": f"Flow {name} {text}; dataops runs says why.",
            "Namespace": "AWS/States",
            "MetricName": f"Executions{metric}",
            "Dimensions": [{"Name": "StateMachineArn", "Value": Tagged("Ref", machine)}],
            "Statistic": "Sum",
            "Period": 300,
            "EvaluationPeriods": 1,
            "Threshold": 0,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [Tagged("Ref", "Failures")],
        }
        yield f"Flow{metric}", {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


def longest_gap(batch: Batch) -> int | None:
    """Hours between the two firings of the schedule that lie farthest apart; None without one or where it ends."""
    if batch.schedule is None:
        return None
    zone = batch.schedule.timezone or ""
    since = datetime(2026, 1, 1, tzinfo=UTC)
    firings = list_firings(parse_schedule(batch.schedule.expression, zone), since, zone, SEEN_FIRINGS)
    if len(firings) < SEEN_FIRINGS:
        return None
    return max(math.ceil((later - earlier) / timedelta(hours=1)) for earlier, later in pairwise(firings))


def _alarm(batch: Batch, metric: str, text: str, hours: int, comparison: str, missing: str) -> dict[str, Any]:
    properties = {
        "AlarmDescription": text,
        "Namespace": NAMESPACE,
        "MetricName": metric,
        "Dimensions": [{"Name": "batch", "Value": batch.batch}],
        "Statistic": "Sum",
        "Period": 3600,
        "EvaluationPeriods": hours,
        "DatapointsToAlarm": hours,
        "Threshold": 0,
        "ComparisonOperator": comparison,
        "TreatMissingData": missing,
        "AlarmActions": [Tagged("Ref", "Failures")],
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}
