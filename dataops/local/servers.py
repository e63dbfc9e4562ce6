"""A private MySQL or MariaDB server: its own folder, a loopback port, a password nobody chose."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pymysql

from dataops.errors import StackError
from dataops.local.mysqld import Program, cache_folder
from dataops.local.spawn import (
    STARTS,
    Spawner,
    end_process,
    free_port,
    kill_process,
    last_line,
    own_environment,
    wait_until,
)

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

SQL_MODE = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
USER = "dataops"


_MAKING = threading.Lock()


class ServerInfo(msgspec.Struct, frozen=True):
    """Where a server is and how to log in."""

    host: str
    port: int
    user: str
    password: str
    database: str
    flavor: str
    version: str


class MySQLServer:
    """One server process on a data folder of its own."""

    def __init__(self, program: Program, folder: Path, database: str, spawner: Spawner) -> None:
        self.program, self.folder, self.database = program, folder, database
        self.password, self.port = secrets.token_urlsafe(18), 0
        self._root = ""
        self._spawner = spawner
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def info(self) -> ServerInfo:
        """Address and credentials."""
        program = self.program
        return ServerInfo("127.0.0.1", self.port, USER, self.password, self.database, program.flavor, program.version)

    @property
    def pid(self) -> int | None:
        """The server's process id, while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def create(self) -> None:
        """Make the data folder, start, and create the database and the user. Raises StackError."""
        (self.folder / "tmp").mkdir(parents=True)
        self._initialize()
        self.start()
        with self.connect_root() as root, root.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE `{self.database}` CHARACTER SET utf8mb4")
            cursor.execute(f"CREATE USER '{USER}'@'%%' IDENTIFIED BY %s", (self.password,))
            cursor.execute(f"GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION")
            self._lock_root(cursor)
        self._log_in()

    def start(self) -> None:
        """Start on the data folder as it is; returns when connections are taken. Raises StackError."""
        for attempt in range(STARTS):
            self.port = self.port or free_port()
            command = [*self._command(), f"--port={self.port}", *self._running_flags()]
            environment = own_environment(**self.program.environment)
            self._process = self._spawner.spawn(command, log=self._log, environment=environment)
            try:
                wait_until(self._answers, self._process, f"{self.database} server", self._log, 60)
                break
            except StackError:
                self.kill()
                self.port = 0
                if attempt == STARTS - 1 or "in use" not in self._log.read_text("utf-8", "replace"):
                    raise
        if self._root:
            self._log_in()

    def stop(self) -> None:
        """Shut the server down."""
        if self._process:
            end_process(self._process)

    def kill(self) -> None:
        """Kill the server as a power cut would."""
        if self._process:
            kill_process(self._process)

    def restart(self) -> None:
        """Start again, on the same data and port, after `stop` or `kill` or an end of its own. Raises StackError."""
        self.stop()
        self.start()

    def connect_root(self) -> Connection:
        """A connection as root, over the socket in the private folder; the only way in for root."""
        return pymysql.connect(
            unix_socket=str(self._socket), user="root", password=self._root, charset="utf8mb4", ssl_disabled=True
        )

    def _lock_root(self, cursor: Cursor) -> None:
        """Give root a password, and drop the accounts that a bootstrap leaves for other hosts or for anybody."""
        cursor.execute(
            "SELECT user, host FROM mysql.user WHERE user IN ('', 'root') AND (user, host) <> ('root', 'localhost')"
        )
        for user, host in cursor.fetchall():
            cursor.execute("DROP USER %s@%s", (user, host))
        self._root = secrets.token_urlsafe(18)
        cursor.execute("ALTER USER 'root'@'localhost' IDENTIFIED BY %s", (self._root,))

    def _log_in(self) -> None:
        """Log in once over the socket: MySQL then takes the password over TCP without TLS (caching_sha2_password)."""
        pymysql.connect(unix_socket=str(self._socket), user=USER, password=self.password, ssl_disabled=True).close()

    @property
    def _socket(self) -> Path:
        return self.folder / "s"

    @property
    def _log(self) -> Path:
        return self.folder.with_suffix(".log")

    def _command(self) -> list[str]:
        command = [*self.program.command, "--no-defaults", *self.program.flags, f"--datadir={self.folder / 'data'}"]
        command.append(f"--tmpdir={self.folder / 'tmp'}")  # a start deletes the temporary tables of all who share it
        command.append("--innodb-use-native-aio=0")  # the kernel's limit on locked memory is soon used up
        if os.geteuid() == 0:
            command.append("--user=root")
        return command

    def _running_flags(self) -> list[str]:
        flags = [
            "--bind-address=127.0.0.1", f"--socket={self._socket}", f"--pid-file={self.folder / 'pid'}",
            "--skip-log-bin", "--innodb-buffer-pool-size=32M", "--innodb-doublewrite=0",
            "--innodb-flush-log-at-trx-commit=2", "--character-set-server=utf8mb4", "--default-time-zone=+00:00",
            f"--sql-mode={SQL_MODE}", "--local-infile=1", "--secure-file-priv=", "--skip-name-resolve",
        ]  # fmt: skip
        if self.program.flavor == "mariadb":
            return [
                *flags,
                "--innodb-log-file-size=10M",
                "--aria-log-file-size=8M",
                "--collation-server=utf8mb4_general_ci",
            ]
        return [*flags, "--mysqlx=OFF", "--innodb-redo-log-capacity=8M", "--performance-schema=OFF"]

    def _initialize(self) -> None:
        data = self.folder / "data"
        if self.program.flavor == "mysql":
            shutil.copytree(self._template(), data)
            return
        (data / "mysql").mkdir(parents=True)
        names = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")
        head = "create database if not exists mysql;\nuse mysql;\nSET @auth_root_socket=NULL;\n"
        script = head + "\n".join((self.program.share / name).read_text("utf-8") for name in names)
        flags = [
            "--bootstrap",
            "--innodb-log-file-size=10M",
            "--aria-log-file-size=8M",
            "--innodb-buffer-pool-size=32M",
        ]
        self._run_once([*self._command(), *flags, "--skip-log-bin"], script)

    def _template(self) -> Path:
        """MySQL's data folder as it is before the first start: made once a version, for making takes seconds."""
        name = f"mysql-{self.program.version}-data"
        with _MAKING:
            template = _writable_cache(self.folder) / name
            if not template.exists():
                with tempfile.TemporaryDirectory(dir=template.parent) as work:
                    flags = [f"--datadir={work}/{name}", "--initialize-insecure", "--skip-log-bin"]
                    lean = ["--innodb-redo-log-capacity=8M", "--innodb-doublewrite=0"]
                    self._run_once([*self._command(), *flags, *lean], None)
                    (Path(work) / name / "auto.cnf").unlink(missing_ok=True)  # each server makes an id of its own
                    with suppress(OSError):  # another process was quicker
                        (Path(work) / name).rename(template)
        return template

    def _run_once(self, command: list[str], script: str | None) -> None:
        with self._log.open("ab") as log:
            done = subprocess.run(
                command, input=(script or "").encode(), stdout=log, stderr=log, check=False, timeout=120,
                env=own_environment(**self.program.environment),
            )  # fmt: skip
        if done.returncode:
            raise StackError(f"{self.database} server: initializing its data folder failed: {last_line(self._log)}")

    def _answers(self) -> bool:
        try:
            self.connect_root().close()
        except pymysql.MySQLError:
            return False
        return True


def _writable_cache(otherwise: Path) -> Path:
    """The user's cache, or another folder where there can be none."""
    cache = cache_folder()
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return otherwise
    return cache if os.access(cache, os.W_OK) else otherwise
