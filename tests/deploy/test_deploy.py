"""A stack is deployed, updated and deleted through CloudFormation, and what it made is what runs."""

from __future__ import annotations

import json
import os
import re

import boto3
import pytest
from click.testing import CliRunner

from dataops.cli.deployment import deploy
from dataops.deploy.asl import count_events
from dataops.deploy.cloudformation import execute, find_stack, make_change_set
from dataops.deploy.package import build_zip, handlers
from dataops.deploy.release import build_release
from dataops.errors import BatchFileError, Permanent
from dataops.flow import read_flow_file
from dataops.workbook.changes import preview_changes
from dataops.workbook.demo import open_server
from dataops.workbook.flow import run_flow
from dataops.workbook.run import find_batch, run_batch
from dataops.workbook.stack import EMBEDDED_BUCKET
from tests.samples import batch_of

NAME = "deployed"
BATCH = """
batch: {name}
schedule: {{expression: "{schedule}"}}
source: {{secret: dataops/source, table: {name}}}
dynamodb:
  table: {name}-items
  partition_key: id
  key_types: {{id: N, v: S}}
  indexes: [{{name: by-v, partition_key: v, projection: {projection}}}]
target: {{secret: dataops/target, table: {name}}}
"""


def deployed(*arguments):
    """The command's result: its exit status and its JSON."""
    given = [*map(str, arguments), "--stack", NAME, "--json", "-P", "FunctionSeconds=60"]
    done = CliRunner().invoke(deploy, given, standalone_mode=False)
    if done.exception:
        raise done.exception
    return json.loads(done.stdout.splitlines()[-1])


def write_batch(folder, name, schedule="rate(1 day)", projection="KEYS_ONLY"):
    path = folder / f"{name}.yml"
    path.write_text(BATCH.format(name=name, schedule=schedule, projection=projection))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deployed") / "batches"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def first(stack, folder):
    """The stack with one batch, whose source has two rows."""
    with open_server(stack.info.source) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE parcels (id INT PRIMARY KEY, v VARCHAR(9))")
        cursor.execute("INSERT INTO parcels VALUES (1, 'a'), (2, 'b')")
        connection.commit()
    return deployed(write_batch(folder, "parcels"))


def resources(kind):
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=NAME)
    return [
        of["PhysicalResourceId"]
        for page in pages
        for of in page["StackResourceSummaries"]
        if of["ResourceType"] == kind
    ]


def test_a_stack_is_made_with_all_its_functions(first):
    assert (first["status"], first["batches"]) == ("CREATE_COMPLETE", ["parcels"])
    assert sorted(resources("AWS::Lambda::Function")) == sorted(of.replace("dataops", NAME, 1) for of in handlers())
    table = boto3.client("dynamodb").describe_table(TableName="parcels-items")["Table"]
    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]


def test_what_runs_is_what_cloudformation_made(first, folder):
    made = boto3.client("lambda", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    running = boto3.client("lambda")
    compared = ("FunctionArn", "CodeSha256", "Runtime", "Handler", "Role", "Timeout", "MemorySize", "Environment")
    for name in resources("AWS::Lambda::Function"):
        one, other = (client.get_function_configuration(FunctionName=name) for client in (made, running))
        assert {key: one[key] for key in compared} == {key: other[key] for key in compared}
        assert one["Environment"]["Variables"]["DATAOPS_CONTROL_TABLE"] == f"{NAME}-control"
    (arn,) = resources("AWS::StepFunctions::StateMachine")
    machines = [
        boto3.client("stepfunctions", endpoint_url=os.environ["AWS_ENDPOINT_URL"]),
        boto3.client("stepfunctions"),
    ]
    one, other = (client.describe_state_machine(stateMachineArn=arn)["definition"] for client in machines)
    assert one == other
    assert "${" not in one


def test_a_batch_runs_through_what_was_deployed(first, stack, tmp_path, monkeypatch):
    monkeypatch.setenv("DATAOPS_STATE_MACHINE_ARN", first["outputs"]["StateMachine"])
    monkeypatch.setenv("DATAOPS_CONTROL_TABLE", first["outputs"]["ControlTable"])
    names = {
        "batch": "parcels",
        "source__table": "parcels",
        "target__table": "parcels",
        "dynamodb__table": "parcels-items",
    }
    result = run_batch(batch_of(**names), folder=tmp_path, create_target=True)
    assert (result.status, f":{NAME}-batch:" in result.record.execution) == ("succeeded", True)
    with open_server(stack.info.target) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM parcels ORDER BY id")
        assert list(cursor.fetchall()) == [(1, "a"), (2, "b")]
    pages = boto3.client("stepfunctions").get_paginator("get_execution_history")
    events = [event for page in pages.paginate(executionArn=result.record.execution) for event in page["events"]]
    assert (
        40
        < len(events)
        <= count_events(json.loads(re.sub(r'"MaxAttempts": \d+', '"MaxAttempts": 0', result.definition)))
    )


def test_a_flow_runs_through_its_own_machine_until_it_is_removed(first, stack, folder, tmp_path, monkeypatch):
    path = folder.with_name("flows") / "evening.yml"
    path.parent.mkdir()
    path.write_text('flow: evening\nschedule: {expression: "rate(1 day)"}\nbatches: [parcels]\n')
    done = deployed(path)
    assert (done["batches"], done["flows"]) == (["parcels"], ["evening"])
    actions = {of["resource"]: of["action"] for of in done["changes"]}
    expected = {"EveningFlowMachine": "Add", "EveningFlowSchedule": "Add", "ParcelsSchedule": "Remove"}
    assert expected.items() <= actions.items()
    monkeypatch.setenv("DATAOPS_STATE_MACHINE_ARN", done["outputs"]["StateMachine"])
    monkeypatch.setenv("DATAOPS_CONTROL_TABLE", done["outputs"]["ControlTable"])
    result = run_flow(*read_flow_file(path), folder=tmp_path)
    assert (result.status, f":{NAME}-flow-evening:" in result.record.execution) == ("succeeded", True)
    assert [f":{NAME}-batch:" in of.record.execution for of in result.runs] == [True]
    with pytest.raises(BatchFileError, match="also holds evening, which was not named"):
        deployed(folder / "parcels.yml")
    left = deployed(folder / "parcels.yml", "--remove", "evening")
    assert {of["resource"]: of["action"] for of in left["changes"]}["EveningFlowMachine"] == "Remove"


def test_nothing_is_dropped_by_omission(first, folder):
    with pytest.raises(BatchFileError, match=r"also holds parcels, which was not named.*--remove parcels"):
        deployed(write_batch(folder, "letters"))


def test_a_preview_tells_of_a_batch_that_would_be_dropped(first, folder):
    found = preview_changes(build_release([find_batch(str(write_batch(folder, "letters")))]), NAME)
    assert "--remove parcels" in found.refused
    assert found.changes == ()


def test_old_and_new_are_told_and_what_changes_by_reference_only_is_one_line(first, folder):
    path = write_batch(folder, "parcels", "rate(3 days)", "ALL")
    found = preview_changes(build_release([find_batch(str(path))]), NAME, given="FunctionSeconds=60")
    done = CliRunner().invoke(deploy, [str(path), "--stack", NAME, "--dry-run"], standalone_mode=False)
    lines = done.stdout.splitlines()
    names = ["ParcelsItemsBatchTable", "ParcelsRunMissing", "ParcelsSchedule"]
    assert [line.split()[:2] for line in lines[1:-1]] == [["Modify", name] for name in names]
    assert "GlobalSecondaryIndexes: by-v: (v) KEYS_ONLY -> (v) ALL  " in lines[1]
    assert "ScheduleExpression: rate(1 day) -> rate(3 days)" in lines[3]
    assert re.match(r"\d\d more change by reference only: .*PlanRole", lines[-1])
    assert "warning: ParcelsItemsBatchTable will be refused: DynamoDB changes no index in place (by-v)" in done.stderr
    assert [row[0] for row in found.table().rows] == [*["modified"] * 3, "modified by reference only"]
    assert "! will be refused" in [row[4].partition(":")[0] for row in found.table().rows]


def test_a_second_batch_and_a_changed_schedule_are_an_update_and_a_deletion_keeps_the_tables(first, folder):
    paths = [write_batch(folder, "parcels", "rate(2 days)"), write_batch(folder, "letters")]
    dry = deployed(*paths, "--dry-run")
    changes = {of["resource"]: of["action"] for of in dry["changes"]}
    assert {"ParcelsSchedule": "Modify", "LettersItemsBatchTable": "Add"}.items() <= changes.items()
    assert dry["events"] == []
    done = deployed(*paths)
    assert (done["status"], done["changes"]) == ("UPDATE_COMPLETE", dry["changes"])
    rule = boto3.client("events").describe_rule(Name=f"{NAME}-parcels")
    assert rule["ScheduleExpression"] == "rate(2 days)"
    assert deployed(*paths)["changes"] == []
    removed = deployed(paths[1], "--remove", "parcels")
    assert ("ParcelsItemsBatchTable", "is left behind") in [
        (of["resource"], of["replacement"]) for of in removed["changes"]
    ]
    kept = deployed("--delete", "--yes")["kept"]
    assert kept == [f"{NAME}-control", "letters-items"]
    assert find_stack(boto3.client("cloudformation"), NAME) is None
    pages = boto3.client("dynamodb").get_paginator("list_tables").paginate()
    tables = [name for page in pages for name in page["TableNames"]]
    assert {*kept, "parcels-items"} <= set(tables)


def test_a_failed_deployment_ends_with_the_first_failures_reason(stack):
    properties = {"DefinitionS3Location": {"Bucket": EMBEDDED_BUCKET, "Key": "nosuch.json"}}
    body = {"Resources": {"Lost": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}}
    s3, client = boto3.client("s3"), boto3.client("cloudformation")
    s3.put_object(Bucket=EMBEDDED_BUCKET, Key="broken.json", Body=json.dumps(body))
    url = f"{s3.meta.endpoint_url}/{EMBEDDED_BUCKET}/broken.json"
    change_set = make_change_set(client, "broken", url, {}, None, frozenset())
    with pytest.raises(
        Permanent,
        match=r"stack broken: Lost \(AWS::StepFunctions::StateMachine\): .*nosuch.json.*; the stack is ROLLBACK_COMPLETE",
    ):
        list(execute(client, change_set, poll=0.05))
    client.delete_stack(StackName="broken")


def test_a_key_type_that_neither_batch_nor_source_tells_is_asked_for(stack, tmp_path):
    path = write_batch(tmp_path, "parcels")
    path.write_text(
        path.read_text().replace("key_types: {id: N, v: S}", "").replace("dataops/source", "dataops/nosuch")
    )
    message = r"batch parcels: dynamodb.key_types: declare \{id: S, N or B, v: S, N or B\}, or let the source be read from here \(secret"
    with pytest.raises(BatchFileError, match=message):
        deployed(path, "--dry-run")


def test_a_zip_that_is_not_the_checkouts_is_refused(stack, folder):
    path, batch = folder / "other.zip", write_batch(folder, "parcels")
    path.write_bytes(build_zip(()) + b"x")
    with pytest.raises(Permanent, match=r"other.zip: its order or times are not as in this checkout"):
        deployed(batch, "--zip", path, "--dry-run")
    path.write_bytes(build_zip([batch_of(transform={"function": "dataops.transforms.customers:enrich"})]))
    with pytest.raises(Permanent, match=r"other.zip: 2 files are, such as dataops/transforms/__init__.py, not as in"):
        deployed(batch, "--zip", path, "--dry-run")
