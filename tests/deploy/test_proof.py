"""What is imported in this process is what the zip holds, or the function that is not is named."""

import importlib
import pkgutil

import pytest

import dataops.core
import dataops.handlers
from dataops.deploy.package import build_zip
from dataops.deploy.proof import prove_code, require_same_code
from dataops.errors import Permanent
from tests.samples import batch_of

SOURCE = """
from functools import cached_property, wraps

LIMIT = 3

def outer(function):
    @wraps(function)
    def inner(row):
        return function(row)
    return inner

@outer
def enrich(row):
    return {**row, "n": 1}

FIRST = min([3, 4], key=lambda of: -of)

class Kind:
    twice = lambda row: row * 2

    @property
    def name(self):
        return "a"

    @cached_property
    def size(self):
        return [of for of in (1, 2)]

    @classmethod
    def make(cls):
        return cls()
"""


@pytest.fixture
def edit(tmp_path, monkeypatch):
    """A transform's module that is imported; edit it, and have it zipped."""
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "enriching.py"
    path.write_text(SOURCE)
    importlib.invalidate_caches()
    monkeypatch.delitem(__import__("sys").modules, "enriching", raising=False)
    importlib.import_module("enriching")

    def edited(old, new):
        assert old in SOURCE
        path.write_text(SOURCE.replace(old, new))
        return build_zip([batch_of(transform="enriching:enrich")])

    return edited


def test_every_module_imported_here_is_in_the_zip_as_it_is_here():
    for package in (dataops.core, dataops.handlers):
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
    proofs = require_same_code(build_zip())
    ours = {proof.file: proof.imported for proof in proofs if proof.is_ours}
    assert [file for file, imported in ours.items() if imported != "same"] == ["dataops/core/rds-ca-bundle.pem"]
    assert all(len(proof.sha256) == 64 and proof.size >= 0 for proof in proofs)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"n": 1', '"n": 2', "enrich"),
        ("return function(row)", "return function({**row})", "outer"),
        ('return "a"', 'return "b"', "Kind.name"),
        ("(1, 2)", "(1, 3)", "Kind.size"),
        ("return cls()", "return cls", "Kind.make"),
        ("LIMIT = 3", "LIMIT = 4", "LIMIT"),
        ("def make", "def made", "Kind.made, Kind.make"),
    ],
)
def test_a_file_that_was_edited_after_its_import_is_told_with_what_differs(edit, old, new, named):
    with pytest.raises(Permanent, match=rf"enriching.py: {named}: what is imported here is not what the zip holds"):
        require_same_code(edit(old, new))


def test_a_lambda_that_is_kept_is_proven_like_a_function(edit):
    with pytest.raises(Permanent, match=r"enriching.py: Kind.<lambda>: what is imported here"):
        require_same_code(edit("row * 2", "row * 3"))


@pytest.mark.parametrize("new", ["LIMIT = 3  # rows", "LIMIT = 3\n\n"])
def test_a_comment_makes_no_difference(edit, new):
    (proof,) = [of for of in prove_code(edit("LIMIT = 3", new)) if of.file == "enriching.py"]
    assert (proof.imported, proof.differing) == ("same", ())
