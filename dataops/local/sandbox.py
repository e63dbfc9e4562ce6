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

from dataops.local.spawn import Spawner, has_ended, kill_process

API = "/2018-06-01/runtime"
RUNTIME_PACKAGES = (
    "awslambdaric", "simplejson", "snapshot-restore-py",
    "boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "urllib3", "six",
)  # fmt: skip
START_SECONDS, IDLE_SECONDS = 30.0, 120.0
"""Time that a process may take to import its handler (AWS gives 10, on machines less busy than a developer's), and after
which one that was not wanted is ended, as AWS does after some minutes: it holds 50 MB."""


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


class _Event(NamedTuple):
    request: str
    payload: str
    spec: FunctionSpec


BEGUN = Outcome("", False)
"""Said of a request when the process has taken it."""


class Sandbox:
    """One process of one function: it takes one invocation at a time."""

    def __init__(
        self, spec: FunctionSpec, task: Path, runtime: Path, log: Path, base: Mapping[str, str], spawner: Spawner
    ) -> None:
        self.spec, self.used, self._ended = spec, time.monotonic(), False
        self._api = _RuntimeAPI()
        environment = _environment(spec, task, runtime, base, self._api.address)
        command = [executable, "-S", "-m", "awslambdaric", spec.handler]
        self._process = spawner.spawn(command, log=log, environment=environment, cwd=task)
        threading.Thread(target=self._report_exit, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process runs and can take an event."""
        return not self._ended and not has_ended(self._process)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def invoke(self, payload: str) -> Outcome:
        """Run the handler on one event; a time-out or an exit is an error as Lambda names it.

        The function's time-out runs from when the process asks for the event; getting there may take
        `START_SECONDS` more, as in AWS.
        """
        request = str(uuid.uuid4())
        self._api.events.put(_Event(request, payload, self.spec))
        began = self._next_reply(request, START_SECONDS)
        outcome = self._next_reply(request, self.spec.timeout) if began is BEGUN else began
        if outcome is None or outcome is BEGUN:
            self.close()
            seconds = START_SECONDS if began is None else self.spec.timeout
            return _error("Sandbox.Timedout", f"RequestId: {request} Error: Task timed out after {seconds:.2f} seconds")
        return outcome

    def kill(self) -> None:
        """Kill the process and its children, as Lambda does: without a last word."""
        kill_process(self._process)

    def close(self) -> None:
        """Kill the process and end its Runtime API."""
        self.kill()
        self._api.stop()

    def _next_reply(self, request: str, seconds: float) -> Outcome | None:
        """What the process said next about this request; None when it said nothing for so long."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                answered, outcome = self._api.replies.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return None
            self._ended = self._ended or not answered
            if answered in (request, ""):
                return outcome

    def _report_exit(self) -> None:
        status = self._process.wait()
        how = f"exit status {status}" if status >= 0 else f"signal: {-status}"
        self._api.replies.put(("", _error("Runtime.ExitError", f"Error: Runtime exited with error: {how}")))


class SandboxPool:
    """Sandboxes of all functions: reused while the code is the same, at most `concurrency` of each function.

    `base` is what every sandbox has in its environment: region, credentials, endpoints. `idle` is in seconds.
    """

    def __init__(
        self, folder: Path, base: Mapping[str, str], spawner: Spawner, concurrency: int = 4, idle: float = IDLE_SECONDS
    ) -> None:
        self._folder, self._spawner = folder, spawner
        self._idle: dict[str, list[Sandbox]] = {}
        self._busy: set[Sandbox] = set()
        self._slots: dict[str, threading.Semaphore] = {}
        self._concurrency, self._lock, self._closed = concurrency, threading.Lock(), threading.Event()
        self._runtime = make_runtime(folder / "runtime")
        self._base = {**base, "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
        (folder / "tmp").mkdir()
        self._ender = threading.Thread(target=self._end_idle, args=[idle], daemon=True)
        self._ender.start()

    def invoke(self, spec: FunctionSpec, payload: str) -> Outcome:
        """Invoke a function, in an idle sandbox with this very code and configuration or in a new one."""
        with self._lock:
            slot = self._slots.setdefault(spec.name, threading.Semaphore(self._concurrency))
        with slot:
            sandbox = self._take(spec)
            if sandbox is None:
                return _error("Lambda.ServiceException", "the embedded stack is going down")
            try:
                return sandbox.invoke(payload)
            finally:
                self._give_back(sandbox)

    def close(self) -> None:
        """Kill all sandboxes and delete the unpacked zips; from then on every invocation is an error."""
        with self._lock:
            self._closed.set()
            sandboxes = [*self._busy, *(sandbox for idle in self._idle.values() for sandbox in idle)]
            self._idle.clear()
        for sandbox in sandboxes:
            sandbox.kill()
        for sandbox in sandboxes:
            sandbox.close()
        self._ender.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end_idle(self, seconds: float) -> None:
        while not self._closed.wait(seconds / 4):
            with self._lock:
                unwanted = [each for of in self._idle.values() for each in of if each.used < time.monotonic() - seconds]
                for old in unwanted:
                    self._idle[old.spec.name].remove(old)
            for old in unwanted:
                old.close()

    def _take(self, spec: FunctionSpec) -> Sandbox | None:
        with self._lock:
            idle = self._idle.setdefault(spec.name, [])
            retired = [sandbox for sandbox in idle if sandbox.spec != spec or not sandbox.alive]
            idle[:] = [sandbox for sandbox in idle if sandbox not in retired]
            sandbox = idle.pop() if idle else None
            if sandbox is None and not self._closed.is_set():
                task, log = self._unpack(spec.zip_bytes), self._folder / f"{spec.name}.log"
                sandbox = Sandbox(spec, task, self._runtime, log, self._base, self._spawner)
            if sandbox is not None:
                self._busy.add(sandbox)
        for old in retired:
            old.close()
        return sandbox

    def _give_back(self, sandbox: Sandbox) -> None:
        with self._lock:
            self._busy.discard(sandbox)
            sandbox.used = time.monotonic()
            if sandbox.alive and not self._closed.is_set():
                self._idle.setdefault(sandbox.spec.name, []).append(sandbox)
                return
        sandbox.close()

    def _unpack(self, content: bytes) -> Path:
        task = self._folder / "tasks" / sha256(content).hexdigest()[:16]
        if not task.exists():
            work = task.with_suffix(".new")
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(work)
            work.rename(task)
        return task


class _RuntimeAPI(ThreadingHTTPServer):
    """The HTTP side of one sandbox: events go out, and what the process says about them comes in."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RuntimeHandler)
        self.events: queue.Queue[_Event | None] = queue.Queue()
        self.replies: queue.Queue[tuple[str, Outcome]] = queue.Queue()
        self.address = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """End all its threads."""
        self.events.put(None)
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: Any) -> None:
        """A process that was killed while it spoke is told by its exit."""


class _RuntimeHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet a reply: without it a warm invocation waits for a delayed acknowledgement
    server: _RuntimeAPI

    def do_GET(self) -> None:
        event = self.server.events.get()
        if event is None:
            self.close_connection = True
            return
        self.server.replies.put((event.request, BEGUN))
        headers = {
            "Lambda-Runtime-Aws-Request-Id": event.request,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + event.spec.timeout) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": event.spec.arn,
        }
        self._answer(200, event.payload.encode(), headers)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        parts = self.path.removeprefix(API).strip("/").split("/")
        if parts[-1] == "response":
            self.server.replies.put((parts[1], Outcome(body, False)))
        elif parts[0] == "init":
            self.server.replies.put(("", Outcome(body, True)))
        else:
            self.server.replies.put((parts[1], Outcome(body, True)))
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
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python",
        **base, **dict(spec.environment), "AWS_ACCESS_KEY_ID": spec.name,
    }  # fmt: skip


def _error(kind: str, message: str) -> Outcome:
    return Outcome(json.dumps({"errorType": kind, "errorMessage": message}), True)
