"""Runs what a notebook's cells call, and shows each result, in this process: `NOTEBOOK BATCH`; prints its peak in MiB.

With `reconcile` instead of a notebook it compares the batch's three stores.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

from tests.end_to_end.memory.processes import peak_of


def run_notebook(path: Path, batch: str) -> None:
    """Run the code cells in order, with this batch."""
    names: dict[str, Any] = {}
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            run_cell("".join(cell["source"]), names)
        if "parameters" in cell["metadata"].get("tags", []):
            names["batch"] = batch


def run_cell(source: str, names: dict[str, Any]) -> None:
    """Run a cell; what its last line gives is made into the page that Jupyter would show."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if isinstance(last, ast.Expr):
        shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        str(getattr(shown, "_repr_html_", shown.__repr__)())


def main() -> None:
    """Run it and say the peak."""
    what, batch = sys.argv[1:]
    if what == "reconcile":
        from dataops.workbook.reconcile import compare_batch
        from dataops.workbook.run import find_batch

        print(compare_batch(find_batch(batch)).summary())
    else:
        run_notebook(Path(what), batch)
    print(peak_of("self"))


if __name__ == "__main__":
    main()
