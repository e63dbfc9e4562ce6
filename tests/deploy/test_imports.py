"""What a function imports at its start, from the zip alone: all of it is compiled again at every cold start."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile

import pytest

from dataops.deploy.package import build_zip, handlers
from dataops.local.sandbox import make_runtime

ALL = {"aws", "control", "dynamodb", "item", "pace", "records", "schema", "stopwatch", "telemetry"}
CODEC = {"convert", "document", "keys", "normalize"}
MYSQL = {"mysql", "convert", "document"}
"""The driver's errors, and the values that it could not hold."""
CONNECTED = MYSQL | {"connection", "secrets"}
TARGET = CONNECTED | {"staging"}
LOAD = CODEC | TARGET | {"task", "load", "infile", "itemcode", "scan"}
CHECKED = CODEC | TARGET | {"task", "describe", "fit", "widen"}
COMPARED = CODEC | MYSQL | {"task", "staging", "digest", "reconcile"}
FLOW = TARGET | {"task", "flow", "flow_control", "lease", "close", "publish", "references"}
NEEDED = {
    "account_rows": {"task", "account"},
    "claim_flow": FLOW,
    "close_flow": FLOW,
    "close_run": {"close"},
    "dynamodb_to_rds": LOAD,
    "dynamodb_vs_staging": COMPARED,
    "hold_run": FLOW,
    "plan": CHECKED | {"plan", "draft", "resume", "lease", "flow_control"},
    "preflight": CHECKED | {"preflight", "checks", "grants", "probe"},
    "prepare_staging": LOAD,
    "publish": TARGET | {"task", "publish"},
    "publish_flow": FLOW,
    "rds_to_dynamodb": CODEC | {"task", "copy", "page", "rowcode", "digest", "widen"},
    "roll_back": TARGET | {"publish"},
    "roll_back_flow": FLOW,
    "source_vs_dynamodb": COMPARED,
    "sweep_stale": {"task", "sweep"},
    "take_snapshot": COMPARED,
}
"""The modules of core that each handler may import beside `ALL`. A flow's functions have one module for all of them."""
WITHOUT_MYSQL = {"account_rows", "close_run", "sweep_stale", "rds_to_dynamodb"}
"""Those that never talk to MySQL, and the copy, which imports the driver when it connects."""
PROBE = """
import importlib, json, sys
import awslambdaric.bootstrap
before = set(sys.modules)
importlib.import_module(sys.argv[1])
imported = sorted(set(sys.modules) - before)
from dataops.core.dynamodb import dynamodb_client
dynamodb_client()
print(json.dumps([imported, sorted(set(sys.modules) - before)]))
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """The modules that a handler has imported when it is there, and when a client is."""
    folder = tmp_path_factory.mktemp("function")
    zipfile.ZipFile(io.BytesIO(build_zip())).extractall(folder / "task")
    paths = f"{folder / 'task'}:{make_runtime(folder / 'runtime')}"
    keys = {f"AWS_{name}": "x" for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "DEFAULT_REGION")}

    def run(handler):
        command = [sys.executable, "-S", "-c", PROBE, f"dataops.handlers.{handler}"]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, **keys}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return map(set, json.loads(done.stdout))

    return run


@pytest.mark.parametrize("handler", sorted(path.split(".")[-2] for path in handlers().values()))
def test_a_handler_imports_what_it_needs_and_nothing_else(start, handler):
    imported, with_client = start(handler)
    core = {name.removeprefix("dataops.core.") for name in imported if name.startswith("dataops.core.")}
    assert core <= ALL | NEEDED[handler]
    packages = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
    assert packages == {"dataops", "msgspec"} | (set() if handler in WITHOUT_MYSQL else {"pymysql"})
    assert not {"difflib", "yaml", "xml", "multiprocessing", "asyncio"} & imported
    assert not {"boto3", "s3transfer"} & {name.partition(".")[0] for name in with_client}
