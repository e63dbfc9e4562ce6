"""Finding a server program: the one that is named, the one that is installed, or the one that apt gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataops.errors import StackError
from dataops.local import mysqld
from dataops.local.mysqld import cached_package, find_program


def write_program(path: Path, script: str) -> Path:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no server, no package tools and an empty cache; `bin` is its PATH."""
    for name in ("DATAOPS_MYSQLD", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(mysqld, "PLACES", "")
    return tmp_path


@pytest.mark.parametrize(
    ("told", "flavor", "version"),
    [
        ("mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64", "mariadb", "10.11.19"),
        ("/usr/sbin/mysqld  Ver 9.7.0 for Linux on x86_64 (MySQL Community Server - GPL)", "mysql", "9.7.0"),
    ],
)
def test_named_program_is_taken(
    bare: Path, monkeypatch: pytest.MonkeyPatch, told: str, flavor: str, version: str
) -> None:
    wrapper = write_program(bare / "opt/wrapper", f"echo '{told}'")
    monkeypatch.setenv("DATAOPS_MYSQLD", str(wrapper))
    program = find_program()
    assert (program.path, program.flavor, program.version) == (wrapper, flavor, version)


def test_named_program_that_is_not_there_is_an_error(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAOPS_MYSQLD", "/nowhere/mysqld")
    with pytest.raises(StackError, match=r"DATAOPS_MYSQLD: expected .* found none at /nowhere/mysqld"):
        find_program()


def test_program_on_the_path_is_taken(bare: Path) -> None:
    write_program(bare / "bin/mysqld", "echo 'mysqld  Ver 8.4.3 for Linux on x86_64'")
    assert find_program().path == bare / "bin/mysqld"


def test_machine_without_server_and_apt_is_told_what_to_install(bare: Path) -> None:
    with pytest.raises(StackError, match=r"^no MySQL or MariaDB server found: install one .*mariadb") as refused:
        find_program()
    assert "\n" not in str(refused.value)


def test_failed_download_is_one_line_and_leaves_nothing(bare: Path) -> None:
    write_program(bare / "bin/apt-get", "echo 'W: first' >&2; echo 'E: no network' >&2; exit 100")
    write_program(bare / "bin/dpkg", "exit 1")
    with pytest.raises(StackError, match=r"apt-get could not fetch one \(E: no network\)") as refused:
        cached_package()
    assert "\n" not in str(refused.value)
    assert list((bare / ".cache/dataops").iterdir()) == []


def test_package_is_fetched_once_with_its_libraries(bare: Path) -> None:
    log = bare / "log"
    write_program(bare / "bin/apt-get", f'echo "$@" >> {log}; case "$*" in *download*) : > p.deb;; esac')
    write_program(bare / "bin/apt-cache", "echo '  Depends: libaio1'; echo '  Depends: galera'")
    write_program(bare / "bin/dpkg", 'PATH=/bin:/usr/bin; mkdir -p "$3/usr/sbin"; : > "$3/usr/sbin/mariadbd"')
    assert cached_package() == cached_package() == bare / ".cache/dataops/mariadb"
    update, download = log.read_text().splitlines()
    assert "Dir::State::lists=" in update
    assert download.endswith("download mariadb-server-core libaio1")
    assert [path.name for path in (bare / ".cache/dataops").iterdir()] == ["mariadb"]
