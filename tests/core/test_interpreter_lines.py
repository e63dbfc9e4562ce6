"""What the interpreter says by itself in a function, under AWS's own runtime client."""

import io
import json
import zipfile

from dataops.deploy.package import build_zip
from dataops.local.sandbox import FunctionSpec, SandboxPool
from dataops.local.spawn import Spawner
from tests.local.functions import ARN

TASK = """
import threading, warnings
import dataops.handlers.edge

class Broken:
    def __del__(self):
        raise OSError("canary")

def die():
    raise KeyError("canary")

def handler(event, context):
    broken = Broken()
    del broken
    thread = threading.Thread(target=die, name="writer")
    thread.start()
    thread.join()
    warnings.warn("canary", UserWarning)
"""


def test_what_the_interpreter_says_is_a_line_without_the_text(tmp_path):
    content = io.BytesIO(build_zip())
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr("task.py", TASK)
    pool = SandboxPool(tmp_path / "lambda", {"AWS_REGION": "ap-northeast-1"}, Spawner())
    outcome = pool.invoke(FunctionSpec("probe", "task.handler", content.getvalue(), 30, 128, (), ARN), "{}")
    told = (tmp_path / "lambda" / "probe.log").read_text()
    pool.close()
    assert not outcome.failed, outcome.payload
    lines = [json.loads(line) for line in told.splitlines()]
    assert [(line["level"], line["error"], line["where"]) for line in lines] == [
        ("WARNING", "OSError", "Broken.__del__"), ("WARNING", "KeyError", "writer"), ("WARNING", "UserWarning", "task.py:18"),
    ]  # fmt: skip
    assert "canary" not in json.dumps(lines)
