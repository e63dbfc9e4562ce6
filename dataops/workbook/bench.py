"""What a row costs on this machine: our way beside what people write, alternated, every row that is moved checked.

It starts a MySQL server of its own and a DynamoDB that takes everything and keeps nothing, in processes of their own,
so that only the client's CPU is counted. Each run is a fresh interpreter; modules, connections and clients are made
before the clock runs. A ratio is that of two runs of one round.
"""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pymysql

from dataops.core.mysql import execute, quote_name
from dataops.core.records import STAMP_ATTEMPTS, STAMP_CHUNKS
from dataops.errors import StackError
from dataops.local.bench import rows as table
from dataops.local.bench.subject import GENERATION, SOURCE, TARGET, WARM, WARM_ROWS, Done, Work
from dataops.local.bench.worker import METHODS, OURS, READS, SLOWEST
from dataops.local.mysqld import find_program
from dataops.local.servers import MySQLServer
from dataops.local.spawn import Spawner, end_process, free_port, own_environment, wait_until
from dataops.workbook.demo import open_server
from dataops.workbook.table import Table

if TYPE_CHECKING:
    from dataops.local.mysqld import Flavor
    from dataops.workbook.charts import Picture

NAME = "orders"
MICRO = 1e6
SERVER_BYTES = 512 * 1024 * 1024
"""Of the server's buffer pool and of its redo log."""
MOST_FILLED = 500_000
"""Rows that one statement adds to the source."""


class Size(msgspec.Struct, frozen=True):
    """How much is measured: rows that our way moves, that others move, and the slowest, and how often all of them do."""

    rows: int
    other_rows: int
    slowest_rows: int
    rounds: int

    def rows_of(self, direction: str, method: str) -> int:
        """Rows of one run of a method: equal ones on the way back, where the server's CPU is compared, too."""
        if direction == "back" or method in (OURS, READS):
            return self.rows
        return self.slowest_rows if method == SLOWEST else self.other_rows


FULL, QUICK = Size(200_000, 10_000, 2_000, 7), Size(50_000, 2_000, 500, 3)


class Measured(msgspec.Struct):
    """One method's runs: microseconds of CPU a row, the client's and the MySQL server's, rows a second, rows that differ."""

    direction: str
    name: str
    client: list[float] = []
    server: list[float] = []
    rate: list[float] = []
    differences: int = 0

    @property
    def checked(self) -> bool:
        """Whether it moves rows that can be compared; what only reads does not."""
        return self.name != READS


class Benchmark(msgspec.Struct, frozen=True):
    """All that was measured."""

    methods: tuple[Measured, ...]

    @property
    def differences(self) -> int:
        """Rows that were not, somewhere, what they should be."""
        return sum(method.differences for method in self.methods)

    def ratios_of(self, method: Measured) -> list[float]:
        """How many times less CPU than the direction's baseline a method takes, round by round."""
        return [base / own for base, own in zip(self._baseline(method).client, method.client, strict=True)]

    def server_ratio_of(self, method: Measured) -> float:
        """The MySQL server's CPU as a part of what the direction's baseline takes of it; the median of the rounds."""
        parts = zip(method.server, self._baseline(method).server, strict=True)
        return statistics.median(own / base if base else 0.0 for own, base in parts)

    def parts_of_reads(self, method: Measured) -> list[float]:
        """A method's CPU as a part of what pymysql's bare fetchall takes, round by round; nothing where that was not measured."""
        reads = next((of for of in self.methods if of.direction == method.direction and not of.checked), None)
        return [own / read for own, read in zip(method.client, reads.client, strict=True)] if reads else []

    def _baseline(self, method: Measured) -> Measured:
        return next(of for of in self.methods if of.direction == method.direction)

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values: medians over the rounds."""
        return {"methods": [self._figures(method) for method in self.methods], "differences": self.differences}

    def _figures(self, method: Measured) -> dict[str, Any]:
        ratio, least, most = _spread(self.ratios_of(method))
        part, least_part, most_part = _spread(parts) if (parts := self.parts_of_reads(method)) else (None, None, None)
        return {
            "direction": method.direction, "name": method.name,
            "us_per_row": round(statistics.median(method.client), 2),
            "ratio": ratio, "ratio_min": least, "ratio_max": most,
            "server_us_per_row": round(statistics.median(method.server), 2),
            "server_ratio": round(self.server_ratio_of(method), 2),
            "rows_per_second": round(statistics.median(method.rate)),
            "of_reads": part, "of_reads_min": least_part, "of_reads_max": most_part, "checked": method.checked,
        }  # fmt: skip

    def table(self) -> Table:
        """The figures side by side."""
        columns = (
            "direction", "method", "CPU us/row", "times baseline", "min", "max", "server us/row", "of baseline",
            "rows/s", "rows differ",
        )  # fmt: skip
        rows = []
        for method in self.methods:
            figures = self._figures(method)
            ratios = (f"{figures[n]:.2f}" for n in ("ratio", "ratio_min", "ratio_max"))
            server = f"{figures['server_us_per_row']:,.1f}", f"{figures['server_ratio']:.2f}"
            numbers = (f"{figures['us_per_row']:,.1f}", *ratios, *server, f"{figures['rows_per_second']:,}")
            rows.append((method.direction, method.name, *numbers, method.differences if method.checked else "-"))
        return Table(columns, rows, self._describe_reads(), right=columns[2:])

    def _describe_reads(self) -> str:
        """Our copy beside the bare reading of its rows, in a sentence; nothing where that was not measured."""
        ours = next((of for of in self.methods if (of.direction, of.name) == ("forward", OURS)), None)
        if not ours or not (parts := self.parts_of_reads(ours)):
            return ""
        part, least, most = _spread(parts)
        return f"The copy by {OURS} takes {part:.2f} ({least:.2f} to {most:.2f}) of the CPU of {READS}."

    def draw(self) -> Picture:
        """The figures as bars."""
        from dataops.workbook.charts import draw_costs

        found = [self._figures(method) for method in self.methods]
        notes = [f"{of['ratio']:.1f} x" if of["checked"] else "writes nothing" for of in found]
        bars = [
            (f"{of['direction']}: {of['name']}", of["us_per_row"], note) for of, note in zip(found, notes, strict=True)
        ]
        return draw_costs(bars, "Client CPU a row, microseconds; times less than the baseline", OURS)


def run_benchmark(size: Size, tell: Callable[[str], None], flavor: Flavor | None = None, latency: int = 0) -> Benchmark:
    """Measure all methods, in rounds; against a DynamoDB that answers so many milliseconds late, forward and only ours
    and what most people write. `tell` is given a line for each round. Raises StackError.
    """
    folder = tempfile.TemporaryDirectory(prefix="dataops-bench-")
    with folder, open_bench(Path(folder.name), flavor, latency) as bench:
        bench.fill(max(size.rows, size.other_rows))
        methods = [Measured(of, name) for of, names in METHODS.items() for name in names if _there(name)]
        methods = [Measured("forward", name) for name in (next(iter(METHODS["forward"])), OURS)] if latency else methods
        for number in range(size.rounds):
            for method in methods:
                bench.measure(method, size.rows_of(method.direction, method.name))
            told = (f"{of.direction}: {of.name} {of.client[-1]:,.1f}" for of in methods)
            tell(f"round {number + 1} of {size.rounds}, us a row: {', '.join(told)}")
    return Benchmark(tuple(methods))


def _there(method: str) -> bool:
    return method != "awswrangler" or find_spec(method) is not None


class Bench:
    """The server and the endpoint."""

    def __init__(self, server: MySQLServer, port: int) -> None:
        self.server, self.port = server, port
        self.connection, self._filled = open_server(server.info), 0
        self.environment = own_environment(
            AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}", AWS_ACCESS_KEY_ID="bench", AWS_SECRET_ACCESS_KEY="bench",  # noqa: S106
            AWS_DEFAULT_REGION="us-east-1", DATAOPS_CONTROL_TABLE="control",
        )  # fmt: skip

    def fill(self, rows: int) -> None:
        """The source's rows 1 to `rows`, 1,000 or more of them, and an empty target. May be called again, for more."""
        others, there = ", ".join(table.NAMES[1:]), self._filled or table.TEMPLATES
        with self.connection.cursor() as cursor:
            if not self._filled:
                for name in (SOURCE, TARGET):
                    cursor.execute(f"CREATE TABLE {name} {table.DEFINITION}")
                values = [(n, *table.values_of(n % table.TEMPLATES)) for n in range(1, table.TEMPLATES + 1)]
                cursor.executemany(f"INSERT INTO {SOURCE} VALUES ({', '.join(['%s'] * len(table.NAMES))})", values)
            while there < rows:
                cursor.execute(
                    f"INSERT INTO {SOURCE} SELECT id + {there:d}, {others} FROM {SOURCE} "
                    f"WHERE id <= {min(rows - there, MOST_FILLED):d}"
                )
                self.connection.commit()
                there += min(there, rows - there, MOST_FILLED)
        self.connection.commit()
        self._filled = rows

    def measure(self, method: Measured, rows: int) -> None:
        """One run of one method, and whether every row came as it should."""
        self.hold(rows, nulls=method.name != "awswrangler", chunks=1 if method.name == OURS else 0)
        done = self.work(method.direction, method.name, rows)
        method.client.append(done.cpu / rows * MICRO)
        method.server.append(done.server_cpu / rows * MICRO)
        method.rate.append(rows / done.wall)
        if method.direction == "forward":
            method.differences += self.check_items() if method.checked else 0
        else:
            method.differences += self.compare(done.table, rows)

    def hold(self, rows: int, *, nulls: bool = True, chunks: int = 0) -> None:
        """Have the endpoint hold so many items, and expect so many; `nulls` says whether NULLs are to come as such.

        Each item is to come with the stamp of one of the `chunks` first chunks; with none where there are none.
        """
        info = self.server.info
        secret = {"host": info.host, "port": info.port, "username": info.user, "password": info.password}
        secret |= {"dbname": info.database, "tls": "off"}
        first = GENERATION * STAMP_CHUNKS * STAMP_ATTEMPTS
        stamps = [str(first + chunk * STAMP_ATTEMPTS) for chunk in range(chunks)]
        held = {"rows": {NAME: rows, WARM: WARM_ROWS}, "stamp": first, "stamps": stamps}
        self._ask("Hold", {**held, "secret": secret, "nulls": nulls})

    def check_items(self) -> int:
        """Items that the endpoint was not sent as it should have been, or that it should not have been sent."""
        return int(self._ask("Check", {"table": NAME})["differences"])

    def work(self, direction: str, method: str, rows: int) -> Done:
        """Have a method move the rows, in a process of its own."""
        work = Work(direction, method, NAME, rows, self.server.info, self.server.pid or 0)
        command = [sys.executable, "-P", "-m", "dataops.local.bench.worker"]
        done = subprocess.run(
            command, input=msgspec.json.encode(work), env=self.environment, capture_output=True, check=False
        )
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise StackError(
                f"bench: {work.direction} by {work.method}: ended with status {done.returncode}: {said[-200:]}"
            )
        return msgspec.json.decode(done.stdout, type=Done)

    def compare(self, loaded: str, rows: int) -> int:
        """Rows of a table that the server itself finds wrong or missing, and those that should not be there; drops it."""
        name = quote_name(loaded)
        same = " AND ".join(f"CAST(t.{n} AS BINARY) <=> CAST({_expected(n)} AS BINARY)" for n in table.NAMES)
        join = f"FROM {SOURCE} s JOIN {name} t ON t.id = s.id AND s.id <= %s WHERE {same}"
        self.connection.commit()
        right, there = (
            int(execute(self.connection, sql, arguments)[0][0])
            for sql, arguments in ((f"SELECT COUNT(*) {join}", (rows,)), (f"SELECT COUNT(*) FROM {name}", ()))
        )
        execute(self.connection, f"DROP TABLE {name}")
        return rows - right + there - right

    def _ask(self, operation: str, body: dict[str, Any]) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("POST", "/", json.dumps(body), {"X-Amz-Target": f"Bench.{operation}"})
        return json.loads(connection.getresponse().read())


def _spread(values: list[float]) -> tuple[float, float, float]:
    """Median, least and most."""
    return round(statistics.median(values), 2), round(min(values), 2), round(max(values), 2)


def _expected(name: str) -> str:
    """A nullable text's '' is NULL in DynamoDB and stays it; elsewhere it comes back."""
    return "NULLIF(s.memo, '')" if name == "memo" else f"s.{name}"


@contextmanager
def open_bench(folder: Path, flavor: Flavor | None, latency: int = 0) -> Iterator[Bench]:
    """The server and the endpoint, running, in a folder of their own; the endpoint answers so many milliseconds late."""
    spawner, port = Spawner(), free_port()
    server = MySQLServer(find_program(flavor), folder / "m", "bench", spawner)
    log = folder / "endpoint.log"
    command = [sys.executable, "-P", "-m", "dataops.local.bench.endpoint", str(port), str(latency)]
    endpoint = spawner.spawn(command, log=log, environment=own_environment())
    try:
        server.create()
        _give_memory(server)
        wait_until(lambda: _answers(port), endpoint, "the benchmark's endpoint", log, 60)
        bench = Bench(server, port)
        yield bench
        bench.connection.close()
    finally:
        server.stop()
        end_process(endpoint)


def _give_memory(server: MySQLServer) -> None:
    """Room for all rows: the lean server of the stack would write pages all the while, whoever loads it."""
    log = "innodb_log_file_size" if server.program.flavor == "mariadb" else "innodb_redo_log_capacity"
    with server.connect_root() as root, root.cursor() as cursor, suppress(pymysql.MySQLError):
        for name in ("innodb_buffer_pool_size", log):  # a server too old to change the second keeps what it has
            cursor.execute(f"SET GLOBAL {name} = {SERVER_BYTES}")


def _answers(port: int) -> bool:
    try:
        http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()
    except OSError:
        return False
    return True
