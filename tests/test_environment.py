"""environment.yml, pyproject.toml and what is installed say the same."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from rattler import MatchSpec, Version, VersionSpec

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINES = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
CONDA = [line for line in LINES if isinstance(line, str)]


def test_every_runtime_dependency_stands_in_both_with_the_same_range():
    ours = {Requirement(line).name: str(Requirement(line).specifier) for line in PROJECT["dependencies"]}
    others = {line.split(">")[0]: line[len(line.split(">")[0]) :] for line in CONDA}
    shared = {name: ",".join(sorted(others[name].split(","), reverse=True)) for name in ours}
    assert shared == {name: ",".join(sorted(spec.split(","), reverse=True)) for name, spec in ours.items()}


@pytest.mark.parametrize("line", CONDA)
def test_conda_reads_the_line_strictly(line):
    assert MatchSpec(line, strict=True).name is not None


@pytest.mark.parametrize("line", PROJECT["dependencies"])
def test_what_is_installed_satisfies_the_conda_range(line):
    name = Requirement(line).name
    spec = next(entry for entry in CONDA if entry.startswith(f"{name}>"))
    assert VersionSpec(spec.removeprefix(name)).matches(Version(version(name)))


def test_conda_ends_with_this_package_and_its_extras():
    assert LINES[-1] == {"pip": ["-e .[local,dev]"]}
    assert {"local", "dev"} <= set(PROJECT["optional-dependencies"])


def test_conda_brings_the_embedded_server():
    assert any(line.startswith("mysql-server") for line in CONDA)
