"""A stack is there when it says so, beside others, and nothing of it stays when it ends, however it ends."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pymysql
import pytest

from dataops.errors import StackError
from dataops.local import emulators
from dataops.local.emulators import check_versions
from dataops.local.stack import Stack, find, remove_orphans, start
from tests.local.functions import wait_for

HOLD = """
import signal, sys, time
from dataops.local.stack import start
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is born deaf to it
stack = start(sys.argv[1], detach=sys.argv[2] == "detached")
print(stack.info.pid, flush=True)
if sys.argv[2] != "detached":
    time.sleep(600)
"""


@pytest.fixture
def name() -> Iterator[str]:
    """A stack name that no other test has; what is still up under it at the end is stopped."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    if left := find(name):
        left.stop()


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it has started."""
    head = psutil.Process(pid)
    return [head, *head.children(recursive=True)]


def all_gone(processes: list[psutil.Process]) -> bool:
    """Whether none of them runs."""
    return not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes)


def hold(name: str, how: str) -> tuple[subprocess.Popen[str], int]:
    """A process that starts a stack and waits; gives it and the pid of the stack's host."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, name, how], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    return holder, int(holder.stdout.readline())


def log_in(info: Any) -> Any:
    """The database that these credentials lead to."""
    with pymysql.connect(
        host=info.host, port=info.port, user=info.user, password=info.password, database=info.database
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        cursor.execute("SELECT database()")
        return cursor.fetchone()


def test_stack_has_two_servers_with_their_secrets(stack: Stack) -> None:
    client = boto3.client("secretsmanager")
    for server in (stack.info.source, stack.info.target):
        secret = json.loads(client.get_secret_value(SecretId=f"dataops/{server.database}")["SecretString"])
        assert (secret["host"], secret["port"], secret["password"]) == (server.host, server.port, server.password)
        assert log_in(server) == (secret["dbname"],) == (server.database,)


def test_stack_has_control_table_topic_and_bucket(stack: Stack) -> None:
    table = boto3.client("dynamodb").describe_table(TableName=stack.info.variables["DATAOPS_CONTROL_TABLE"])["Table"]
    assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == [("pk", "HASH"), ("sk", "RANGE")]
    topics = boto3.client("sns").list_topics()["Topics"]
    assert {"TopicArn": stack.info.variables["DATAOPS_TOPIC_ARN"]} in topics
    assert "dataops-artifacts" in [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]]


def test_credentials_are_readable_by_the_user_only(stack: Stack) -> None:
    folder = Path(stack.info.folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "stack.json").stat().st_mode) == 0o600


def test_stack_listens_on_loopback_only(stack: Stack) -> None:
    listening = [
        connection.laddr.ip
        for process in family(stack.info.pid)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 4
    assert set(listening) == {"127.0.0.1"}


def test_stacks_run_side_by_side_and_one_stops_without_the_other(stack: Stack, name: str) -> None:
    other = start(name, detach=False)
    assert find(name) is not None
    processes = family(other.info.pid)
    assert len(processes) >= 4
    other.stop()
    assert all_gone(processes)
    assert not Path(other.info.folder).exists()
    other.stop()  # once more does nothing
    assert find(name) is None
    assert find(stack.info.name) is not None
    assert log_in(stack.info.source) == ("source",)


def test_name_that_is_up_is_refused_in_one_line(stack: Stack) -> None:
    with pytest.raises(StackError, match=f"^stack {stack.info.name}: is already up; .*dataops down") as refused:
        start(stack.info.name, detach=False)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("bad", ["", "../up", "a b", "-x", "x" * 32])
def test_name_that_is_no_folder_name_is_refused(bad: str) -> None:
    with pytest.raises(StackError, match="expected up to 31 letters"):
        start(bad, detach=False)


def test_developers_own_aws_settings_do_not_reach_the_stack(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_PROFILE", "not-there")
    stack = start(name, detach=False)
    assert "127.0.0.1" in stack.info.variables["NO_PROXY"]
    stack.stop()


def test_servers_are_of_the_flavor_that_is_asked_for(name: str) -> None:
    stack = start(name, detach=False, flavor="mysql")
    assert (stack.info.source.flavor, stack.info.target.flavor) == ("mysql", "mysql")
    stack.stop()


def test_start_that_fails_says_why_in_one_line_and_leaves_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAOPS_MYSQLD", "/nowhere/mysqld")
    with pytest.raises(StackError, match=f"^stack {name}: DATAOPS_MYSQLD: expected") as refused:
        start(name, detach=False)
    assert "\n" not in str(refused.value)
    assert list(runtime(name)) == []


def runtime(name: str) -> Iterator[Path]:
    """What is left under a stack's name in the folder of all stacks."""
    from dataops.local.stack import runtime_folder

    return runtime_folder().glob(f"{name}*")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stack_ends_with_its_parent(name: str, number: int) -> None:
    holder, host = hold(name, "attached")
    processes = family(host)
    holder.send_signal(number)
    holder.communicate()
    wait_for(lambda: all_gone(processes) and not list(runtime(name)), "the end of the stack")


def test_interrupted_start_leaves_nothing(name: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, name, "attached"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    pid = wait_for(lambda: [path for path in runtime(name) if (path / "pid").exists()], "the host")[0] / "pid"
    wait_for(lambda: pid.read_text(), "its number")
    processes = family(int(pid.read_text()))
    holder.send_signal(signal.SIGINT)
    holder.communicate()
    wait_for(lambda: all_gone(processes) and not list(runtime(name)), "the end of the stack")


def test_killed_host_leaves_a_folder_only_until_the_next_start(name: str) -> None:
    stack = start(name, detach=False)
    processes = family(stack.info.pid)
    os.kill(stack.info.pid, signal.SIGKILL)
    wait_for(lambda: all_gone(processes), "the end of its processes")
    assert find(name) is None
    remove_orphans()
    assert list(runtime(name)) == []


def test_detached_stack_outlives_the_process_that_started_it(name: str) -> None:
    holder, host = hold(name, "detached")
    holder.communicate()
    stack = find(name)
    assert stack is not None
    assert stack.info.pid == host
    assert log_in(stack.info.target) == ("target",)
    processes = family(host)
    stack.stop()
    assert all_gone(processes)


@pytest.mark.parametrize("package", ["ministack", "moto", "awslambdaric"])
def test_other_version_of_a_part_is_refused(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setattr(emulators, "version", lambda name: "0.1" if name == package else emulators.EXACTLY[name])
    with pytest.raises(StackError, match=rf"^{package}: expected [\d.]+, found 0\.1: install this project again"):
        check_versions()
