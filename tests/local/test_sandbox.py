"""A sandbox behaves as Lambda does: its names for what went wrong, its environment, its reuse, its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dataops.local.sandbox import FunctionSpec, SandboxPool
from dataops.local.spawn import Spawner
from tests.local.functions import make_spec, read_error, wait_for

RETURNS = "def handler(event, context):\n    return "
WAITS = (
    "import os, pathlib, time\ndef handler(event, context):\n    folder = pathlib.Path(event['folder'])\n"
    "    (folder / f\"began-{event['name']}\").touch()\n    while not (folder / 'go').exists(): time.sleep(0.005)\n"
    "    return os.getpid()"
)


def is_alive(pid: int) -> bool:
    """Whether that process runs, a zombie not counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def call(pool: SandboxPool, spec: FunctionSpec, event: Any = None) -> Any:
    """What the handler returned."""
    outcome = pool.invoke(spec, json.dumps(event))
    assert not outcome.failed, outcome.payload
    return json.loads(outcome.payload)


@pytest.fixture
def call_waiting(pool: SandboxPool, tmp_path: Path) -> Callable[..., Future[int]]:
    """Begin a call that ends when the file `go` is there; gives the pid of its sandbox."""
    threads = ThreadPoolExecutor(3)

    def begin(name: str, spec: FunctionSpec) -> Future[int]:
        return threads.submit(call, pool, spec, {"folder": str(tmp_path), "name": name})

    return begin


def test_handler_gets_its_event_and_gives_its_reply(pool: SandboxPool) -> None:
    assert call(pool, make_spec(RETURNS + "{'got': event}"), {"名": [1, None]}) == {"got": {"名": [1, None]}}


def test_context_has_what_lambda_says(pool: SandboxPool) -> None:
    told = "[context.function_name, context.invoked_function_arn, context.memory_limit_in_mb, context.aws_request_id != '']"
    spec = make_spec(RETURNS + told)
    assert call(pool, spec) == ["probe", spec.arn, "128", True]


def test_time_left_is_the_functions_time_out(pool: SandboxPool) -> None:
    left = call(pool, make_spec(RETURNS + "context.get_remaining_time_in_millis()", timeout=30))
    assert 20_000 < left <= 30_000


def test_exception_has_its_class_name(pool: SandboxPool) -> None:
    spec = make_spec("class Retryable(Exception): pass\ndef handler(event, context): raise Retryable('later')")
    outcome = pool.invoke(spec, "{}")
    assert read_error(outcome) == "Retryable"
    assert json.loads(outcome.payload)["errorMessage"] == "later"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import not_in_the_zip", "Runtime.ImportModuleError"),
        ("x = 1", "Runtime.HandlerNotFound"),
        ("def handler(event, context) return", "Runtime.UserCodeSyntaxError"),
        ("import os\ndef handler(event, context): os._exit(3)", "Runtime.ExitError"),
        ("import os, signal\ndef handler(event, context): os.kill(os.getpid(), signal.SIGKILL)", "Runtime.ExitError"),
        (RETURNS + "object()", "Runtime.MarshalError"),
    ],
)
def test_what_went_wrong_is_named_as_lambda_names_it(pool: SandboxPool, source: str, error: str) -> None:
    spec = make_spec(source)
    assert [read_error(pool.invoke(spec, "{}")) for _ in range(2)] == [error, error]


def test_time_out_kills_the_sandbox_and_its_children(pool: SandboxPool, tmp_path: Path) -> None:
    source = (
        "import os, pathlib, subprocess, time\ndef handler(event, context):\n    child = subprocess.Popen(['sleep', '600'])\n"
        "    pathlib.Path(event).write_text(f'{os.getpid()} {child.pid}')\n    time.sleep(600)"
    )
    outcome = pool.invoke(make_spec(source, timeout=1), json.dumps(str(tmp_path / "pids")))
    assert read_error(outcome) == "Sandbox.Timedout"
    assert "timed out after 1.00 seconds" in json.loads(outcome.payload)["errorMessage"]
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    wait_for(lambda: not any(is_alive(pid) for pid in pids), "the end of the sandbox and its child")


def test_import_is_not_part_of_the_time_out(pool: SandboxPool) -> None:
    assert call(pool, make_spec("import time; time.sleep(1.2)\n" + RETURNS + "1", timeout=1)) == 1


def test_environment_is_the_functions_own(pool: SandboxPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_DEVELOPER", "x")
    seen = call(pool, make_spec("import os\n" + RETURNS + "dict(os.environ)", COLOUR="red"))
    assert "SECRET_OF_THE_DEVELOPER" not in seen
    assert (seen["COLOUR"], seen["AWS_REGION"], seen["AWS_LAMBDA_FUNCTION_NAME"]) == ("red", "ap-northeast-1", "probe")
    assert seen["TZ"] == ":UTC"
    assert seen["HOME"] != os.environ["HOME"]


def test_only_the_zip_and_the_runtime_can_be_imported(pool: SandboxPool) -> None:
    source = (
        "import importlib\ndef handler(event, context):\n    found = []\n    for name in event:\n"
        "        try: importlib.import_module(name); found.append(name)\n        except ImportError: pass\n    return found"
    )
    assert call(pool, make_spec(source), ["boto3", "botocore", "dataops", "msgspec", "pandas", "pymysql"]) == [
        "boto3",
        "botocore",
    ]


def test_sandbox_is_reused(pool: SandboxPool) -> None:
    spec = make_spec("calls = []\ndef handler(event, context):\n    calls.append(1)\n    return len(calls)")
    assert [call(pool, spec) for _ in range(3)] == [1, 2, 3]


def test_killed_sandbox_is_replaced(pool: SandboxPool) -> None:
    spec = make_spec("import os\n" + RETURNS + "os.getpid()")
    first = call(pool, spec)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not is_alive(first), "its end")
    assert call(pool, spec) != first


def test_sandbox_that_is_not_wanted_for_a_while_is_ended_and_one_at_work_is_not(tmp_path: Path) -> None:
    pool = SandboxPool(tmp_path / "lambda", {}, Spawner(), idle=0.2)
    with closing(pool):
        first = call(pool, make_spec("import os\n" + RETURNS + "os.getpid()"))
        wait_for(lambda: not is_alive(first), "its end")
        at_work = make_spec("import time\ndef handler(event, context):\n    time.sleep(1)\n    return 'done'")
        assert call(pool, at_work) == "done"


def test_no_more_sandboxes_than_the_concurrency(call_waiting: Callable[..., Future[int]], tmp_path: Path) -> None:
    spec = make_spec(WAITS)
    begun = [call_waiting(name, spec) for name in "abc"]
    wait_for(lambda: len(list(tmp_path.glob("began-*"))) == 2, "two of them")
    (tmp_path / "go").touch()
    assert len({each.result() for each in begun}) == 2


def test_updated_code_is_what_runs_next_while_the_old_call_ends(
    pool: SandboxPool, call_waiting: Callable[..., Future[int]], tmp_path: Path
) -> None:
    old = call_waiting("old", make_spec(WAITS))
    wait_for((tmp_path / "began-old").exists, "the old code")
    assert call(pool, make_spec(RETURNS + "'new'")) == "new"
    (tmp_path / "go").touch()
    pid = old.result()
    assert call(pool, make_spec(RETURNS + "'new'")) == "new"
    wait_for(lambda: not is_alive(pid), "the end of the old sandbox")


def test_what_a_function_prints_is_in_its_log(pool: SandboxPool, tmp_path: Path) -> None:
    call(pool, make_spec("def handler(event, context): print('a line')"))
    wait_for(lambda: "a line" in (tmp_path / "lambda/probe.log").read_text(), "the line")


def test_close_leaves_no_process_and_no_file(pool: SandboxPool, tmp_path: Path) -> None:
    pid = call(pool, make_spec("import os\n" + RETURNS + "os.getpid()"))
    pool.close()
    assert not is_alive(pid)
    assert list(tmp_path.iterdir()) == []
    assert read_error(pool.invoke(make_spec(RETURNS + "1"), "{}")) == "Lambda.ServiceException"


def test_busy_sandbox_dies_with_a_killed_owner(tmp_path: Path) -> None:
    script = (
        "import json, sys; from pathlib import Path; from dataops.local.sandbox import SandboxPool;"
        "from dataops.local.spawn import Spawner; from tests.local.functions import make_spec;"
        "pool = SandboxPool(Path(sys.argv[1]) / 'lambda', {}, Spawner());"
        "pool.invoke(make_spec('import os, pathlib, time\\ndef handler(event, context):\\n'"
        "' pathlib.Path(event).write_text(str(os.getpid()))\\n time.sleep(600)', timeout=600), json.dumps(sys.argv[1] + '/pid'))"
    )
    owner = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    pid = int(wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the handler"))
    owner.kill()
    owner.wait()
    wait_for(lambda: not is_alive(pid), "the end of the sandbox")
