"""Finding a server program: the one that is named, the one that is installed, or the one that apt gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataops.errors import StackError
from dataops.local import mysqld
from dataops.local.mysqld import FLAVORS, Flavor, Program, find_program


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


@pytest.mark.parametrize(("flavor", "name"), [("mysql", "mysqld"), ("mariadb", "mariadbd")])
def test_program_of_the_flavor_is_taken_and_others_passed_over(bare: Path, flavor: Flavor, name: str) -> None:
    write_program(bare / "bin/mariadbd", "echo 'mariadbd  Ver 10.11.19-MariaDB'")
    write_program(bare / "bin/mysqld", "echo 'mysqld  Ver 8.4.3 for Linux on x86_64'")
    program = find_program(flavor)
    assert (program.path, program.flavor) == (bare / "bin" / name, flavor)


def test_mysqld_that_is_mariadb_is_no_mysql(bare: Path) -> None:
    write_program(bare / "bin/mysqld", "echo 'mysqld  Ver 10.6.1-MariaDB'")
    with pytest.raises(StackError, match=r"^no MySQL server found, .*: install one .*mysql"):
        find_program("mysql")


@pytest.mark.parametrize(("asked", "flavor"), [(None, "mysql"), ("mariadb", "mariadb")])
def test_flavor_in_the_variable_counts_where_none_is_asked_for(
    bare: Path, monkeypatch: pytest.MonkeyPatch, asked: Flavor | None, flavor: str
) -> None:
    write_program(bare / "bin/mariadbd", "echo 'mariadbd  Ver 10.11.19-MariaDB'")
    write_program(bare / "bin/mysqld", "echo 'mysqld  Ver 8.4.3 for Linux on x86_64'")
    monkeypatch.setenv("DATAOPS_MYSQLD", "mysql")
    assert find_program(asked).flavor == flavor


def test_named_program_is_passed_over_where_the_other_flavor_is_asked_for(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAOPS_MYSQLD", str(write_program(bare / "opt/named", "echo 'Ver 10.6.1-MariaDB'")))
    write_program(bare / "bin/mysqld", "echo 'mysqld  Ver 8.4.3 for Linux on x86_64'")
    assert [find_program(flavor).path.name for flavor in (None, "mariadb", "mysql")] == ["named", "named", "mysqld"]


@pytest.mark.parametrize(
    ("flavor", "message"),
    [
        (None, r"^no MySQL or MariaDB server found, .*: install one .*mariadb.*mysql-server"),
        ("mariadb", r"^no MariaDB server found, .*: install one .*apt install mariadb-server-core"),
        ("mysql", r"^no MySQL server found, .*: install one .*apt install mysql-server"),
    ],
)
def test_machine_without_server_and_apt_is_told_what_to_install(
    bare: Path, flavor: Flavor | None, message: str
) -> None:
    with pytest.raises(StackError, match=message) as refused:
        find_program(flavor)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_failed_download_is_one_line_and_leaves_nothing(bare: Path, flavor: Flavor) -> None:
    write_program(bare / "bin/apt-get", "echo 'W: first' >&2; echo 'E: no network' >&2; exit 100")
    write_program(bare / "bin/dpkg", "exit 1")
    with pytest.raises(StackError, match=r"apt-get could not fetch one \(E: no network\): install one") as refused:
        find_program(flavor)
    assert "\n" not in str(refused.value)
    assert list((bare / ".cache/dataops").iterdir()) == []


APT = """echo "$@" >> {log}
case "$*" in
  *simulate*) echo 'Inst libaio1 (0.3)'; echo 'Inst perl (5)'; echo 'Inst mariadb-server-core (10.11)';;
  *download*) : > p.deb;;
esac
"""
UNPACK = """PATH=/bin:/usr/bin; mkdir -p "$3/usr/sbin"
printf '#!/bin/sh\\n{script}\\n' > "$3/usr/sbin/mariadbd"; chmod +x "$3/usr/sbin/mariadbd"
"""


def test_package_is_fetched_once_with_its_libraries(bare: Path) -> None:
    log = bare / "log"
    write_program(bare / "bin/apt-get", APT.format(log=log))
    write_program(bare / "bin/apt-cache", "echo 'mariadb-server-core - server'")
    write_program(bare / "bin/dpkg", UNPACK.format(script="echo Ver 10.11.19-MariaDB"))
    assert find_program("mariadb") == find_program()
    assert find_program().root == bare / ".cache/dataops/mariadb"
    update, _, download = log.read_text().splitlines()
    assert "Dir::State::lists=" in update
    assert download.endswith("download mariadb-server-core libaio1")
    assert [path.name for path in (bare / ".cache/dataops").iterdir()] == ["mariadb"]


def test_package_that_does_not_run_is_not_kept(bare: Path) -> None:
    write_program(bare / "bin/apt-get", APT.format(log="/dev/null"))
    write_program(bare / "bin/apt-cache", "echo 'mariadb-server-core - server'")
    write_program(bare / "bin/dpkg", UNPACK.format(script="exit 1"))
    with pytest.raises(StackError, match="is no MySQL or MariaDB server that runs here"):
        find_program()
    assert list((bare / ".cache/dataops").iterdir()) == []


def test_tree_with_a_loader_of_its_own_is_run_by_it(tmp_path: Path) -> None:
    libraries = tmp_path / "usr/lib/aarch64-linux-gnu"
    write_program(libraries / "ld-linux-aarch64.so.1", "")
    (tmp_path / "usr/lib/mysql/private").mkdir(parents=True)
    program = Program(tmp_path / "usr/sbin/mysqld", "mysql", "9.7.4", tmp_path)
    path = f"{libraries}:{tmp_path}/usr/lib/mysql/private"
    assert program.command == [f"{libraries}/ld-linux-aarch64.so.1", "--library-path", path, str(program.path)]
    assert f"--basedir={tmp_path}/usr" in program.flags
    assert program.environment == {}


def test_tree_without_a_loader_runs_on_the_machines_own(tmp_path: Path) -> None:
    (tmp_path / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    program = Program(tmp_path / "usr/sbin/mariadbd", "mariadb", "10.11.19", tmp_path)
    assert program.command == [str(program.path)]
    assert program.environment == {"LD_LIBRARY_PATH": f"{tmp_path}/usr/lib/x86_64-linux-gnu"}
