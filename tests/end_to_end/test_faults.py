"""Bad input and interruptions: one clear line, the old target untouched, nothing left that a rerun cannot clean."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import boto3
import pytest
import yaml

from dataops.core.control import Control
from dataops.workbook.run import run_batch
from tests.samples import declared

UNCHANGED = [(1, "one"), (2, None), (3, None)]


@pytest.fixture
def published(numbers):
    """A case that has been published once; what happens next must leave its target alone."""
    assert numbers.run().status == "succeeded"
    numbers.source("UPDATE {t} SET v = 'changed'")
    return numbers


def assert_refused(case, batch, message, **options):
    result = case.run(batch, **options)
    assert (result.status, result.exit_status) == ("failed", 1)
    assert message in result.record.cause
    assert "\n" not in result.record.cause
    assert list(case.target("SELECT id, v FROM {t} ORDER BY id")) == UNCHANGED
    assert case.leftovers() == []
    assert case.run().status == "succeeded"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source__secret": "dataops/sorce"}, "plan: secret dataops/sorce: is not in Secrets Manager here"),
        ({"target__secret": "dataops/tarot"}, "plan: secret dataops/tarot: is not in Secrets Manager here"),
        ({"source__table": "nosuch"}, "plan: source.table: table 'nosuch' is not in database source"),
        ({"source__columns": ["id", "kindd"]}, "plan: source.columns: column 'kindd' is not in source table"),
        ({"dynamodb__partition_key": "idd"}, "plan: dynamodb.partition_key: column 'idd' is not in source table"),
        ({"dynamodb__partition_key": "v"}, "plan: dynamodb.partition_key: column 'v' can be NULL"),
        ({"normalize": {"columns": {"w": {"as": "S"}}}}, "plan: normalize.columns: column 'w' is not in source table"),
        (
            {"normalize": {"columns": {"v": {"as": "bool"}}}},
            "plan: normalize.columns.v.as: varchar(20) cannot be stored as bool",
        ),
        ({"source__where": "nosuch = 1"}, "MySQL error 1054 (BAD_FIELD_ERROR): Unknown column 'nosuch'"),
        ({"dynamodb__table": "case_nosuch", "dynamodb__partition_key": "kind"}, "kind) are shared by several rows"),
        ({"dynamodb__sort_key": "kind"}, "plan: dynamodb: expected the keys id (N), kind (S), the table has id (N)"),
        ({"transform": "dataops.errors:nosuch"}, "plan: transform: dataops.errors:nosuch cannot be imported"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused_in_plan(published, changes, message):
    assert_refused(published, published.batch(**changes), message)


@pytest.mark.parametrize(
    ("password", "port", "message"),
    [
        ("wrong", None, "MySQL error 1045 (ACCESS_DENIED_ERROR)"),
        (None, 1, "no MySQL server answered"),
    ],
)
def test_a_server_that_refuses_or_is_away_is_named_without_its_password(published, password, port, message):
    server = published.stack.info.source
    fields = {
        "host": server.host, "port": port or server.port, "username": server.user,
        "password": password or server.password, "dbname": server.database, "tls": "off",
    }  # fmt: skip
    name = f"{published.name}/source"
    boto3.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(fields))
    assert_refused(published, published.batch(source__secret=name), message)


def test_a_target_that_lacks_a_column_is_refused(published):
    published.source("ALTER TABLE {t} ADD COLUMN extra INT")
    result = published.run()
    assert "plan: target.table: column 'extra' is not in target table" in result.record.cause
    assert list(published.target("SELECT id, v FROM {t} ORDER BY id")) == UNCHANGED
    assert published.leftovers() == []


def test_a_target_with_a_foreign_key_or_a_trigger_is_not_swapped(published):
    published.target("CREATE TABLE {t}_child (parent INT, CONSTRAINT {t}_fk FOREIGN KEY (parent) REFERENCES {t} (id))")
    cause = published.run().record.cause
    assert f"target.mode: swap would lose foreign key {published.name}_fk" in cause
    published.target("DROP TABLE {t}_child")
    published.target("CREATE TRIGGER {t}_trigger BEFORE INSERT ON {t} FOR EACH ROW SET NEW.v = 'x'")
    for mode, what in (("swap", "swap would lose trigger"), ("upsert", "would set off trigger")):
        assert what in published.run(published.batch(target__mode=mode)).record.cause
    assert list(published.target("SELECT id, v FROM {t} ORDER BY id")) == UNCHANGED


def test_a_missing_target_is_refused_without_create_target(numbers):
    result = numbers.run(create_target=False)
    assert "plan: target.table: table" in result.record.cause
    assert "--create-target" in result.record.cause
    assert numbers.target("SHOW TABLES LIKE '{t}'") == []


def test_a_failed_run_takes_its_own_empty_target_with_it(numbers):
    bad = numbers.batch(normalize={"columns": {"v": {"as": "document"}}})
    assert numbers.run(bad).status == "failed"
    assert numbers.target("SHOW TABLES LIKE '{t}'") == []


def test_two_rows_that_a_target_key_takes_for_one_are_not_lost_silently(case):
    case.source("CREATE TABLE {t} (id VARCHAR(9) COLLATE utf8mb4_bin PRIMARY KEY, v INT)")
    case.source("INSERT INTO {t} VALUES ('a', 1), ('A', 2)")
    case.target("CREATE TABLE {t} (id VARCHAR(9) PRIMARY KEY, v INT)")
    result = case.run()
    assert result.status == "failed"
    assert "rows as in DynamoDB, found 1" in result.record.cause
    assert list(case.target("SELECT * FROM {t}")) == []


def slow(case):
    """Enough rows that a run can be interrupted."""
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, v VARCHAR(50))")
    case.source("INSERT INTO {t} VALUES (%s, %s)", *((number, f"row {number}") for number in range(1, 6001)))


@pytest.mark.one_server
def test_a_second_run_of_a_running_batch_is_refused_and_the_first_goes_on(case):
    slow(case)
    first = []
    reached = threading.Event()

    def run_first():
        first.append(
            run_batch(
                case.batch(), create_target=True, folder=case.folder, progress=lambda now: now.chunks and reached.set()
            )
        )

    thread = threading.Thread(target=run_first)
    thread.start()
    assert reached.wait(60)
    second = case.run()
    thread.join()
    assert f"batch {case.name}: run {first[0].record.run} is running" in second.record.cause
    assert first[0].status == "succeeded"
    assert case.checksums()[0] == case.checksums()[1]
    assert case.leftovers() == []


@pytest.mark.one_server
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_stop_the_execution_and_roll_back(case, elsewhere, number):
    slow(case)
    case.target("CREATE TABLE {t} (id INT PRIMARY KEY, v VARCHAR(50))")
    case.target("INSERT INTO {t} VALUES (1, 'old')")
    names = {"batch": case.name, "source__table": case.name, "target__table": case.name, "dynamodb__table": case.name}
    (elsewhere / "slow.yml").write_text(yaml.safe_dump(declared(**names)))
    command = [sys.executable, "-m", "dataops.cli", "run", "slow.yml"]
    process = subprocess.Popen(
        command,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    for line in process.stderr:
        if "chunks" in line:
            break
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "was asked to stop" in errors.splitlines()[-1]
    assert list(case.target("SELECT * FROM {t}")) == [(1, "old")]
    assert case.leftovers() == []
    assert case.run().record.target_rows == 6000


@pytest.mark.one_server
def test_a_run_that_was_cut_off_blocks_until_its_functions_must_have_ended(case):
    slow(case)
    sfn = boto3.client("stepfunctions")
    cut = []

    def cut_off(now):
        if now.chunks and not cut:
            (running,) = sfn.list_executions(
                stateMachineArn=os.environ["DATAOPS_STATE_MACHINE_ARN"], statusFilter="RUNNING"
            )["executions"]
            sfn.stop_execution(executionArn=running["executionArn"])
            cut.append(running["name"])

    result = case.run(progress=cut_off)
    assert (result.status, cut[0]) == ("failed", result.record.run)
    cause = case.run().record.cause
    assert f"run {cut[0]} was cut off, and its last function may still write for" in cause
    Control("").release_lease(case.name, result.record.execution)
    assert case.run().status == "succeeded"
    assert case.leftovers() == []


@pytest.mark.one_server
def test_a_schedule_that_fires_twice_runs_once(numbers):
    import msgspec

    numbers.run()
    sfn = boto3.client("stepfunctions")
    order = {"batch": msgspec.to_builtins(numbers.batch()), "scheduled": "2026-11-23T03:00:00Z"}
    arns = [
        sfn.start_execution(
            stateMachineArn=os.environ["DATAOPS_STATE_MACHINE_ARN"], name=f"{numbers.name}-{n}", input=json.dumps(order)
        )["executionArn"]
        for n in range(2)
    ]
    deadline = time.monotonic() + 60
    while any(sfn.describe_execution(executionArn=arn)["status"] == "RUNNING" for arn in arns):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [sfn.describe_execution(executionArn=arn)["status"] for arn in arns] == ["SUCCEEDED"] * 2
    assert sorted(Control(f"{numbers.name}-{n}").record().status for n in range(2)) == ["skipped", "succeeded"]
