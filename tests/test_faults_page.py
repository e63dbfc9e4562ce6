"""The page of faults names tests that exist, and every test that provokes one is on it."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAMED = set(re.findall(r"`(test_\w+\.py)(?:::(\w+))?`", (ROOT / "docs" / "faults.md").read_text("utf-8")))
NO_FAULTS = {"test_proxies.py", "test_permissions.py", "test_canary_faults.py"}


def functions_of(path):
    return {(path.name, node.name) for node in ast.parse(path.read_text("utf-8")).body if is_test(node)}


def is_test(node):
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")


def test_every_test_that_the_page_names_is_there():
    files = list((ROOT / "tests").rglob("test_*.py"))
    there = {test for path in files for test in functions_of(path)} | {(path.name, "") for path in files}
    assert NAMED - there == set()


def test_every_test_that_provokes_a_fault_is_on_the_page():
    provoking = (ROOT / "tests" / "end_to_end" / "faults").glob("test_*.py")
    assert {test for path in provoking if path.name not in NO_FAULTS for test in functions_of(path)} - NAMED == set()
