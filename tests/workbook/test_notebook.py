"""Running a notebook unattended: what papermill would take is checked before it does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from dataops.errors import BatchFileError
from dataops.workbook.notebook import check_parameters, find_notebook, list_outcomes, run_notebook

DECLARED = """\
name: str = "a"  # a text
count: int = 1  # a number
share: float = 0.5  # a part
sure: bool = False  # yes or no
untyped = 3"""


class Tags(HTMLParser):
    """What a browser would make of a page: its elements, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def notebook(tmp_path):
    """Write a notebook with the declared parameters and one cell of code."""

    def write(code: str = "print(name, count, share, sure)", parameters: str = DECLARED) -> Path:
        cells = [
            nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell(code),
        ]
        kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
        path = tmp_path / "probe.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
        return path

    return write


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("name", "012345678901", "012345678901"),
        ("name", "true", "true"),
        ("count", "42", 42),
        ("count", "-1", -1),
        ("share", "0.25", 0.25),
        ("share", 1, 1.0),
        ("sure", "TRUE", True),
        ("sure", "false", False),
        ("sure", True, True),
    ],
)
def test_a_text_takes_the_type_that_the_notebook_declares(notebook, name, text, value):
    (found,) = check_parameters(notebook(), {name: text}).values()
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("cuont", "1", r"'cuont': is not declared \(did you mean count\?\); it takes: name, count"),
        ("x=1;import os", "1", "is not declared"),
        ("count\nprint(1)", "1", "is not declared"),
        ("count", "many", "expected int, found another text"),
        ("count", "1.5", "expected int"),
        ("count", True, "expected int, found a bool"),
        ("sure", "maybe", "expected true or false"),
        ("untyped", "1", "only str, int, float and bool"),
        ("password", "hunter2", "looks like a secret"),
        ("DB_PASSWORD", "hunter2", "looks like a secret"),
        ("api_key", "hunter2", "looks like a secret"),
        ("secret", "hunter2", "looks like a secret"),
    ],
)
def test_a_wrong_parameter_is_refused_without_its_value(notebook, name, value, message):
    with pytest.raises(BatchFileError, match=message) as caught:
        check_parameters(notebook(), {name: value})
    assert "hunter2" not in str(caught.value)
    assert "many" not in str(caught.value)


def test_code_in_a_parameter_name_never_runs(notebook, tmp_path):
    mark = tmp_path / "ran"
    with pytest.raises(BatchFileError):
        run_notebook(notebook(), {f"open({str(mark)!r}, 'w').close() #": "1"}, tmp_path / "runs")
    assert not mark.exists()
    assert not (tmp_path / "runs").exists()


def test_code_in_a_value_is_a_text(notebook, tmp_path):
    mark = tmp_path / "ran"
    run = run_notebook(notebook(), {"name": f'"; open({str(mark)!r}, "w"); "'}, tmp_path / "runs")
    assert run.status == "succeeded"
    assert not mark.exists()


def test_a_run_leaves_the_notebook_and_a_page_without_code_script_or_network(notebook, tmp_path):
    run = run_notebook(notebook(), {"count": "7"}, tmp_path / "runs")
    assert (run.status, run.cause) == ("succeeded", "")
    assert run.output.parent.parent == tmp_path / "runs"
    assert nbformat.read(run.output, 4).cells[-1].outputs[0].text == "a 7 0.5 False\n"
    page = run.page.read_text()
    assert "a 7 0.5 False" in page
    assert "print(" not in page
    assert "<script" not in page.lower()
    assert "default-src 'none'" in page


def test_markup_in_a_value_or_an_error_is_text_in_the_page(notebook, tmp_path):
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    code = f"""
from dataops.workbook.table import Table
from dataops.errors import Permanent
display(Table([{evil!r}], [[{evil!r}]], {evil!r}))
print({evil!r})
raise Permanent({evil!r})"""
    run = run_notebook(notebook(code), {}, tmp_path / "runs")
    assert run.status == "failed"
    tags = Tags()
    tags.feed(run.page.read_text())
    assert "table" in tags.seen
    assert not {"script", "img"} & set(tags.seen)
    assert tags.text.count(evil) >= 5


def test_two_runs_do_not_overwrite_each_other(notebook, tmp_path):
    path = notebook()
    assert len({run_notebook(path, {}, tmp_path / "runs").output for _ in range(2)}) == 2


def test_an_error_of_ours_is_told_with_its_cell(notebook, tmp_path):
    run = run_notebook(
        notebook('from dataops.errors import Permanent\nraise Permanent("orders: failed")'), {}, tmp_path
    )
    assert (run.status, run.cause) == ("failed", "probe.ipynb: cell 2: orders: failed")
    assert run.page.exists()


def test_another_error_s_text_is_not_repeated(notebook, tmp_path):
    run = run_notebook(notebook('raise ValueError("Duplicate entry Sato")'), {}, tmp_path)
    assert run.cause == "probe.ipynb: cell 2: ValueError; see probe.ipynb"


def test_a_kernel_that_dies_is_a_failure(notebook, tmp_path):
    run = run_notebook(notebook("import os; os._exit(1)"), {}, tmp_path)
    assert run.status == "failed"
    assert "kernel did not finish" in run.cause


def test_a_cell_that_takes_too_long_is_a_failure(notebook, tmp_path):
    run = run_notebook(notebook("import time; time.sleep(60)"), {}, tmp_path, cell_seconds=1)
    assert run.status == "failed"
    assert "kernel did not finish (CellTimeoutError)" in run.cause


def test_what_became_of_each_is_listed_with_the_newest_first(notebook, tmp_path):
    run_notebook(notebook(), {}, tmp_path)
    run_notebook(notebook("raise SystemError('Sato')"), {}, tmp_path)
    outcomes = [outcome for _, outcome in list_outcomes(tmp_path, 10)]
    assert sorted((of.status, of.notebook, of.cause) for of in outcomes) == [
        ("failed", "probe", "probe.ipynb: cell 2: SystemError; see probe.ipynb"), ("succeeded", "probe", ""),
    ]  # fmt: skip
    assert len(list_outcomes(tmp_path, 1)) == 1


def test_one_that_was_killed_is_told_as_cut_off(notebook, tmp_path):
    code = (
        "import sys, pathlib; from dataops.workbook.notebook import run_notebook;"
        "run_notebook(pathlib.Path(sys.argv[1]), {}, pathlib.Path(sys.argv[2]))"
    )
    path = notebook("import os, signal; os.kill(os.getppid(), signal.SIGKILL)")
    done = subprocess.run([sys.executable, "-c", code, path, tmp_path], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    ((_, outcome),) = list_outcomes(tmp_path, 10)
    assert outcome.status == "cut off"


def test_it_runs_in_the_caller_s_folder_with_this_python(notebook, tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    code = "import json, os, sys; print(json.dumps([os.getcwd(), sys.prefix]))"
    run = run_notebook(notebook(code), {}, tmp_path / "runs")
    assert json.loads(nbformat.read(run.output, 4).cells[-1].outputs[0].text) == [str(here), sys.prefix]


@pytest.mark.parametrize("name", ["04-run-batch", "run-batch"])
def test_a_notebook_is_found_by_its_name(name):
    assert find_notebook(name).name == "04-run-batch.ipynb"


@pytest.mark.parametrize(
    ("name", "message"), [("run-bach", "did you mean run-batch"), ("/nowhere/x.ipynb", "is not there")]
)
def test_a_notebook_that_is_not_there_is_refused(name, message):
    with pytest.raises(BatchFileError, match=message):
        find_notebook(name)


def test_a_file_that_is_no_notebook_is_refused(tmp_path):
    (tmp_path / "x.ipynb").write_text("not json")
    with pytest.raises(BatchFileError, match="cannot be read as a notebook"):
        run_notebook(tmp_path / "x.ipynb", {}, tmp_path)
