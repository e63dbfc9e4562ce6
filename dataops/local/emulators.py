"""The emulated AWS: ministack in a process of its own, and moto's Step Functions interpreter in this one."""

from __future__ import annotations

import http.client
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dataops.errors import StackError
from dataops.local.calls import Trail, trailed_wsgi
from dataops.local.registry import ACCOUNT
from dataops.local.spawn import STARTS, Spawner, end_process, free_port, own_environment, wait_until
from dataops.local.stack import REGION

EXACTLY = {"ministack": "1.5.33", "moto": "5.2.5", "awslambdaric": "4.2.2"}
"""The stack reaches into private code of these, so no other version will do."""


def check_versions() -> None:
    """Raise StackError when a part is missing, or is not the very version that this was made for."""
    for package, wanted in EXACTLY.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            found = "nothing"
        if found != wanted:
            raise StackError(
                f"{package}: expected {wanted}, found {found}: install this project again with its extra `local`"
            )


def start_aws(folder: Path, spawner: Spawner) -> tuple[subprocess.Popen[bytes], str]:
    """Start ministack (everything but functions and state machines); gives its process and its endpoint.

    Its data live in memory and end with it. Raises StackError when it does not answer.
    """
    log = folder / "aws.log"
    for attempt in range(STARTS):
        port = free_port()
        environment = own_environment(
            BIND_HOST="127.0.0.1", GATEWAY_PORT=str(port), MINISTACK_ACCOUNT_ID=ACCOUNT, MINISTACK_REGION=REGION,
            IOT_MTLS_ENABLED="0", SFTP_ENABLED="0", AWS_DEFAULT_REGION=REGION, TMPDIR=str(folder),
        )  # fmt: skip
        process = spawner.spawn(
            [sys.executable, "-P", "-m", "dataops.local.aws", str(folder / "calls-aws.jsonl")],
            log=log,
            environment=environment,
        )
        try:
            wait_until(partial(_answers, port), process, "AWS emulator", log, 60)
        except StackError:
            end_process(process)
            if attempt == STARTS - 1 or "in use" not in log.read_text("utf-8", "replace"):
                raise
        else:
            break
    return process, f"http://127.0.0.1:{port}"


def serve_interpreter(folder: Path) -> tuple[Callable[[], None], str]:
    """Serve Step Functions, and the Lambda API that it calls, from this process; gives what stops it, its endpoint.

    The calls that functions make of it are kept in `folder`.
    """
    from moto.core.config import default_user_config
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # no line for each request
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    sys.setrecursionlimit(20_000)  # a Map worker recurses once for each item
    server: Any = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    server._server.app = trailed_wsgi(server._server.app, Trail(folder / "calls-states.jsonl"))
    host, port = server.get_host_and_port()
    os.environ["MOTO_PORT"] = str(port)  # where its own calls of functions go
    return server.stop, f"http://{host}:{port}"


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
