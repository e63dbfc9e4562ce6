"""The committed notebooks: executed, short, in one form, and the same from any folder."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from dataops.workbook.lab import NOTEBOOKS
from dataops.workbook.notebook import run_notebook

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
STRIP = [
    "--keep-output", "--keep-count", "--keep-id", "--extra-keys", "cell.metadata.execution metadata.language_info.version",
]  # fmt: skip
every = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def cells(path, kind="code"):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == kind]


def test_names_say_what_is_done():
    assert [path.name for path in PATHS if not re.fullmatch(r"\d\d(-[a-z]+)+\.ipynb", path.name)] == []
    assert {
        "01-inspect-source",
        "02-preview-normalization",
        "03-preview-projection",
        "04-run-batch",
        "05-reconcile",
        "06-package-and-deploy",
    } <= {path.stem for path in PATHS}


@every
def test_every_code_cell_was_executed_in_order(path):
    assert [cell.execution_count for cell in cells(path)] == list(range(1, len(cells(path)) + 1))


@every
def test_no_cell_failed(path):
    assert [output for cell in cells(path) for output in cell.outputs if output.output_type == "error"] == []


@every
def test_code_is_at_most_five_lines_and_calls_dataops(path):
    for cell in cells(path):
        tree = ast.parse(cell.source)
        banned = (ast.FunctionDef, ast.For, ast.While, ast.Lambda, ast.ListComp, ast.ClassDef)
        assert len([line for line in cell.source.splitlines() if line.strip()]) <= 5
        assert not [node for node in ast.walk(tree) if isinstance(node, banned)]
        assert not re.search(r"\b(SELECT|INSERT|UPDATE|DELETE)\b", cell.source)


@every
def test_it_opens_with_a_question_and_says_who_and_when(path):
    first = cells(path, "markdown")[0].source
    assert re.match(r"# .+\?\n", first)
    assert "**Who and when:**" in first


@every
def test_parameters_are_annotated_and_explained(path):
    (parameters,) = [cell for cell in cells(path) if "parameters" in cell.metadata.get("tags", [])]
    assert all(re.fullmatch(r"\w+: (str|int|bool|float) = .+  # .+", line) for line in parameters.source.splitlines())


@every
def test_it_ends_with_a_verdict(path):
    assert cells(path, "markdown")[-1].source.startswith("## Verdict")
    assert "require_" in cells(path)[-1].source


@every
def test_it_is_stripped_of_what_changes(path):
    command = [Path(sys.executable).parent / "nbstripout", "--verify", *STRIP, path]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@every
def test_plain_papermill_runs_it_from_another_folder(stack, tmp_path, path):
    command = [sys.executable, "-m", "papermill", path, "out.ipynb", "-p", "batch", "customers", "--no-progress-bar"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "customers: " in cells(tmp_path / "out.ipynb")[-1].outputs[0].text


def test_a_bad_verdict_fails_the_notebook(stack, tmp_path):
    (tmp_path / "bad.yml").write_text(
        (NOTEBOOKS.parent / "stepfunctions/batches/orders.yml").read_text().replace("table: orders}", "table: orderz}")
    )
    command = [
        sys.executable, "-m", "papermill", NOTEBOOKS / "04-run-batch.ipynb", "out.ipynb", "--no-progress-bar",
        "-p", "batch", "bad.yml",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "table 'orderz' is not in database source (did you mean orders?)" in done.stderr


def test_the_instant_of_a_schedule_is_run_once(stack, tmp_path):
    given = {"batch": "customers", "scheduled": "2026-11-24T12:00:00+09:00", "forecast_rows": 10}
    first = run_notebook("run-batch", given, tmp_path)
    again = run_notebook("run-batch", {**given, "scheduled": "2026-11-24T03:00:00Z"}, tmp_path)
    verdicts = [cells(run.output)[-1].outputs[0].text.split(";")[0] for run in (first, again)]
    assert verdicts == ["customers: succeeded", "customers: skipped"]
