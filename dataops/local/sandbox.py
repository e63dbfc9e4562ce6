"""Lambda on this machine: the unzipped deployment package under AWS's own runtime client, one process a sandbox.

Each sandbox has a Runtime API of its own (`/2018-06-01/runtime/...`). The process sees the zip and a runtime folder
(boto3 and the runtime client), an environment like Lambda's, and nothing of the developer's site-packages.
"""

from __future__ import annotations

import io
import json
import queue
import shutil
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from sys import executable
from typing import Any, NamedTuple

from dataops.local.spawn import Spawner

API = "/2018-06-01/runtime"
RUNTIME_PACKAGES = (
    "awslambdaric", "simplejson", "snapshot-restore-py",
    "boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "urllib3", "six",
)  # fmt: skip
START_SECONDS = 30.0


class Outcome(NamedTuple):
    """What an invocation gave: the payload (JSON text), and whether it is an error."""

    payload: str
    failed: bool


class FunctionSpec(NamedTuple):
    """A function as it is to run. `zip_bytes` is the deployment package; `timeout` in seconds, `memory` in MB."""

    name: str
    handler: str
    zip_bytes: bytes
    timeout: int
    memory: int
    environment: tuple[tuple[str, str], ...]
    arn: str


class Sandbox:
    """One process of one function: it takes one invocation at a time."""

    def __init__(
        self, spec: FunctionSpec, task: Path, runtime: Path, log: Path, base: Mapping[str, str], spawner: Spawner
    ) -> None:
        self.spec = spec
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._replies: queue.Queue[tuple[str, Outcome]] = queue.Queue()
        self._server = _RuntimeAPI(self._events, self._replies)
        self._server.start()
        environment = _environment(spec, task, runtime, base, self._server.address)
        command = [executable, "-S", "-m", "awslambdaric", spec.handler]
        self._process = spawner.spawn(command, log=log, environment=environment, cwd=task)
        threading.Thread(target=self._report_exit, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def invoke(self, payload: str) -> Outcome:
        """Run the handler on one event; a time-out or an exit is an error as Lambda names it."""
        request = str(uuid.uuid4())
        deadline = time.time() + self.spec.timeout
        self._events.put({"id": request, "payload": payload, "deadline": int(deadline * 1000), "arn": self.spec.arn})
        while True:
            try:
                answered, outcome = self._replies.get(timeout=max(0.0, deadline - time.time()))
            except queue.Empty:
                self.close()
                seconds = f"{self.spec.timeout:.2f}"
                return _error("Sandbox.Timedout", f"RequestId: {request} Error: Task timed out after {seconds} seconds")
            if answered in (request, ""):
                return outcome

    def close(self) -> None:
        """Kill the process, as Lambda does: without a last word."""
        if self.alive:
            self._process.kill()
        self._process.wait()
        self._server.stop()

    def _report_exit(self) -> None:
        status = self._process.wait()
        how = f"exit status {status}" if status >= 0 else f"signal: {-status}"
        self._replies.put(("", _error("Runtime.ExitError", f"Error: Runtime exited with error: {how}")))


class SandboxPool:
    """Sandboxes of all functions: reused while the code is the same, at most `concurrency` of each function."""

    def __init__(self, folder: Path, base: Mapping[str, str], spawner: Spawner, concurrency: int = 4) -> None:
        self._folder, self._base, self._spawner = folder, base, spawner
        self._idle: dict[str, list[Sandbox]] = {}
        self._busy: set[Sandbox] = set()
        self._slots: dict[str, threading.Semaphore] = {}
        self._concurrency, self._lock, self._closed = concurrency, threading.Lock(), False
        self._runtime = make_runtime(folder / "runtime")

    def invoke(self, spec: FunctionSpec, payload: str) -> Outcome:
        """Invoke a function, in an idle sandbox with this very code and configuration or in a new one."""
        with self._lock:
            slot = self._slots.setdefault(spec.name, threading.Semaphore(self._concurrency))
        with slot:
            sandbox = self._take(spec)
            try:
                outcome = sandbox.invoke(payload)
            finally:
                self._give_back(sandbox)
            return outcome

    def close(self) -> None:
        """Kill all sandboxes and delete the unpacked zips."""
        with self._lock:
            self._closed = True
            sandboxes = [*self._busy, *(sandbox for idle in self._idle.values() for sandbox in idle)]
            self._idle.clear()
        for sandbox in sandboxes:
            sandbox.close()
        shutil.rmtree(self._folder / "tasks", ignore_errors=True)

    def _take(self, spec: FunctionSpec) -> Sandbox:
        with self._lock:
            idle = self._idle.setdefault(spec.name, [])
            retired = [sandbox for sandbox in idle if sandbox.spec != spec or not sandbox.alive]
            idle[:] = [sandbox for sandbox in idle if sandbox not in retired]
            sandbox = idle.pop() if idle else None
        for old in retired:
            old.close()
        if sandbox is None:
            log = self._folder / f"{spec.name}.log"
            sandbox = Sandbox(spec, self._unpack(spec.zip_bytes), self._runtime, log, self._base, self._spawner)
        with self._lock:
            self._busy.add(sandbox)
        return sandbox

    def _give_back(self, sandbox: Sandbox) -> None:
        with self._lock:
            self._busy.discard(sandbox)
            if sandbox.alive and not self._closed:
                self._idle.setdefault(sandbox.spec.name, []).append(sandbox)
                return
        sandbox.close()

    def _unpack(self, content: bytes) -> Path:
        task = self._folder / "tasks" / sha256(content).hexdigest()[:16]
        with self._lock:
            if not task.exists():
                work = task.with_suffix(".new")
                with zipfile.ZipFile(io.BytesIO(content)) as archive:
                    archive.extractall(work)
                work.rename(task)
        return task


class _RuntimeAPI:
    """The HTTP side of one sandbox."""

    def __init__(self, events: queue.Queue[dict[str, Any]], replies: queue.Queue[tuple[str, Outcome]]) -> None:
        class Handler(_RuntimeHandler):
            pass

        Handler.events, Handler.replies = events, replies
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _RuntimeHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet a reply: without it a warm invocation waits for a delayed acknowledgement
    events: queue.Queue[dict[str, Any]]
    replies: queue.Queue[tuple[str, Outcome]]

    def do_GET(self) -> None:
        event = self.events.get()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": event["id"],
            "Lambda-Runtime-Deadline-Ms": str(event["deadline"]),
            "Lambda-Runtime-Invoked-Function-Arn": event["arn"],
        }
        self._answer(200, event["payload"].encode(), headers)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        parts = self.path.removeprefix(API).strip("/").split("/")
        if parts[-1] == "response":
            self.replies.put((parts[1], Outcome(body, False)))
        elif parts[0] == "init":
            self.replies.put(("", Outcome(body, True)))
        else:
            self.replies.put((parts[1], Outcome(body, True)))
        self._answer(202, b"{}", {})

    def log_message(self, *_: Any) -> None:
        """Say nothing; the sandbox's own log has what matters."""

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def make_runtime(folder: Path) -> Path:
    """A folder of links to what AWS puts beside a function: boto3 with its parts, and the runtime client."""
    folder.mkdir(parents=True)
    for package in RUNTIME_PACKAGES:
        for name, path in _top_level(package):
            link = folder / name
            if not link.exists():
                link.symlink_to(path)
    return folder


def _top_level(package: str) -> Iterator[tuple[str, Path]]:
    try:
        found = distribution(package)
    except PackageNotFoundError:
        return
    for name in sorted({file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}):
        yield name, Path(str(found.locate_file(name)))


def _environment(spec: FunctionSpec, task: Path, runtime: Path, base: Mapping[str, str], api: str) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "en_US.UTF-8", "TZ": ":UTC",
        "PYTHONPATH": f"{task}:{runtime}", "LAMBDA_TASK_ROOT": str(task),
        "AWS_LAMBDA_RUNTIME_API": api, "AWS_LAMBDA_FUNCTION_NAME": spec.name, "_HANDLER": spec.handler,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory), "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.name}", "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python",
        **base, **dict(spec.environment),
    }  # fmt: skip


def _error(kind: str, message: str) -> Outcome:
    return Outcome(json.dumps({"errorType": kind, "errorMessage": message}), True)
