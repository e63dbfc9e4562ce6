"""The walls between the packages, and the size of what stands inside them."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dataops.batch import read_batch
from dataops.errors import BatchFileError

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
FILES = sorted((ROOT / "dataops").rglob("*.py"))
INSIDE = [path for path in FILES if path.parent.name in ("core", "handlers", "transforms")]
LONGER = {"workbook/layout.py": 340, "batch.py": 350}
"""Files where splitting would hide the thought."""


@pytest.mark.parametrize(
    "command",
    [
        ["lint-imports"],
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
    ],
    ids=" ".join,
)
def test_the_checkers_find_nothing(command):
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_enough_to_read(path):
    assert len(path.read_text().splitlines()) <= LONGER.get(str(path.relative_to(ROOT / "dataops")), 320)


def imported(path):
    """The top-level names of the packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports here are absolute"
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", INSIDE, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_runs_inside_lambda_imports_nothing_that_is_not_there(path):
    there = {*sys.stdlib_module_names, "boto3", "botocore", "pymysql", "msgspec", "dataops", "types_boto3_dynamodb"}
    there |= {"types_boto3_secretsmanager", "types_boto3_sns", "types_boto3_stepfunctions"}
    assert set(imported(path)) <= there


@pytest.mark.parametrize("name", ["normalize", "convert", "item", "keys", "digest", "schema", "widen"])
def test_the_codec_loads_without_driver_and_boto3(name):
    check = (
        f"import sys, dataops.core.{name};"
        "print([n for n in ('boto3', 'botocore', 'pymysql', 'yaml', 'pandas') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_starts_without_the_heavy_packages():
    heavy = ("boto3", "botocore", "pandas", "pymysql", "rich", "moto", "matplotlib", "papermill", "nbformat", "IPython")
    check = (
        "import sys, dataops.cli\ntry: dataops.cli.cli(['--help'])\nexcept SystemExit: pass\n"
        f"print([n for n in {heavy} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert "Commands:" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_yaml_is_loaded_in_one_place():
    loading = [path.name for path in FILES if re.search(r"yaml\.(\w*load\w*)\(", path.read_text())]
    assert loading == ["_yaml.py"]


def test_aliases_that_would_unfold_without_end_are_one_error(tmp_path):
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9 if n else ['x'] * 9)}]" for n in range(30)]
    file = tmp_path / "bomb.yml"
    file.write_text("\n".join([*lines, "batch: orders", "source: {secret: a, table: b, columns: *a29}"]))
    with pytest.raises(BatchFileError, match=r"bomb\.yml: a0: unknown key"):
        read_batch(file)
