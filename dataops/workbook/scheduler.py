"""The schedules of batches and flows on one machine: each firing runs a notebook in a process of its own, and leaves a record.

Nothing is kept but files: a record for each firing, and the instant up to which each batch's firings are settled. What
is due is worked out anew each time from that instant, so a restart forgets nothing.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from dataops.core.aws import aws_client
from dataops.deploy.schedule import Schedule, list_firings
from dataops.deploy.starts import parse_start
from dataops.errors import BatchFileError, Permanent
from dataops.flow import Flow, FlowFile
from dataops.workbook.flow import find_batch_or_flow

Policy: TypeAlias = Literal["skip", "once", "queue"]
"""What becomes of firings that were missed, or came while the batch still ran: none of them runs, the newest, or all."""

GRACE = timedelta(minutes=1)
"""A firing that is found later than this was missed."""
TOPIC = re.compile(r"arn:aws[\w-]*:sns:[\w-]+:\d{12}:[\w.-]+")
MOST_DUE = 1000
"""Firings of a batch that are settled at once."""


class Firing(msgspec.Struct, frozen=True):
    """One instant of a batch's schedule. `status`: running, succeeded, succeeded with rejections, failed, skipped or
    cut off; `cause` says why it is none of the first three."""

    batch: str
    instant: str
    status: str
    started: str = ""
    ended: str = ""
    cause: str = ""


class Scheduled(msgspec.Struct, frozen=True):
    """A batch, or a flow, with its schedule; `batch` is a name or a path, as notebooks and `dataops run` take it."""

    batch: str
    name: str
    schedule: Schedule
    timezone: str
    is_flow: bool = False


Start: TypeAlias = Callable[[Scheduled, Firing, Path], subprocess.Popen[bytes]]


def find_scheduled(names: Sequence[str]) -> list[Scheduled]:
    """The batches and flows (names or paths) that have a schedule; batches of such a flow are started by it alone.

    Raises BatchFileError for a wrong one, and when none has.
    """
    found: dict[str, Scheduled] = {}
    started: set[str] = set()
    for given in names:
        declared = find_batch_or_flow(given)
        of = declared.flow if isinstance(declared, FlowFile) else declared
        name = of.flow if isinstance(of, Flow) else of.batch
        if of.schedule and (schedule := parse_start(of)):
            found[name] = Scheduled(given, name, schedule, of.schedule.timezone or "", isinstance(of, Flow))
            started |= set(of.names) if isinstance(of, Flow) else set()
    if not found:
        raise BatchFileError("schedule: none of the batches has one; add schedule: {expression: ...} to a batch file")
    return [of for name, of in found.items() if of.is_flow or name not in started]


class Scheduler:
    """Runs what is due. `step` is one look at the clock; `serve` looks again and again until it is told to stop."""

    def __init__(
        self, batches: Sequence[Scheduled], folder: Path, start: Start, *, late: Policy = "once", notify: str = ""
    ) -> None:
        self.batches, self.folder, self.late = batches, folder, late
        self._start, self._notify = start, notify
        self._running: dict[str, tuple[Firing, subprocess.Popen[bytes]]] = {}
        self._left: list[Firing] = []

    def step(self, now: datetime) -> None:
        """Record what has ended, settle what is due, and start what may start."""
        self.collect(now)
        for batch in self.batches:
            self._settle(batch, now)

    def collect(self, now: datetime) -> bool:
        """Record the runs that have ended; whether any is still running."""
        for name, (firing, process) in list(self._running.items()):
            if process.poll() is not None:
                del self._running[name]
                self._end(firing, *_outcome(process.returncode), now)
        for firing in [firing for firing in self._left if not _is_alive(self._log(firing))]:
            self._left.remove(firing)
            cause = "the scheduler ended while it ran: see `dataops runs` for what became of the run"
            self._end(firing, "cut off", cause, now)
        return bool(self._running)

    def serve(self, stop: threading.Event, seconds: float = 5.0) -> None:
        """Step until `stop` is set, then wait for what is running: a run is never cut off half-way by a restart."""
        with _alone(self.folder):
            self._left = [firing for firing in list_recorded(self.folder) if firing.status == "running"]
            while not stop.is_set():
                self.step(datetime.now(UTC))
                stop.wait(seconds)
            for _, process in list(self._running.values()):
                process.wait()
            self.collect(datetime.now(UTC))

    def terminate(self) -> None:
        """Ask what is running to stop; a run then rolls back."""
        for _, process in list(self._running.values()):
            process.terminate()

    def _settle(self, batch: Scheduled, now: datetime) -> None:
        since = self._settled(batch, now)
        due = [at for at in list_firings(batch.schedule, since, batch.timezone, MOST_DUE + 1) if at <= now]
        busy = batch.name in {*self._running, *(firing.batch for firing in self._left)}
        if self.late == "skip":
            missed = [at for at in due if busy or now - at > GRACE]
        else:
            missed = due[:-1] if self.late == "once" else []
        why = "the batch was still running" if busy else "it was missed"
        why = f"{why}; only the newest of several runs" if self.late == "once" else why
        for at in missed:
            self._end(Firing(batch.name, _spell(at), "skipped"), "skipped", why, now)
            self._mark_settled(batch, at)
        left = [at for at in due if at not in missed]
        newest_known = self.late != "once" or len(due) <= MOST_DUE  # else the next step finds a newer one, or none
        if left and not busy and newest_known:
            self._begin(batch, left[0], now)

    def _begin(self, batch: Scheduled, at: datetime, now: datetime) -> None:
        firing = Firing(batch.name, _spell(at), "running", _spell(now))
        self._save(firing)
        self._mark_settled(batch, at)
        try:
            process = self._start(batch, firing, self._log(firing))
        except OSError as error:
            self._end(firing, "failed", f"could not be started ({type(error).__name__})", now)
            return
        self._running[batch.name] = (firing, process)

    def _end(self, firing: Firing, status: str, cause: str, now: datetime) -> None:
        firing = msgspec.structs.replace(firing, status=status, cause=cause, ended=_spell(now))
        self._save(firing)
        if self._notify and not status.startswith("succeeded"):
            (_publish if TOPIC.fullmatch(self._notify) else _tell)(self._notify, firing)

    def _settled(self, batch: Scheduled, now: datetime) -> datetime:
        """The instant up to which a batch's firings are settled; of a batch never seen before it is now."""
        path = self.folder / batch.name / "settled"
        if not path.exists():
            self._mark_settled(batch, now)
        return datetime.fromisoformat(path.read_text())

    def _mark_settled(self, batch: Scheduled, at: datetime) -> None:
        _write(self.folder / batch.name / "settled", _spell(at).encode())

    def _save(self, firing: Firing) -> None:
        _write(self._path(firing), msgspec.json.encode(firing))

    def _path(self, firing: Firing) -> Path:
        return self.folder / firing.batch / f"{firing.instant.replace(':', '')}.json"

    def _log(self, firing: Firing) -> Path:
        return self._path(firing).with_suffix(".log")


def list_recorded(folder: Path) -> list[Firing]:
    """Every firing that has a record, the newest first."""
    found = [msgspec.json.decode(path.read_bytes(), type=Firing) for path in folder.glob("*/*.json")]
    return sorted(found, key=lambda firing: (firing.instant, firing.batch), reverse=True)


def start_notebook(notebook: str, variables: Mapping[str, str] | None = None) -> Start:
    """What starts a notebook for a firing (a flow: `dataops run`), in a process of its own that a Ctrl-C does not reach."""

    def start(batch: Scheduled, firing: Firing, log: Path) -> subprocess.Popen[bytes]:
        whole = ["run", batch.batch] if batch.is_flow else ["notebook", notebook, "-p", "batch", batch.batch]
        command = [sys.executable, "-m", "dataops.cli", *whole, "--scheduled", firing.instant]
        return spawn(command, log, {**os.environ, **(variables or {})})

    return start


def spawn(
    command: Sequence[str], log: Path, environment: Mapping[str, str], stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """A process in a session of its own that writes into a log, and holds its lock until it has ended."""
    with log.open("wb") as output:
        fcntl.flock(output, fcntl.LOCK_EX)  # of the open file, which the process has too
        return subprocess.Popen(
            command, stdin=stdin, stdout=output, stderr=output, start_new_session=True, env=environment
        )


def _tell(command: str, firing: Firing) -> None:
    """Start a command, which finds the firing in its environment."""
    told = {"BATCH": firing.batch, "INSTANT": firing.instant, "STATUS": firing.status, "CAUSE": firing.cause}
    environment = os.environ | {f"DATAOPS_{name}": value for name, value in told.items()}
    with suppress(OSError):  # a hook that is not there must not end the schedule
        subprocess.Popen(shlex.split(command), env=environment, start_new_session=True)


def _publish(topic: str, firing: Firing) -> None:
    """Publish a firing to a topic; what hinders that is told, and ends no schedule."""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 2})
    subject, message = f"dataops: {firing.batch} {firing.status}", f"{firing.instant}: {firing.cause}"
    try:
        client = aws_client("sns", region_name=topic.split(":")[3], config=config)
        client.publish(TopicArn=topic, Subject=subject[:100], Message=message)
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"schedule: {firing.batch}: the notification was not sent ({type(error).__name__})\n")


def _is_alive(log: Path) -> bool:
    """Whether the process that writes into a log has not ended, whoever started it."""
    if not log.exists():
        return False
    with log.open("rb") as output:
        try:
            fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _outcome(status: int) -> tuple[str, str]:
    """The status of a firing whose process ended so, and why."""
    if status == 0:
        return "succeeded", ""
    if status == 3:
        return "succeeded with rejections", ""
    return "failed", f"was killed by signal {-status}" if status < 0 else f"exit status {status}; its log says why"


def _spell(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _write(path: Path, content: bytes) -> None:
    """Overwrite a file, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.write_bytes(content)
    draft.replace(path)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one scheduler at a time works in a folder. Raises Permanent when there is another."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Permanent(f"schedule: another scheduler is serving {folder}") from error
        yield
