"""Notebook 06's change set, made by the embedded CloudFormation, which is as empty afterwards as before."""

from __future__ import annotations

import json
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import boto3
import pytest

from dataops.deploy.cloudformation import Change, drop_change_set, make_change_set
from dataops.deploy.release import build_release
from dataops.errors import BatchFileError, Permanent
from dataops.workbook.changes import Changes, preview_changes, require_changes
from dataops.workbook.run import find_batch
from dataops.workbook.stack import EMBEDDED_BUCKET

NAME = "previewed"
DENIED = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not\nfor you</Message></Error></ErrorResponse>"


@pytest.fixture(scope="module")
def release(stack):
    return build_release([find_batch("orders")])


def stacks():
    found = boto3.client("cloudformation").describe_stacks()["Stacks"]
    return [of["StackName"] for of in found if of["StackName"] == NAME]


def propose(resources):
    """The change set of a template with these resources, by somebody else."""
    s3, client = boto3.client("s3"), boto3.client("cloudformation")
    s3.put_object(Bucket=EMBEDDED_BUCKET, Key="other.json", Body=json.dumps({"Resources": resources}))
    return make_change_set(client, NAME, f"{s3.meta.endpoint_url}/{EMBEDDED_BUCKET}/other.json", {}, None, frozenset())


def test_all_that_is_new_is_told_and_nothing_is_left_behind(release):
    found = preview_changes(release, NAME)
    assert {of.resource for of in found.changes} == set(release.template["Resources"])
    assert repr(found).startswith(f"stack {NAME}: {len(found.changes)} new in the stack\n")
    assert len(found.table().rows) == len(release.counts)
    assert require_changes(found) == "the change set replaces and removes nothing"
    assert stacks() == []


@pytest.fixture
def orders_table(stack):
    """The batch's table, perhaps left by another test, among more tables than a page of a list has."""
    client = boto3.client("dynamodb")
    attribute = {"AttributeName": "customer_id", "AttributeType": "N"}
    key = {"AttributeName": "customer_id", "KeyType": "HASH"}
    with suppress(client.exceptions.ResourceInUseException):
        client.create_table(
            TableName="orders", AttributeDefinitions=[attribute], KeySchema=[key], BillingMode="PAY_PER_REQUEST"
        )
    yield
    client.delete_table(TableName="orders")


def test_a_table_that_is_there_is_taken_over(release, orders_table):
    found = preview_changes(release, NAME)
    assert found.taken_over().rows == [("DynamoDB::Table", "OrdersBatchTable")]
    assert {row[0] for row in found.table().rows} == {"new in the stack"}


def test_somebody_elses_change_set_stays(release):
    theirs = propose({"Topic": {"Type": "AWS::SNS::Topic"}})
    assert len(preview_changes(release, NAME).changes) > 1
    client = boto3.client("cloudformation")
    assert [of["ChangeSetId"] for of in client.list_change_sets(StackName=NAME)["Summaries"]] == [theirs.arn]
    drop_change_set(client, theirs)
    assert stacks() == []


def test_a_change_set_that_fails_leaves_nothing_behind(stack):
    table = {"TableName": "dataops-control", "BillingMode": "PAY_PER_REQUEST"}
    with pytest.raises(Permanent, match=r"CloudFormation refuses the change set: .*DeletionPolicy"):
        propose({"Taken": {"Type": "AWS::DynamoDB::Table", "Properties": table}})
    assert stacks() == []


def test_without_a_bucket_one_line_says_so(release, monkeypatch):
    assert "nosuch-bucket" in preview_changes(release, NAME, "nosuch-bucket").untried
    monkeypatch.delenv("DATAOPS_STACK")
    found = preview_changes(release, NAME)
    assert repr(found) == "no change set was made: name a bucket in this region (bucket, or DATAOPS_BUCKET)"
    assert require_changes(found) == repr(found)
    assert "no stack was named" in repr(preview_changes(release, ""))


class Refusing(BaseHTTPRequestHandler):
    """AWS, for somebody without a permission."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(403)
        self.send_header("Content-Length", str(len(DENIED)))
        self.end_headers()
        self.wfile.write(DENIED)

    def log_message(self, *_):
        pass


def test_without_a_permission_one_line_says_so(release, monkeypatch):
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", f"http://127.0.0.1:{server.server_port}")
    found = preview_changes(release, NAME)
    server.shutdown()
    server.server_close()
    assert repr(found).startswith("no change set was made: An error occurred (AccessDenied)")
    assert repr(found).endswith("not for you")


def test_a_wrong_name_or_parameter_is_told(release):
    with pytest.raises(BatchFileError, match="stack: expected a letter"):
        preview_changes(release, "6")
    with pytest.raises(BatchFileError, match="parameter Subnets: expected NAME=VALUE"):
        preview_changes(release, NAME, given="Subnets=a,b")


def test_what_may_go_comes_first_and_the_verdict_names_it():
    functions = [Change("Modify", name, "AWS::Lambda::Function", "Code", "") for name in ("Plan", "Publish")]
    replaced = Change("Modify", "OrdersBatchTable", "AWS::DynamoDB::Table", "KeySchema", "is replaced")
    found = Changes(NAME, (*functions, Change("Add", "Topic", "AWS::SNS::Topic", "", ""), replaced))
    assert found.table().rows == [
        ("modified", "DynamoDB::Table", "OrdersBatchTable", "KeySchema", "! is replaced"),
        ("modified", "Lambda::Function", "Plan, Publish", "Code", "-"),
        ("new in the stack", "SNS::Topic", "Topic", "-", "-"),
    ]
    assert found.summary() == f"stack {NAME}: 3 modified, 1 new in the stack"
    assert require_changes(found) == "LOOK at what the change set does: OrdersBatchTable is replaced"
    assert repr(Changes(NAME)) == f"stack {NAME}: nothing changes"
