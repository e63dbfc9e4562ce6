"""What a notebook shows of a run while it runs, and what is left of it afterwards."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from dataops.workbook.progress import ENDED, NotebookProgress
from dataops.workbook.result import Snapshot

CELL = """
from dataops.workbook.progress import NotebookProgress
from dataops.workbook.result import Snapshot
with NotebookProgress() as progress:
    for done in range(3):
        progress(Snapshot("orders", "Copy Chunks", 3, done, 1000 * done, 0))
    {ending}
"""


def outputs(ending: str) -> list[nbformat.NotebookNode]:
    """What stands below the cell in the notebook's file."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL.format(ending=ending))])
    client = NotebookClient(notebook, kernel_name="python3")
    try:
        client.execute()
    except CellExecutionError:
        assert ending != "pass"
    return [output for output in notebook.cells[0].outputs if output.output_type == "display_data"]


def test_one_line_is_left_that_is_the_same_each_time():
    (left,) = outputs("pass")
    assert left.data["text/plain"] == ENDED
    assert "width" not in left.data["text/html"].replace("max-width", "")


def test_an_error_in_the_run_is_not_shown_as_its_end():
    (left,) = outputs("raise ValueError('<b>')")
    assert left.data["text/plain"] == "Stopped by ValueError."


@pytest.mark.parametrize(
    ("snapshot", "words"),
    [
        (Snapshot("orders", "Plan", 0, 0, 0, 0), "Plan: 0 rows copied, 0 loaded; 0 s"),
        (Snapshot("orders", "<i>", 4, 1, 1500, 20), "&lt;i&gt;: 1 of 4 chunks; 1,500 rows copied, 20 loaded; 0 s"),
    ],
)
def test_a_snapshot_says_where_the_run_is(snapshot, words):
    shown = []
    progress = NotebookProgress()
    progress._output = type("Output", (), {"update": staticmethod(shown.append)})
    progress(snapshot)
    assert words in shown[0]._repr_html_()
