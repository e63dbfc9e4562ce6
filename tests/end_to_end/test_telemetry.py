"""What the functions say of a run: every line is JSON, and the metrics are those of the record and of the servers."""

import json
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from dataops.core.telemetry import METRICS, invocation, label, log
from dataops.deploy.package import handlers

UNITS = {"Count", "Milliseconds"}
SAVING = {"plan", "rds_to_dynamodb", "source_vs_dynamodb", "prepare_staging", "dynamodb_to_rds"}
"""The states that save a chunk or a segment, and with it the least time that an invocation had left."""


@pytest.fixture
def lines(case):
    """What every function printed in the course of a run, each line read as JSON.

    A log also holds other runs' lines, and what the interpreter says when a fault ends one.
    """

    def of_run(run):
        found = []
        for function in handlers():
            file = Path(case.stack.info.folder) / "lambda" / f"{function}.log"
            if file.exists():
                found += [json.loads(line) for line in file.read_text().splitlines() if run in line]
        return [line for line in found if line.get("run") == run]

    return of_run


def require_embedded(line):
    """The constraints of CloudWatch's specification of the embedded metric format."""
    told = line["_aws"]
    assert set(told) == {"Timestamp", "CloudWatchMetrics"}
    assert isinstance(told["Timestamp"], int)
    (directive,) = told["CloudWatchMetrics"]
    assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
    assert 1 <= len(directive["Namespace"]) <= 1024
    assert directive["Namespace"] == "dataops"
    assert len(directive["Metrics"]) <= 100
    for names in directive["Dimensions"]:
        assert len(names) <= 30
        assert all(isinstance(line[name], str) and 1 <= len(line[name]) <= 1024 for name in names)
    for metric in directive["Metrics"]:
        assert set(metric) <= {"Name", "Unit", "StorageResolution"}
        assert metric["Unit"] in UNITS
        assert isinstance(line[metric["Name"]], int | float)


def sums(lines):
    """The sum of every metric, as CloudWatch would take it from the lines."""
    total = Counter()
    for line in lines:
        for metric in line.get("_aws", {"CloudWatchMetrics": [{"Metrics": []}]})["CloudWatchMetrics"][0]["Metrics"]:
            total[metric["Name"]] += line[metric["Name"]]
    return total


def test_the_metrics_of_a_run_are_those_of_its_record_and_of_the_servers(numbers, lines):
    record = numbers.run().record
    told = lines(record.run)
    for line in told:
        if "_aws" in line:
            require_embedded(line)
    assert {line["batch"] for line in told} == {numbers.name}
    total = sums(told)
    assert total["rows"] == record.source_rows == numbers.source("SELECT COUNT(*) FROM {t}")[0][0]
    assert total["loaded"] == record.target_rows == numbers.target("SELECT COUNT(*) FROM {t}")[0][0]
    assert total["items"] == record.items == len(numbers.items())
    assert total["write_units"] == record.write_units == 3.0
    assert (total["rejected"], total["dropped"], total["throttles"]) == (0, 0, 0)
    assert total["read_units"] >= record.read_units > 0
    assert (total["runs_succeeded"], total["runs_failed"]) == (1, 0)
    saving = [line for line in told if "_aws" in line and line["state"] in SAVING]
    least = min(line["milliseconds_left"] for line in saving)
    most = min(line["milliseconds_left"] + line["milliseconds"] for line in saving)
    rounded = 2
    assert {line["state"] for line in saving} == SAVING
    assert least <= record.milliseconds_left <= most + rounded


def test_every_state_of_a_run_ends_with_its_metrics_and_a_request(numbers, lines):
    record = numbers.run().record
    ended = [line for line in lines(record.run) if "_aws" in line]
    assert {line["state"] for line in ended} >= {"plan", "rds_to_dynamodb", "dynamodb_to_rds", "publish", "close_run"}
    assert all(line["request"] and line["milliseconds_left"] > 0 for line in ended)
    assert {line["chunk"] for line in ended if line["state"] == "rds_to_dynamodb"} == {0}


def test_a_run_that_fails_says_so_with_its_metrics_and_without_a_value(numbers, lines):
    numbers.source("INSERT INTO {t} VALUES (4, 'a', 'canary')")
    record = numbers.run(numbers.batch(source__columns=["id", "kind"], dynamodb__partition_key="v")).record
    told = lines(record.run)
    assert record.status == "failed"
    (failed,) = [line for line in told if line["message"] == "failed"]
    require_embedded(failed)
    assert (failed["level"], failed["state"], failed["batch"]) == ("ERROR", "plan", numbers.name)
    assert sums(told)["runs_failed"] == 1
    assert "canary" not in json.dumps(told)


def test_rejected_rows_are_counted(numbers, lines):
    numbers.source("INSERT INTO {t} VALUES (4, '', 'four')")
    batch = numbers.batch(dynamodb__partition_key="kind", dynamodb__sort_key="id", on_reject="continue")
    record = numbers.run(batch).record
    assert sums(lines(record.run))["rejected"] == record.rejected == 1


def test_a_line_of_an_invocation_that_ends_early_has_what_was_known(capsys):
    with suppress(KeyError), invocation(lambda: None, state="plan", run="r", chunk=None):
        label(batch="orders")
        log("WARNING", "slow")
        raise KeyError
    warned, ended = map(json.loads, capsys.readouterr().out.splitlines())
    assert warned == {"level": "WARNING", "message": "slow", "state": "plan", "run": "r", "batch": "orders"}
    assert (ended["level"], ended["message"]) == ("ERROR", "failed")
    require_embedded(ended)
    assert set(METRICS.values()) == UNITS
