"""The page on deploying knows every parameter, command and option, and asks for the grants that a run is tested with."""

import re
from pathlib import Path

import pytest

from dataops.cli import cli
from dataops.core.grants import READ, WRITE
from dataops.deploy.compose import LISTS
from dataops.deploy.template import read_template

TEXT = (Path(__file__).parent.parent / "docs" / "deploying.md").read_text("utf-8")


def test_every_parameter_is_on_it_and_no_other():
    table = TEXT.split("\n| parameter |")[1].split("\n\n")[0]
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)))
    assert sorted(named) == sorted(read_template()["Parameters"].keys() - set(LISTS))


def test_the_grants_are_those_that_a_run_needs():
    granted = [frozenset(of.split(", ")) for of in re.findall(r"GRANT (.*?) ON", TEXT)]
    assert granted == [READ, WRITE["swap"] | {"TRIGGER"}, WRITE["upsert"] | {"TRIGGER"}]


@pytest.mark.parametrize(
    "line", sorted(set(re.findall(r"\bdataops ((?:deploy|check|run|preflight|up|down|package)\b[^`&#\n\\)\"]*)", TEXT)))
)
def test_every_command_on_it_is_one(line):
    name, *arguments = line.split()
    options = {option for parameter in cli.commands[name].params for option in parameter.opts}
    assert {of for of in arguments if of.startswith("-")} <= options


def test_every_option_of_the_command_that_it_names_is_one():
    options = {option for parameter in cli.commands["deploy"].params for option in parameter.opts}
    assert {"--dry-run", "--remove", "--zip", "--delete", "--json", "-o", "-P"} <= options
