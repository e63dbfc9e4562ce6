"""Reading apt's sources, and what is asked of apt's tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataops.errors import StackError
from dataops.local import apt
from dataops.local.apt import Package, fetch_package, read_keyrings
from tests.local.test_mysqld import write_program

STANZAS = """\
Types: deb
# taken from a snapshot
URIs: http://mirror.test/debian/ http://other.test/debian
Suites: stable stable-updates
Components: main
Signed-By: /keys/debian.gpg
# and of the year before
  /keys/more.gpg

Types: deb
URIs: http://inline.test/debian
Suites: stable
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 /mQINBF

types: deb
uris: http://bare.test/debian
suites: stable
"""
LINES = """\
# deb http://off.test/debian stable main
deb [arch=amd64 signed-by=/keys/debian.gpg,/keys/more.gpg] http://mirror.test/debian/ stable main
deb-src http://source.test/debian stable main
deb http://bare.test/debian stable main contrib
deb [ signed-by=0123ABCD ] http://inline.test/debian stable main
"""
BOTH = "/keys/debian.gpg,/keys/more.gpg"
SERVER = Package(name="server-core", program="usr/sbin/server", libraries="lib.*", suite="newer")


def test_keyrings_are_read_from_stanzas() -> None:
    assert read_keyrings(STANZAS) == {
        "http://mirror.test/debian": BOTH, "http://other.test/debian": BOTH,
        "http://inline.test/debian": "", "http://bare.test/debian": "",
    }  # fmt: skip


def test_keyrings_are_read_from_lines() -> None:
    expected = {"http://mirror.test/debian": BOTH, "http://bare.test/debian": "", "http://inline.test/debian": ""}
    assert read_keyrings(LINES) == expected


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose own sources lack the package, and whose apt tools write down what they are asked."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    monkeypatch.setattr(apt, "ETC", tmp_path / "etc")
    monkeypatch.setattr(apt, "KEYRING", tmp_path / "debian.gpg")
    (tmp_path / "debian.gpg").touch()
    (tmp_path / "etc/sources.list.d").mkdir(parents=True)
    targets = (
        "echo 'Debian Debian-Security http://mirror.test/security'; echo 'Debian Debian http://mirror.test/debian/'"
    )
    write_program(
        tmp_path / "bin/apt-get",
        f'echo "$@" >> {tmp_path}/log; case "$*" in *indextargets*) {targets};; *simulate*) echo "Inst libc6 (2)";; esac',
    )
    write_program(tmp_path / "bin/apt-cache", 'case "$*" in *sourcelist*) echo "server-core - the server";; esac')
    return tmp_path


@pytest.mark.parametrize(
    ("file", "content", "keyring"),
    [("debian.sources", STANZAS, BOTH), ("old.list", LINES, BOTH), ("none.list", "", "{machine}/debian.gpg")],
)
def test_package_of_a_newer_suite_comes_signed_from_the_machines_own_mirror(
    machine: Path, tmp_path: Path, file: str, content: str, keyring: str
) -> None:
    (machine / "etc/sources.list.d" / file).write_text(content)
    fetch_package(SERVER, tmp_path / "got")
    line = (tmp_path / "got/sources.list").read_text()
    assert line == f"deb [signed-by={keyring.format(machine=machine)}] http://mirror.test/debian/ newer main\n"
    last = (machine / "log").read_text().splitlines()[-1]
    assert last.endswith("download server-core libc6")
    assert f"Dir::Etc::sourcelist={tmp_path}/got/sources.list -o Dir::Etc::sourceparts=/dev/null" in last


def test_package_that_no_source_has_is_an_error(machine: Path, tmp_path: Path) -> None:
    write_program(machine / "bin/apt-cache", "exit 0")
    with pytest.raises(StackError, match="knows no package"):
        fetch_package(SERVER, tmp_path / "got")
