"""Values of rows and secrets are hunted through everything that runs leave behind; where they may be is said here.

Rows may show in the stores, in the control table's keys, cursors and rejections, and in a run's own folder.
"""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import boto3
import msgspec
import pytest
import yaml

from dataops.core.control import Control
from dataops.deploy.package import build_zip

pytestmark = pytest.mark.one_server

TEXT, OTHER, KEY, DATE, BLOB = (
    "canary-kanarienvogel-カナリア'\"%",
    "canary {bad json",
    "7418529630147",
    "2031-07-13",
    b"canary\x00blob",
)
PASSWORD, LOGIN, UNKNOWN = "canary-p@ss'word", "canary-lo'gin", "canary-unknown-field"
MEANT_FOR_ROWS = ("rejection#", "offender#", "stuck#", "chunk#", "segment#", "sweep", "verify")
"""Records of the control table that hold keys and cursors."""
REFUSED = b"Access denied for user"
"""How a server's own log, which outlives a test, begins to say whom it has refused."""


def forms(canary):
    """How a value may look in another's text."""
    raw = canary if isinstance(canary, bytes) else canary.encode()
    text = raw.decode()
    return {
        raw, raw.hex().encode(), raw.hex().upper().encode(), b64encode(raw).rstrip(b"="), quote(text).encode(),
        json.dumps(text)[1:-1].encode(), repr(text)[1:-1].encode(), text.encode("utf-16-le"),
    }  # fmt: skip


ALL = {form for canary in (TEXT, OTHER, KEY, DATE, BLOB, PASSWORD, LOGIN, UNKNOWN) for form in forms(canary)}


def hunted(places):
    """The places (name -> bytes) that hold a canary in any form."""
    return sorted(name for name, content in places.items() if any(form in content for form in ALL))


@pytest.mark.parametrize("form", sorted(ALL), ids=lambda form: form.hex()[:12])
def test_the_hunt_finds_each_form_of_each_canary(form):
    assert hunted({"here": b"before " + form + b" after", "there": b"nothing"}) == ["here"]


@pytest.fixture
def birds(case):
    """A table whose every column holds a canary, and secrets whose fields do."""
    case.source("CREATE TABLE {t} (id BIGINT PRIMARY KEY, v VARCHAR(60), born DATE NOT NULL, raw VARBINARY(20))")
    case.source("INSERT INTO {t} VALUES (%s, %s, %s, %s)", (int(KEY), TEXT, DATE, BLOB), (1, OTHER, DATE, BLOB))
    return case


@pytest.fixture
def inbox(case):
    """The messages of the failures' topic, as bytes."""
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    queue = sqs.create_queue(QueueName=f"{case.name}-canaries")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = case.stack.info.variables["DATAOPS_TOPIC_ARN"]
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    yield lambda: json.dumps(sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5, MaxNumberOfMessages=10)).encode()
    sns.unsubscribe(SubscriptionArn=subscription)


def secret(case, **changes):
    """A secret of the source server with a field that nobody knows."""
    server, name = case.stack.info.source, f"{case.name}/canary"
    fields = {"host": server.host, "port": server.port, "username": server.user, "password": server.password,
              "dbname": server.database, "tls": "off", "note": UNKNOWN}  # fmt: skip
    boto3.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps({**fields, **changes}))
    return name


def left_by(case, result, batch):
    """What a run has left where no row may be, by name."""
    sfn, record = boto3.client("stepfunctions"), result.record
    pages = sfn.get_paginator("get_execution_history").paginate(executionArn=record.execution)
    places = {
        "execution": json.dumps(sfn.describe_execution(executionArn=record.execution), default=str).encode(),
        "history": json.dumps([page["events"] for page in pages], default=str).encode(),
        "cause": record.cause.encode(),
        "record": msgspec.json.encode(record),
        "functions": json.dumps(boto3.client("lambda").list_functions(), default=str).encode(),
        "zip": build_zip([batch]),
    }
    folder = Path(case.stack.info.folder)
    places |= {file.name: file.read_bytes() for file in [*folder.glob("*.log"), *folder.glob("lambda/*.log")]}
    places |= {file.name: file.read_bytes() for file in folder.glob("calls-*.jsonl")}
    places["source.log"] = b"\n".join(line for line in places["source.log"].splitlines() if REFUSED not in line)
    return {**places, **control_records(record.run)}


def control_records(run):
    table, key = Control(run).table, {":pk": {"S": f"run#{run}"}}
    items = boto3.client("dynamodb").query(
        TableName=table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues=key
    )
    return {
        f"control {item['sk']['S']}": json.dumps(item).encode()
        for item in items["Items"]
        if not item["sk"]["S"].startswith(MEANT_FOR_ROWS)
    }


def leaky_transform(folder, monkeypatch):
    """A transform whose error carries the row."""
    (folder / "leaky_canary.py").write_text("def leak(row):\n    raise ValueError(f'cannot take {row}')\n")
    monkeypatch.syspath_prepend(folder)
    return "leaky_canary:leak"


FAULTS = {
    "succeeded": ({}, ""),
    "rejected": ({"normalize__columns": {"v": {"as": "document"}}}, "rejected, most often because v"),
    "shared keys": ({"dynamodb__partition_key": "born"}, "shared by several rows"),
    "transform": ({"transform": "leaky"}, "the transform raised ValueError"),
    "constraint": ({}, "MySQL error"),
    "password": ({}, "MySQL error 1045"),
    "login": ({}, "MySQL error 1045"),
}
LOGINS = {"password": {"password": PASSWORD}, "login": {"username": LOGIN}}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_value_of_a_row_or_a_secret_is_left_where_it_may_not_be(birds, inbox, tmp_path, monkeypatch, fault):
    changes, told = FAULTS[fault]
    changes = {**changes, "source__secret": secret(birds, **LOGINS.get(fault, {}))}
    if fault == "transform":
        changes["transform"] = leaky_transform(tmp_path, monkeypatch)
    if fault == "constraint":  # MySQL's own text of this error holds the value
        birds.target(
            "CREATE TABLE {t} (id BIGINT PRIMARY KEY, v VARCHAR(60), born DATE, raw VARBINARY(20), CHECK (v <> 'x' AND id < 9))"
        )
    batch = birds.batch(**changes)
    result = birds.run(batch)
    assert (result.status == "succeeded") == (not told), result.record.cause
    assert told in result.record.cause
    places = left_by(birds, result, batch)
    if told:
        places["message"] = inbox()
        assert b"failed" in places["message"]
    assert {"history", "zip", "control record", "dataops-plan.log", "calls-aws.jsonl", "host.log"} <= places.keys()
    assert hunted(places) == []
    if fault in ("rejected", "shared keys"):
        assert hunted({"rejections": (result.folder / "rejections.jsonl").read_bytes()}) == ["rejections"]


def dataops(*arguments, folder):
    """What the command says on both streams."""
    done = subprocess.run(
        [sys.executable, "-m", "dataops.cli", *arguments], cwd=folder, capture_output=True, check=False
    )
    return done.stdout, done.stderr


def test_commands_tell_no_value_unasked(birds, tmp_path):
    batch = birds.batch(source__secret=secret(birds), normalize__columns={"v": {"as": "document"}})
    (tmp_path / "birds.yml").write_text(yaml.safe_dump(msgspec.to_builtins(batch)))
    commands = {
        "run": ["run", "birds.yml", "--create-target"], "runs": ["runs"], "runs --json": ["runs", "--json"],
        "check": ["check", "birds.yml"], "debug": ["--debug", "run", "birds.yml"],
        "infer": ["infer", birds.name, "--source", batch.source.secret],
        "notebook": ["notebook", "run-batch", "-p", "batch", "birds.yml"],
    }  # fmt: skip
    places = {}
    for name, arguments in commands.items():
        out, places[f"{name}: errors"] = dataops(*arguments, folder=tmp_path)
        if "run" not in arguments[:2]:  # which lists the rejected rows, as asked
            places[f"{name}: output"] = out
    assert b"rejected, most often because v" in places["run: errors"]
    assert hunted(places) == []
