"""The zip: the same bytes from the same inputs, exactly what it should hold, importable on its own."""

import io
import os
import re
import stat
import subprocess
import sys
import tomllib
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from dataops.deploy.package import PACKAGE, PYTHONS, VENDOR, build_zip, cache_folder, fetch_wheels, handlers, zip_name
from dataops.errors import BatchFileError
from dataops.local.sandbox import make_runtime
from dataops.workbook.run import list_batches
from tests.samples import batch_of

ROOT = PACKAGE.parent
BUILD = (
    "import sys, os; os.umask(int(sys.argv[1])); from hashlib import sha256; from dataops.deploy.package import *;"
    "from dataops.workbook.run import list_batches; print(sha256(build_zip(list_batches())).hexdigest())"
)


@pytest.fixture(scope="module")
def content():
    return build_zip(list_batches())


def names_in(content):
    return zipfile.ZipFile(io.BytesIO(content)).namelist()


def test_entries_are_sorted_and_carry_no_time_and_no_owner(content):
    entries = zipfile.ZipFile(io.BytesIO(content)).infolist()
    assert [entry.filename for entry in entries] == sorted({entry.filename for entry in entries})
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {stat.filemode(entry.external_attr >> 16) for entry in entries} == {"-rw-r--r--"}
    assert {entry.extra for entry in entries} == {b""}


def test_the_order_of_batches_does_not_change_a_byte(content):
    assert build_zip(list_batches()[::-1]) == content
    assert zip_name(content) == f"dataops-{sha256(content).hexdigest()[:16]}.zip"


def test_a_batch_brings_its_transform_and_the_packages_around_it(tmp_path, monkeypatch):
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    for name in ("outer/__init__.py", "outer/inner/__init__.py", "outer/inner/rows.py", "outer/other.py"):
        (tmp_path / name).write_text(f"# {name}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with_transform = build_zip([batch_of(transform="outer.inner.rows:enrich")])
    added = set(names_in(with_transform)) - set(names_in(build_zip()))
    assert added == {"outer/__init__.py", "outer/inner/__init__.py", "outer/inner/rows.py"}


def test_every_wheel_in_it_is_one_that_the_pins_allow(content, tmp_path):
    allowed = set(re.findall(r"sha256:([0-9a-f]{64})", VENDOR.read_text()))
    wheels = fetch_wheels(cache_folder() / "wheels")
    assert {sha256(wheel.read_bytes()).hexdigest() for wheel in wheels} == allowed
    inside = {name: data for wheel in wheels for name, data in files_of(wheel).items()}
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert all(inside[name] == archive.read(name) for name in names_in(content) if not name.startswith("dataops/"))


def files_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_it_is_hardly_more_than_the_compiled_parts_of_all_pythons_and_architectures(content):
    """msgspec's eight compiled files are six sevenths of it; what else is there has some 300 KB."""
    entries = zipfile.ZipFile(io.BytesIO(content)).infolist()
    others = [entry.compress_size for entry in entries if not entry.filename.endswith(".so")]
    assert sum(others) < 325_000
    assert len(content) < 2_000_000


def test_it_is_small_enough_for_lambda(content):
    unzipped = sum(entry.file_size for entry in zipfile.ZipFile(io.BytesIO(content)).infolist())
    assert len(content) < 50 * 2**20
    assert unzipped < 250 * 2**20


@pytest.mark.parametrize(("zone", "umask"), [("Asia/Tokyo", "0"), ("America/New_York", "63")])
def test_time_zone_umask_and_folder_do_not_change_a_byte(content, tmp_path, zone, umask):
    environment = {**os.environ, "TZ": zone}
    command = [sys.executable, "-c", BUILD, umask]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == sha256(content).hexdigest()


def test_it_holds_the_shared_modules_and_the_two_packages_only(content):
    shared = ("__init__.py", "errors.py", "_wording.py", "batch.py", "flow.py", "core/rds-ca-bundle.pem")
    expected = {f"dataops/{name}" for name in shared}
    expected |= {f"dataops/transforms/{name}.py" for name in ("__init__", "customers")}
    for part in ("core", "handlers"):
        expected |= {f"dataops/{part}/{path.name}" for path in (PACKAGE / part).glob("*.py")}
    assert {name for name in names_in(content) if name.startswith("dataops/")} == expected
    assert {name.split("/")[0] for name in names_in(content)} == {"dataops", "pymysql", "msgspec"}


def test_it_holds_nothing_compiled_from_python_and_no_metadata(content):
    assert not [name for name in names_in(content) if re.search(r"\.pyc$|\.pyi$|dist-info|__pycache__", name)]
    compiled = [name for name in names_in(content) if name.endswith(".so")]
    assert len(compiled) == 2 * len(PYTHONS)


def test_each_file_is_the_file_in_the_tree(content):
    archive = zipfile.ZipFile(io.BytesIO(content))
    for name in names_in(content):
        if name.startswith("dataops/"):
            assert archive.read(name) == (ROOT / name).read_bytes()


def pythons():
    """Every supported Python that this machine has."""
    places = [*os.environ["PATH"].split(":"), *map(str, Path.home().glob(".pyenv/versions/*/bin"))]
    found = {}
    for version in PYTHONS:
        for place in places:
            path = Path(place) / f"python{version}"
            if version not in found and path.exists() and "shims" not in place:
                found[version] = path
    return sorted(found.values())


@pytest.mark.parametrize("python", pythons(), ids=lambda path: path.name)
def test_every_handler_imports_from_the_zip_alone(content, tmp_path, python):
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path / "task")
    runtime = make_runtime(tmp_path / "runtime")
    modules = sorted(path.rpartition(".")[0] for path in handlers().values())
    check = f"import {', '.join(modules)}; import dataops, msgspec; print(dataops.__file__, msgspec.__file__)"
    environment = {"PYTHONPATH": f"{tmp_path / 'task'}:{runtime}"}
    command = [python, "-S", "-c", check]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(str(tmp_path / "task")) == 2


def test_the_pinned_parts_lie_within_the_ranges_of_the_project():
    lines = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    ranges = {Requirement(line).name: Requirement(line).specifier for line in lines}
    pinned = dict(re.findall(r"^(\w+)==([\d.]+)", VENDOR.read_text(), re.MULTILINE))
    assert pinned.keys() == {"pymysql", "msgspec"}
    assert all(version in ranges[name] for name, version in pinned.items())


def test_a_transform_that_cannot_be_found_is_named():
    with pytest.raises(BatchFileError, match="transform: module no_such_module is not importable"):
        build_zip([batch_of(transform="no_such_module:f")])
