"""The committed notebooks are a regression test: they come out the same, and go red when a rule is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from dataops.workbook.lab import NOTEBOOKS

ROOT = NOTEBOOKS.parent
NOTEBOOK = "02-preview-normalization.ipynb"
TOOLS = Path(sys.executable).parent
STRIP = [
    "--keep-output",
    "--keep-count",
    "--keep-id",
    "--extra-keys",
    "cell.metadata.execution metadata.language_info.version",
]


def without_pictures(path: Path) -> nbformat.NotebookNode:
    """A notebook as it is but for what nbval does not compare either: bytes of PNG pictures, cells tagged so."""
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            cell.outputs = []
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if "image/png" in output.get("data", {}):
            output["data"]["image/png"] = ""
    return notebook


def test_executing_them_again_changes_nothing(stack, tmp_path):
    copies = [shutil.copy(path, tmp_path) for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
    subprocess.run([TOOLS / "jupyter", "execute", "--inplace", *copies], check=True, capture_output=True)
    subprocess.run([TOOLS / "nbstripout", *STRIP, *copies], check=True, capture_output=True)
    changed = [of for of in map(Path, copies) if without_pictures(of) != without_pictures(NOTEBOOKS / of.name)]
    assert [path.name for path in changed] == []


@pytest.fixture
def checkout(tmp_path):
    """A copy of what notebook 02 needs, whose code goes before the installed one."""
    for name in ("dataops", "stepfunctions"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(NOTEBOOKS / NOTEBOOK, tmp_path)
    (tmp_path / "pytest.ini").touch()
    return tmp_path


def run_nbval(checkout: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", NOTEBOOK]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("file", "rule", "broken"),
    [
        ("normalize.py", 'self.empties and self.policy != "keep"', "self.empties and False"),
        ("convert.py", 'f"{raw[:10]}T{raw[11:]}{zone}" if real else raw', "raw"),
    ],
    ids=["'' stays ''", "no ISO-8601"],
)
def test_breaking_a_rule_turns_nbval_red(stack, checkout, file, rule, broken):
    assert run_nbval(checkout).returncode == 0
    path = checkout / "dataops/core" / file
    assert path.read_text().count(rule) == 1
    path.write_text(path.read_text().replace(rule, broken))
    done = run_nbval(checkout)
    assert done.returncode == 1
    assert "Cell outputs differ" in done.stdout or "output" in done.stdout
