"""What a run's record says that it took, beside what the machine must pass and what the functions themselves say."""

import json
from collections import Counter
from pathlib import Path

import boto3

from dataops.core.control import Control
from dataops.deploy.package import handlers

PASSED = [
    "Plan", "Planned?", "Copy Chunks", "Rds To Dynamodb", "Chunk Done?", "Chunk Copied", "Take Snapshot", "Account Rows",
    "Sweep Stale", "Swept?", "Prepare Staging", "Load Segments", "Dynamodb To Rds", "Segment Done?", "Segment Loaded",
    "Reconcile", "Source Vs DynamoDB", "Source Compared?", "Source Compared", "DynamoDB Vs Staging", "Staging Compared?",
    "Staging Compared", "Drifted?", "Publish When?", "Publish", "Close Run",
]  # fmt: skip
"""The states that a run of one chunk and one segment enters, by the machine's definition."""


def told_by_functions(case, run):
    """Invocations of a run, and their milliseconds, by the functions' own last lines."""
    invocations, milliseconds = Counter(), Counter()
    for function in handlers():
        file = Path(case.stack.info.folder) / "lambda" / f"{function}.log"
        lines = [json.loads(line) for line in file.read_text().splitlines() if run in line] if file.exists() else []
        for line in (line for line in lines if "milliseconds" in line and line["run"] == run):
            invocations[line["state"]] += 1
            milliseconds[line["state"]] += line["milliseconds"]
    return invocations, milliseconds


def test_a_run_takes_a_transition_for_each_state_and_what_its_functions_say(numbers):
    record = numbers.run(workers=1).record
    assert record.usage.transitions == len(PASSED)
    invocations, milliseconds = told_by_functions(numbers, record.run)
    assert {name: of.invocations for name, of in record.usage.functions.items()} == invocations
    rounded = 1
    assert all(of.milliseconds + rounded >= milliseconds[name] for name, of in record.usage.functions.items())
    assert {of.memory for of in record.usage.functions.values()} == {256}


def test_chunks_and_segments_are_counted_each(case):
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, v VARCHAR(20))")
    case.source("INSERT INTO {t} VALUES (%s, 'x')", *((number,) for number in range(2500)))
    record = case.run(workers=3).record
    assert record.usage.fast_rows == {"rds_to_dynamodb": 2500, "dynamodb_to_rds": 2500}
    chunks, segments = len(Control(record.run).chunks()), 3
    assert record.usage.functions["rds_to_dynamodb"].invocations == chunks
    assert record.usage.functions["dynamodb_to_rds"].invocations == segments
    assert record.usage.transitions == len(PASSED) + 3 * (chunks + segments - 2)


def test_the_usage_is_kept_and_told_in_dollars(numbers):
    result = numbers.run()
    kept = Control(result.record.run).record()
    assert kept.usage == result.record.usage
    told = json.loads((result.folder / "record.json").read_text())["cost"]
    assert told["state transitions"] == {
        "amount": result.record.usage.transitions, "dollars": result.record.usage.transitions * 0.000025,
    }  # fmt: skip
    assert told["DynamoDB write units"]["amount"] == result.record.write_units == 3
    assert told["dollars"] < told["batch_writer_dollars_estimated"]
    assert "<h2>Cost</h2>" in (result.folder / "report.html").read_text()


def test_rows_that_went_the_plain_way_are_not_said_to_have_saved_anything(numbers):
    usage = numbers.run(numbers.batch(dynamodb__write="update")).record.usage
    assert usage.fast_rows == {"rds_to_dynamodb": 0, "dynamodb_to_rds": 3}


def test_a_run_that_failed_has_its_usage_too(numbers):
    numbers.source("INSERT INTO {t} VALUES (4, 'a', 'x')")
    record = numbers.run(numbers.batch(source__columns=["id", "kind"], dynamodb__partition_key="v")).record
    assert {name: of.invocations for name, of in record.usage.functions.items()} == {"plan": 1, "roll_back": 1}


def test_without_leave_to_read_histories_a_run_is_told_without_its_cost(numbers, monkeypatch):
    denied = boto3.client("stepfunctions").exceptions.ClientError({"Error": {"Code": "AccessDeniedException"}}, "List")

    def refuse(*_):
        raise denied

    monkeypatch.setattr("dataops.workbook.usage._children", refuse)
    result = numbers.run()
    assert (result.status, result.record.usage) == ("succeeded", None)
    assert json.loads((result.folder / "record.json").read_text())["cost"] is None


def test_a_flow_has_its_own_usage_and_the_sum_of_its_runs(shop):
    result = shop.run()
    assert {"claim_flow", "publish_flow", "close_flow"} <= set(result.usage.functions)
    assert [run.record.usage.transitions for run in result.runs] == [len(PASSED)] * 2
    told = json.loads((result.folder / "record.json").read_text())["cost"]
    assert told["state transitions"]["amount"] == result.usage.transitions + 2 * len(PASSED)
