"""What a method works on: the server, the endpoint's table, so many rows; and the methods by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from dataops.local.servers import ServerInfo

if TYPE_CHECKING:
    from dataops.core.task import Task

SOURCE, TARGET, COPY = "orders", "orders_target", "orders_copy"
SECRET, GENERATION = "dataops/bench", 7
WARM, WARM_ROWS = "warm", 200
"""The rows that a process moves before it is measured: so many of them, as a table of this name."""


class Work(msgspec.Struct, frozen=True):
    """One run of one method: `rows` rows of the endpoint's table `name`; `server_pid` is the MySQL server's process."""

    direction: str
    method: str
    name: str
    rows: int
    server: ServerInfo
    server_pid: int


class Done(msgspec.Struct, frozen=True):
    """CPU seconds of the method and of the MySQL server meanwhile, the wall's, and the table that was loaded.

    `memory` is the most that the process ever had resident, in MiB (0 where there is no /proc); `chunks` are those that
    were planned.
    """

    cpu: float
    server_cpu: float
    wall: float
    table: str
    memory: float = 0.0
    chunks: int = 0


class Subject:
    """The rows that a method moves, and the connections that it makes."""

    def __init__(self, work: Work, name: str, rows: int) -> None:
        self.server, self.database, self.name, self.rows = work.server, work.server.database, name, rows
        self.copy = COPY

    @property
    def run(self) -> str:
        """The run that moves the rows our way."""
        return f"bench-{self.name}"

    def declared(self) -> dict[str, Any]:
        """The batch that moves them: all rows of the source, but for the few that a process warms up with."""
        where = {"where": f"id <= {self.rows:d}"} if self.name == WARM else {}
        return {
            "batch": "bench", "source": {"secret": SECRET, "table": SOURCE, **where},
            "dynamodb": {"table": self.name, "partition_key": "id"}, "target": {"secret": SECRET, "table": TARGET},
        }  # fmt: skip

    def connect(self) -> Any:
        """A connection as most people make it, without TLS as ours."""
        import pymysql

        return pymysql.connect(
            host=self.server.host, port=self.server.port, user=self.server.user, password=self.server.password,
            database=self.database, charset="utf8mb4", cursorclass=pymysql.cursors.DictCursor,
            ssl_disabled=True,
        )  # fmt: skip

    def table(self) -> Any:
        """boto3's resource of the endpoint's table."""
        import boto3

        return boto3.resource("dynamodb").Table(self.name)

    def create_copy(self, connection: Any) -> None:
        """An empty table like the source, for a method to load."""
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {self.copy}")
            cursor.execute(f"CREATE TABLE {self.copy} LIKE {SOURCE}")

    def open_task(self) -> Task:
        """A planned run of one chunk and one segment, opened as a handler does it."""
        from dataops.batch import parse_batch
        from dataops.core.connection import open_connection
        from dataops.core.control import Control
        from dataops.core.describe import describe_table
        from dataops.core.records import Chunk, Plan, Segment, pack_key
        from dataops.core.task import Task

        with open_connection(SECRET) as connection:
            source, target = (describe_table(connection, name) for name in (SOURCE, TARGET))
        plan = Plan(self.run, parse_batch(self.declared()), source, target, GENERATION, ("id",), 1, 1)
        control = Control(plan.run)
        control.save_plan(plan)
        control.save_chunk(Chunk(0, None, pack_key([str(self.rows)])))
        control.save_segment(Segment(0))
        return Task.open(plan.run)


def finish(work: Callable[[Task, int, Callable[[], bool]], bool], task: Task, number: int) -> None:
    """Copy a chunk, or load a segment, to its end, as the state machine does; the time never runs short."""
    while not work(task, number, lambda: False):
        pass
