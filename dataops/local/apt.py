"""Fetch a Debian or Ubuntu package with apt's own tools and unpack it: no root needed, the machine's lists untouched."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import msgspec

from dataops.errors import StackError

ETC = Path("/etc/apt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
UNUSED = ("bin", "share/doc", "share/man", "share/locale")
"""What of an unpacked tree's `usr` no server needs."""

_LINE = re.compile(r"^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)", re.MULTILINE)
_FIELD = re.compile(r"^([\w-]+):(.*(?:\n[ \t].*)*)", re.MULTILINE)


class Package(msgspec.Struct, frozen=True):
    """A package to fetch. `name` and `libraries` (which of all that it depends on) are patterns.

    `suite` is the suite of Debian's that has it, where the machine's own sources do not.
    """

    name: str
    program: str
    libraries: str
    suite: str | None = None


def fetch_package(package: Package, work: Path) -> Path:
    """Download a package and its libraries into an empty folder; gives the tree that they unpack to.

    Raises StackError, the part of a line that says what could not be done.
    """
    apt = _Apt(work)
    apt.run("apt-get", "update")
    name = apt.search(package.name)
    if name is None and package.suite and (uri := apt.debian_mirror()):
        apt.use_source(f"deb {_signed_by(uri)}{uri} {package.suite} main\n")
        apt.run("apt-get", "update")
        name = apt.search(package.name)
    if name is None:
        raise StackError("apt-get knows no package of one")
    plan = apt.run("apt-get", "install", "--simulate", "--no-install-recommends", name)
    needed = [each for each in re.findall(r"^Inst (\S+)", plan, re.MULTILINE) if re.fullmatch(package.libraries, each)]
    apt.run("apt-get", "download", name, *needed)
    for file in sorted(work.glob("*.deb")):
        _run(["dpkg", "-x", str(file), "tree"], work)
    for unused in UNUSED:
        shutil.rmtree(work / "tree/usr" / unused, ignore_errors=True)
    return work / "tree"


def read_keyrings(text: str) -> dict[str, str]:
    """The keyrings, comma between, that a file of apt's sources names for each URI; of either format (sources.list(5)).

    "" where it names none, or a key that is no file.
    """
    found = {}
    for options, uri in _LINE.findall(text):
        named = re.search(r"signed-by=(\S+)", options)
        found[uri] = named[1] if named else ""
    for stanza in re.split(r"\n\s*\n", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)):
        fields = {name.lower(): value.split() for name, value in _FIELD.findall(stanza)}
        found.update(dict.fromkeys(fields.get("uris", ()), ",".join(fields.get("signed-by", ()))))
    return {uri.rstrip("/"): keyrings if keyrings.startswith("/") else "" for uri, keyrings in found.items()}


def _signed_by(uri: str) -> str:
    """The option that has apt check signatures with the keyring of that mirror, or else with Debian's."""
    files = [ETC / "sources.list", *sorted(ETC.glob("sources.list.d/*"))]
    named = [read_keyrings(file.read_text("utf-8", "replace")).get(uri.rstrip("/")) for file in files if file.is_file()]
    keyring = next(filter(None, [*named, str(KEYRING) if KEYRING.exists() else ""]), None)
    return f"[signed-by={keyring}] " if keyring else ""


class _Apt:
    """apt's tools on lists, caches and a record of installed packages (none) of their own, all in one folder."""

    def __init__(self, work: Path) -> None:
        for folder in ("lists/partial", "cache/archives/partial", "tree"):
            (work / folder).mkdir(parents=True)
        (work / "status").touch()
        self._work = work
        self._settings = {
            "Dir::State::lists": f"{work}/lists", "Dir::State::status": f"{work}/status", "Dir::Cache": f"{work}/cache",
            "Dir::Etc::preferences": "/dev/null", "Dir::Etc::preferencesparts": "/dev/null", "APT::Default-Release": "",
            "Acquire::Languages": "none", "Debug::NoLocking": "1", "APT::Sandbox::User": "root",
        }  # fmt: skip

    def run(self, tool: str, *arguments: str) -> str:
        """What a tool of apt's prints. Raises StackError."""
        settings = [part for name, value in self._settings.items() for part in ("-o", f"{name}={value}")]
        return _run([tool, "-q", *settings, *arguments], self._work)

    def search(self, pattern: str) -> str | None:
        """The package of that name; the one without a version in its name where there are several."""
        return min(
            re.findall(r"^(\S+) - ", self.run("apt-cache", "search", "--names-only", f"^{pattern}$"), re.M),
            default=None,
        )

    def debian_mirror(self) -> str | None:
        """The URI of Debian's archive in the machine's own sources."""
        targets = self.run("apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)")
        found = re.search(r"^Debian Debian (\S+)$", targets, re.MULTILINE)
        return found[1] if found else None

    def use_source(self, line: str) -> None:
        """From now on this source only."""
        (self._work / "sources.list").write_text(line)
        self._settings["Dir::Etc::sourcelist"] = f"{self._work}/sources.list"
        self._settings["Dir::Etc::sourceparts"] = "/dev/null"


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise StackError(f"{command[0]} could not fetch one ({last})")
    return done.stdout
