"""Find a MySQL-protocol server program: on PATH, named by DATAOPS_MYSQLD, or MariaDB's package in the user's cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from dataops.errors import StackError

PACKAGE = "mariadb-server-core"
LIBRARIES = re.compile(r"^\s*Depends: (lib(?:aio|uring|numa|pcre2|ssl|snappy|lz4|zstd)[\w.+-]*)", re.MULTILINE)
INSTALL = (
    "install one (Debian, Ubuntu: apt install mariadb-server-core; macOS: brew install mariadb; conda: mysql-server)"
)

PLACES = f"{sys.prefix}/bin:/usr/sbin:/usr/local/sbin:/usr/libexec"
"""Where to look beside PATH: the environment that runs this (conda), and where distributions put servers."""


class Program(msgspec.Struct, frozen=True):
    """A server program. `root` is the folder of an unpacked package (None: installed in the system)."""

    path: Path
    flavor: str
    version: str
    root: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the program needs to find its libraries."""
        if self.root is None:
            return {}
        folders = [str(path) for path in sorted((self.root / "usr/lib").glob("*-linux-gnu*"))]
        return {"LD_LIBRARY_PATH": ":".join(folders)}

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


def find_program() -> Program:
    """The server program to use. Raises StackError, one line, naming what to install, when there is none."""
    named = os.environ.get("DATAOPS_MYSQLD")
    if named:
        if not os.access(named, os.X_OK):
            raise StackError(f"DATAOPS_MYSQLD: expected a mysqld or mariadbd program, found none at {named}")
        return _identify(Path(named), None)
    for name in ("mariadbd", "mysqld"):
        path = shutil.which(name) or shutil.which(name, path=PLACES)
        if path:
            return _identify(Path(path), None)
    root = cached_package()
    return _identify(root / "usr/sbin/mariadbd", root)


def cache_folder() -> Path:
    """Where this user's copies of what takes long to get are; it may not be there yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dataops"


def cached_package() -> Path:
    """MariaDB's server package, unpacked in the user's cache; fetched first where it is not there yet."""
    cache = cache_folder() / "mariadb"
    if (cache / "usr/sbin/mariadbd").exists():
        return cache
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise StackError(f"no MySQL or MariaDB server found: {INSTALL}")
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent) as work:
        tree = _fetch(Path(work))
        try:
            tree.rename(cache)
        except OSError:  # another process was quicker
            if not (cache / "usr/sbin/mariadbd").exists():
                raise
    return cache


def _fetch(work: Path) -> Path:
    """Download and unpack the package and its libraries with apt's own tools; neither root nor apt's lists needed."""
    for folder in ("lists/partial", "cache/archives/partial", "tree"):
        (work / folder).mkdir(parents=True)
    private = ["-o", f"Dir::State::lists={work}/lists", "-o", f"Dir::Cache={work}/cache"]
    private += ["-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    _run(["apt-get", "-q", *private, "update"], work)
    depends = _run(["apt-cache", *private, "depends", "--no-recommends", "--no-suggests", PACKAGE], work)
    _run(["apt-get", "-q", *private, "download", PACKAGE, *LIBRARIES.findall(depends)], work)
    for package in sorted(work.glob("*.deb")):
        _run(["dpkg", "-x", str(package), str(work / "tree")], work)
    return work / "tree"


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise StackError(f"no MySQL or MariaDB server found, and {command[0]} could not fetch one ({last}): {INSTALL}")
    return done.stdout


def _identify(path: Path, root: Path | None) -> Program:
    program = Program(path, "", "", root)
    done = subprocess.run(
        [str(path), "--no-defaults", "--version"], capture_output=True, text=True, check=False,
        env={**os.environ, **program.environment},
    )  # fmt: skip
    found = re.search(r"Ver (\d[\w.]*)", done.stdout)
    if not found:
        raise StackError(f"{path}: is no MySQL or MariaDB server that runs here: {done.stderr.strip()[-200:]}")
    flavor = "mariadb" if "mariadb" in done.stdout.lower() else "mysql"
    return Program(path, flavor, found[1], root)
