"""Batches on their own schedules: one record a firing, late ones by the policy, a restart forgets nothing."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from dataops.deploy.schedule import parse_schedule
from dataops.errors import BatchFileError, Permanent
from dataops.workbook.demo import open_server
from dataops.workbook.scheduler import (
    Firing,
    Scheduled,
    Scheduler,
    find_scheduled,
    list_recorded,
    spawn,
    start_notebook,
)
from tests.samples import declared

BEGIN = datetime(2026, 11, 24, 0, 0, 30, tzinfo=UTC)
EVERY = Scheduled("a", "a", parse_schedule("cron(* * * * ? *)"), "")


class Clock:
    """A scheduler of one batch that fires each minute, whose runs last until they are told how to end."""

    def __init__(self, folder: Path, late: str, notify: str = "") -> None:
        self.folder, self.late, self.notify = folder, late, notify
        self.now, self.started = BEGIN, []
        self.restart()

    def restart(self) -> None:
        self.scheduler = Scheduler([EVERY], self.folder, self._start, late=self.late, notify=self.notify)
        self.scheduler.step(self.now)

    def pass_time(self, **time: float) -> None:
        self.now += timedelta(**time)
        self.scheduler.step(self.now)

    def end(self, status: int) -> None:
        process = self.started[-1]
        process.communicate(f"raise SystemExit({status})".encode())
        self.scheduler.step(self.now)

    def seen(self) -> list[tuple[str, str]]:
        return [(firing.instant[11:16], firing.status) for firing in reversed(list_recorded(self.folder))]

    def _start(self, batch: Scheduled, firing: Firing, log: Path) -> subprocess.Popen[bytes]:
        process = spawn([sys.executable, "-"], log, os.environ, stdin=subprocess.PIPE)
        self.started.append(process)
        return process


@pytest.fixture
def clock(tmp_path):
    made = []

    def make(late: str = "once", notify: str = "") -> Clock:
        made.append(Clock(tmp_path / "schedule", late, notify))
        return made[-1]

    yield make
    for process in (process for clock in made for process in clock.started):
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("status", "told"), [(0, "succeeded"), (1, "failed"), (2, "failed"), (3, "succeeded with rejections")]
)
def test_a_firing_is_recorded_as_its_process_ended(clock, status, told):
    one = clock()
    assert one.seen() == []
    one.pass_time(seconds=31)
    assert one.seen() == [("00:01", "running")]
    one.end(status)
    assert one.seen() == [("00:01", told)]


def test_a_killed_process_is_a_failure(clock):
    one = clock()
    one.pass_time(seconds=31)
    one.started[0].kill()
    one.started[0].wait()
    one.pass_time(seconds=1)
    assert one.seen() == [("00:01", "failed")]
    assert list_recorded(one.folder)[0].cause == "was killed by signal 9"


@pytest.mark.parametrize(
    ("late", "while_running", "afterwards"),
    [
        ("skip", [("00:02", "skipped"), ("00:03", "skipped")], []),
        ("once", [("00:02", "skipped")], [("00:03", "running")]),
        ("queue", [], [("00:02", "running")]),
    ],
)
def test_firings_while_the_batch_runs_follow_the_policy(clock, late, while_running, afterwards):
    one = clock(late)
    one.pass_time(seconds=31)
    one.pass_time(minutes=2)
    assert one.seen() == [("00:01", "running"), *while_running]
    assert len(one.started) == 1
    one.end(0)
    assert one.seen() == [("00:01", "succeeded"), *while_running, *afterwards]


@pytest.mark.parametrize(
    ("late", "seen"),
    [
        ("skip", [("00:01", "skipped"), ("00:02", "skipped"), ("00:03", "running")]),
        ("once", [("00:01", "skipped"), ("00:02", "skipped"), ("00:03", "running")]),
        ("queue", [("00:01", "running")]),
    ],
)
def test_firings_missed_while_nobody_served_follow_the_policy(clock, late, seen):
    one = clock(late)
    one.now += timedelta(minutes=3)
    one.restart()
    assert one.seen() == seen


@pytest.mark.parametrize(("minutes", "newest"), [(1001, "2026-11-24T16:41:00Z"), (1500, "2026-11-25T01:00:00Z")])
def test_of_very_many_missed_firings_the_newest_runs_alone(clock, minutes, newest):
    one = clock("once")
    one.now += timedelta(minutes=minutes)
    one.restart()
    one.pass_time(seconds=1)
    ran = [firing.instant for firing in list_recorded(one.folder) if firing.status == "running"]
    assert (ran, len(one.started)) == ([newest], 1)
    assert len(one.seen()) == minutes


def test_a_queue_runs_all_in_order(clock):
    one = clock("queue")
    one.pass_time(minutes=3)
    for _ in range(3):
        one.end(0)
    assert one.seen() == [("00:01", "succeeded"), ("00:02", "succeeded"), ("00:03", "succeeded")]


def test_the_same_instant_never_fires_twice(clock):
    one = clock("queue")
    one.pass_time(seconds=31)
    one.end(0)
    for _ in range(3):
        one.restart()
        one.pass_time(seconds=1)
    assert one.seen() == [("00:01", "succeeded")]


def test_a_process_that_cannot_be_started_is_a_failure(tmp_path):
    def start(*_):
        raise FileNotFoundError

    scheduler = Scheduler([EVERY], tmp_path, start)
    scheduler.step(BEGIN)
    scheduler.step(BEGIN + timedelta(minutes=1))
    (firing,) = list_recorded(tmp_path)
    assert (firing.status, firing.cause) == ("failed", "could not be started (FileNotFoundError)")


def test_the_hook_is_told_of_what_did_not_succeed(clock, tmp_path):
    hook = tmp_path / "hook.sh"
    hook.write_text(f'#!/bin/sh\necho "$DATAOPS_BATCH $DATAOPS_INSTANT $DATAOPS_STATUS" > {tmp_path}/told.new\n'
                    f"mv {tmp_path}/told.new {tmp_path}/told\n")  # fmt: skip
    hook.chmod(0o700)
    one = clock(notify=str(hook))
    one.pass_time(seconds=31)
    one.end(0)
    one.pass_time(minutes=1)
    one.end(1)
    await_file(tmp_path / "told")
    assert (tmp_path / "told").read_text() == "a 2026-11-24T00:02:00Z failed\n"


def test_a_topic_is_told_of_what_did_not_succeed(stack, tmp_path, capsys):
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    queue = sqs.create_queue(QueueName="firings")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="firings")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def start(*_):
        raise FileNotFoundError

    for name in (topic, f"{topic}-gone"):
        scheduler = Scheduler([EVERY], tmp_path / name[-4:], start, notify=name)
        scheduler.step(BEGIN)
        scheduler.step(BEGIN + timedelta(minutes=1))
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10, MaxNumberOfMessages=10)["Messages"]
    told = json.loads(message["Body"])
    assert told["Subject"] == "dataops: a failed"
    assert told["Message"] == "2026-11-24T00:01:00Z: could not be started (FileNotFoundError)"
    assert capsys.readouterr().err.startswith("schedule: a: the notification was not sent (")


def await_file(path: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_only_one_scheduler_works_in_a_folder(tmp_path):
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Permanent, match="another scheduler"):
            Scheduler([], tmp_path, None).serve(_set())
    Scheduler([], tmp_path, None).serve(_set())


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def test_what_a_killed_scheduler_left_running_is_cut_off_and_never_completed(clock):
    one = clock()
    one.pass_time(seconds=31)
    kill(one.started[0])
    one.scheduler = Scheduler([EVERY], one.folder, one._start)
    one.scheduler.serve(_set())
    assert one.seen() == [("00:01", "cut off")]


def test_what_still_runs_when_its_scheduler_was_killed_keeps_its_batch_busy(clock):
    one = clock("queue")
    one.pass_time(seconds=31)
    one.scheduler = Scheduler([EVERY], one.folder, one._start, late="queue")
    one.scheduler.serve(_set())
    one.pass_time(minutes=1)
    assert (one.seen(), len(one.started)) == ([("00:01", "running")], 1)
    kill(one.started[0])
    one.pass_time(seconds=1)
    assert one.seen() == [("00:01", "cut off"), ("00:02", "running")]


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def test_batches_without_a_schedule_are_refused_when_none_has_one(tmp_path):
    path = tmp_path / "a.yml"
    path.write_text(json.dumps(declared()))
    with pytest.raises(BatchFileError, match="none of the batches has one"):
        find_scheduled([str(path)])


def test_a_wrong_schedule_is_told_with_its_batch(tmp_path):
    path = tmp_path / "a.yml"
    path.write_text(json.dumps(declared(schedule={"expression": "at(2027-01-01T00:00:00)"})))
    with pytest.raises(BatchFileError, match=r"^batch orders: schedule: at\(\) is Scheduler's; give timezone: UTC$"):
        find_scheduled([str(path)])


def test_a_batch_runs_when_its_schedule_says_and_a_stop_waits_for_it(stack, tmp_path):
    with open_server(stack.info.source) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE scheduled_once (id INT PRIMARY KEY, v VARCHAR(9))")
        cursor.execute("INSERT INTO scheduled_once VALUES (1, 'a'), (2, '')")
        connection.commit()
    at = (datetime.now(UTC) + timedelta(seconds=12)).replace(microsecond=0, tzinfo=None)
    batch = {
        "batch": "scheduled-once",
        "schedule": {"expression": f"at({at.isoformat()})", "timezone": "UTC"},
        "source": {"secret": "dataops/source", "table": "scheduled_once"},
        "dynamodb": {"table": "scheduled_once", "partition_key": "id"},
        "target": {"secret": "dataops/target", "table": "scheduled_once"},
    }
    (tmp_path / "once.yml").write_text(json.dumps(batch))
    command = [sys.executable, "-m", "dataops.cli", "schedule", "serve", "once.yml"]
    process = subprocess.Popen(command, cwd=tmp_path, env=os.environ, start_new_session=True)
    folder = tmp_path / "runs/schedule"
    try:
        await_file(folder / f"scheduled-once/{at.isoformat().replace(':', '')}Z.json")
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 0
    finally:
        process.kill()
        process.wait()
    (firing,) = list_recorded(folder)
    assert (firing.status, firing.instant) == ("succeeded", f"{at.isoformat()}Z")
    with open_server(stack.info.target) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, v FROM scheduled_once ORDER BY id")
        assert cursor.fetchall() == ((1, "a"), (2, None))


def test_batches_of_a_scheduled_flow_are_started_by_it_alone():
    found = find_scheduled(["customers", "orders", "nightly"])
    assert [(of.name, of.is_flow, of.timezone) for of in found] == [("nightly", True, "Asia/Tokyo")]
    assert [of.name for of in find_scheduled(["orders"])] == ["orders"]


def test_a_firing_of_a_flow_runs_it_for_that_instant(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: started.append(command[2:]))
    (flow,) = find_scheduled(["nightly"])
    start_notebook("04-run-batch")(flow, Firing("nightly", "2026-11-24T16:00:00Z", "running"), tmp_path / "log")
    assert started == [["dataops.cli", "run", "nightly", "--scheduled", "2026-11-24T16:00:00Z"]]
