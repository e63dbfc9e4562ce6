"""Find a MySQL-protocol server program: on PATH, named by DATAOPS_MYSQLD, or a package in the user's cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from dataops.errors import StackError
from dataops.local.apt import Package, fetch_package

Flavor = Literal["mariadb", "mysql"]
FLAVORS: tuple[Flavor, ...] = ("mariadb", "mysql")
PACKAGES: dict[Flavor, Package] = {
    "mariadb": Package(
        name=r"mariadb-server-core(-[0-9.]+)?", program="usr/sbin/mariadbd",
        libraries=r"lib(aio|uring|numa|pcre2|ssl|snappy|lz4|zstd)[\w.+-]*",
    ),
    "mysql": Package(
        name=r"mysql-server-core(-[0-9.]+)?", program="usr/sbin/mysqld",
        libraries=r"(lib(?!perl|c-gconv)|zlib)[\w.+-]*", suite="sid",
    ),
}  # fmt: skip
"""MariaDB's runs on the machine's C library; MySQL's may come from a newer Debian and brings all that it is linked to."""

INSTALL: dict[Flavor | None, str] = {
    None: "Debian, Ubuntu: apt install mariadb-server-core; macOS: brew install mariadb; conda: mysql-server",
    "mariadb": "Debian, Ubuntu: apt install mariadb-server-core; macOS: brew install mariadb",
    "mysql": "Ubuntu: apt install mysql-server; macOS: brew install mysql; conda: mysql-server",
}

PLACES = f"{sys.prefix}/bin:/usr/sbin:/usr/local/sbin:/usr/libexec"
"""Where to look beside PATH: the environment that runs this (conda), and where distributions put servers."""


class Program(msgspec.Struct, frozen=True):
    """A server program. `root` is the folder of an unpacked package (None: installed in the system)."""

    path: Path
    flavor: str
    version: str
    root: Path | None = None

    @property
    def command(self) -> list[str]:
        """How to run the program: by the loader of its own tree, where that has one (its C library goes with it)."""
        loader = next((file for folder in self._libraries for file in folder.glob("ld-linux-*.so.*")), None)
        return [*([str(loader), "--library-path", self._library_path] if loader else []), str(self.path)]

    @property
    def flags(self) -> list[str]:
        """What the program needs to be told to find its files."""
        if self.root is None:
            return []
        share = self.share
        return [
            f"--basedir={self.root / 'usr'}", f"--lc-messages-dir={share}", f"--character-sets-dir={share}/charsets",
        ]  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the program needs to find its libraries."""
        return {"LD_LIBRARY_PATH": self._library_path} if len(self.command) == 1 and self.root else {}

    @property
    def _libraries(self) -> list[Path]:
        """The folders of an unpacked package's libraries."""
        patterns = ("usr/lib/*-linux-gnu*", "lib/*-linux-gnu*", "usr/lib/mysql/private")
        return [path for pattern in patterns if self.root for path in sorted(self.root.glob(pattern))]

    @property
    def _library_path(self) -> str:
        return ":".join(map(str, self._libraries))

    @property
    def share(self) -> Path:
        """The folder with the server's SQL files and messages."""
        if self.root is not None:
            return self.root / "usr/share/mysql"
        places = (self.path.resolve().parent.parent / "share" / name for name in ("mysql", "mariadb", "."))
        for place in (*places, Path("/usr/share/mysql"), Path("/usr/share/mariadb")):
            if (place / "mysql_system_tables.sql").exists() or (place / "english").exists():
                return place
        return Path("/usr/share/mysql")


def find_program(flavor: Flavor | None = None) -> Program:
    """The server program to use, of that flavor or (None) of any.

    The one that DATAOPS_MYSQLD names (a path; or a flavor, for when none is asked for), one that is installed, or the
    package in the user's cache, fetched first where it is not there yet. Raises StackError, one line, naming what to
    install, when there is none.
    """
    named = os.environ.get("DATAOPS_MYSQLD")
    word = next((each for each in FLAVORS if each == named), None)
    flavor = flavor or word
    for path in _installed(None if word else named):
        program = _identify(path, None)
        if flavor in (None, program.flavor):
            return program
    try:
        root = cached_package(flavor or "mariadb")
    except StackError as error:
        wanted = {None: "MySQL or MariaDB", "mariadb": "MariaDB", "mysql": "MySQL"}[flavor]
        raise StackError(f"no {wanted} server found, and {error}: install one ({INSTALL[flavor]})") from error
    return _identify(root / PACKAGES[flavor or "mariadb"].program, root)


def _installed(named: str | None) -> Iterator[Path]:
    if named:
        if not os.access(named, os.X_OK):
            raise StackError(f"DATAOPS_MYSQLD: expected mariadb, mysql or a server program, found none at {named}")
        yield Path(named)
    for name in ("mariadbd", "mysqld"):
        path = shutil.which(name) or shutil.which(name, path=PLACES)
        if path:
            yield Path(path)


def cache_folder() -> Path:
    """Where this user's copies of what takes long to get are; it may not be there yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dataops"


def cached_package(flavor: Flavor) -> Path:
    """A server's package, unpacked in the user's cache; fetched first where it is not there yet. Raises StackError."""
    package, cache = PACKAGES[flavor], cache_folder() / flavor
    if (cache / package.program).exists():
        return cache
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise StackError("this machine has no apt-get to fetch one")
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent) as work:
        tree = fetch_package(package, Path(work))
        _identify(tree / package.program, tree)
        try:
            tree.rename(cache)
        except OSError:  # another process was quicker
            if not (cache / package.program).exists():
                raise
    return cache


def _identify(path: Path, root: Path | None) -> Program:
    program = Program(path, "", "", root)
    done = subprocess.run(
        [*program.command, "--no-defaults", "--version"], capture_output=True, text=True, check=False,
        env={**os.environ, **program.environment},
    )  # fmt: skip
    found = re.search(r"Ver (\d[\w.]*)", done.stdout)
    if not found:
        raise StackError(f"{path}: is no MySQL or MariaDB server that runs here: {done.stderr.strip()[-200:]}")
    flavor = "mariadb" if "mariadb" in done.stdout.lower() else "mysql"
    return Program(path, flavor, found[1], root)
