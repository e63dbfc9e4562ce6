"""What is imported in this process is what the zip holds, or the file that is not is named."""

import importlib
import os
import pkgutil
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

import dataops.core
import dataops.handlers
from dataops.deploy.package import build_zip
from dataops.deploy.proof import prove_code, require_same_code
from dataops.errors import Permanent
from tests.samples import batch_of

SOURCE = """
CONNECT_SECONDS, REPLY_SECONDS = 10, 300
REFUSED = {1044, 1045}
METRICS = {"rows": "Count"}

def enrich(row, *, infile: bool = False):
    return {**row, "n": 1}

class Kind:
    names = ["a"]

    @property
    def name(self):
        return "a"
"""
NUMBERS = count()


class Transform:
    """A transform's module that is imported; edit it, and have it zipped."""

    def __init__(self, folder):
        self.name = f"enriching{next(NUMBERS)}"
        self.path = folder / f"{self.name}.py"
        self.path.write_text(SOURCE)
        importlib.invalidate_caches()

    def edit(self, old, new):
        assert old in SOURCE
        self.path.write_text(SOURCE.replace(old, new))

    def zip(self):
        return build_zip([batch_of(transform=f"{self.name}:enrich")])

    def proof(self):
        (proof,) = [of for of in prove_code(self.zip()) if of.file == self.path.name]
        return proof.imported


@pytest.fixture
def transform(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    made = Transform(tmp_path)
    importlib.import_module(made.name)
    return made


def test_every_module_imported_here_is_in_the_zip_as_it_is_here():
    for package in (dataops.core, dataops.handlers):
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
    proofs = require_same_code(build_zip())
    ours = {proof.file: proof.imported for proof in proofs if proof.is_ours}
    assert [file for file, imported in ours.items() if imported != "same"] == ["dataops/core/rds-ca-bundle.pem"]
    assert all(len(proof.sha256) == 64 and proof.size >= 0 for proof in proofs)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("10, 300", "10, 3"),
        ("{1044,", "{1046,"),
        ('"rows":', '"Rows":'),
        ("infile: bool = False", "infile: bool = True"),
        ('"n": 1', '"n": 2'),
        ('["a"]', '["b"]'),
        ('return "a"', 'return "b"'),
        ("row, *, ", "row, "),
        ("def name", "def named"),
    ],
)
def test_a_file_that_was_edited_after_its_import_is_told(transform, old, new):
    assert transform.proof() == "same"
    transform.edit(old, new)
    with pytest.raises(Permanent, match=rf"{transform.name}.py: what was imported here is not what the zip holds"):
        require_same_code(transform.zip())


def test_a_reload_does_not_hide_what_ran_before_it(transform):
    importlib.reload(sys.modules[transform.name])
    assert transform.proof() == "same"
    transform.edit('"n": 1', '"n": 22')
    importlib.reload(sys.modules[transform.name])
    assert transform.proof() == "differs"


def test_bytecode_that_python_takes_for_the_edited_file_is_told(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    transform = Transform(tmp_path)
    subprocess.run([sys.executable, "-m", "compileall", "-q", tmp_path], check=True)
    when = transform.path.stat()
    transform.edit('"n": 1', '"n": 2')
    os.utime(transform.path, ns=(when.st_atime_ns, when.st_mtime_ns))
    assert importlib.import_module(transform.name).enrich({}) == {"n": 1}
    assert transform.proof() == "differs"


def test_a_module_that_was_imported_before_the_record_began_is_not_taken_for_proven(tmp_path):
    (tmp_path / "early.py").write_text(SOURCE)
    check = (
        "import early; from dataops.deploy.package import build_zip; from dataops.deploy.proof import *\n"
        "from tests.samples import batch_of; require_same_code(build_zip([batch_of(transform='early:enrich')]))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "early.py: was imported before dataops, so what ran is not known" in done.stderr


def test_a_comment_at_a_lines_end_makes_no_difference(transform):
    transform.edit("10, 300", "10, 300  # seconds")
    assert transform.proof() == "same"
