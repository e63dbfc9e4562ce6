"""What README promises exists."""

import re
from pathlib import Path

import pytest

from dataops.cli import cli
from dataops.workbook.lab import NOTEBOOKS

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()


def line_under(heading):
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    (line,) = block.strip().splitlines()
    return line


@pytest.mark.parametrize(
    ("heading", "end"),
    [("Run it", ".venv/bin/dataops demo"), ("Test it", ".venv/bin/python -m pytest -q --nbval -n 4")],
)
def test_one_line_sets_up_and_does_it(heading, end):
    assert line_under(heading).startswith("python3 -m venv .venv && .venv/bin/pip install")
    assert line_under(heading).endswith(end)


def test_every_command_in_it_exists():
    named = set(re.findall(r"dataops (\w+)", "".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL))))
    assert named <= set(cli.commands)
    assert named >= {"demo", "up", "down", "sql", "infer", "run", "runs", "package", "lab"}


def test_every_link_leads_to_a_file():
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert [link for link in links if not (ROOT / link).exists()] == []
    assert {f"notebooks/{path.name}" for path in NOTEBOOKS.glob("*.ipynb")} <= set(links)


def test_it_is_short():
    assert len(re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL).split()) <= 700


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_every_file_named_in_the_docs_is_there(path):
    named = re.findall(r"`((?:dataops|core|local|stepfunctions|handlers)/[\w/.-]+)`", path.read_text())
    missing = [name for name in named if not ((ROOT / name).exists() or (ROOT / "dataops" / name).exists())]
    assert missing == []
