"""The operator's page knows every alarm, metric and preflight line, and names only commands that exist."""

import re
from pathlib import Path

import pytest

from dataops.cli import cli
from dataops.core import preflight
from dataops.core.telemetry import METRICS
from dataops.deploy.template import read_template

TEXT = (Path(__file__).parent.parent / "docs" / "operating.md").read_text("utf-8")
RESOURCES = read_template()["Resources"]
ALARMS = [name for name, of in RESOURCES.items() if of["Type"] == "AWS::CloudWatch::Alarm"]
LINES = {name for of in vars(preflight) if of.endswith("_CHECKS") for name in getattr(preflight, of)}


def section(heading):
    return TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("alarm", ALARMS)
def test_every_alarm_of_the_template_is_on_it(alarm):
    assert f"| `{alarm}` |" in section("Alarms")


@pytest.mark.parametrize("line", sorted(LINES))
def test_every_line_of_a_preflight_is_on_it(line):
    named = re.findall(r"^\| (\w.*?) \|", section("Preflight"), re.MULTILINE)
    assert line in [name for names in named for name in names.split(", ")]


@pytest.mark.parametrize("line", re.findall(r"`dataops ([^`]+)`", TEXT.replace("\n", " ")))
def test_every_command_on_it_is_one(line):
    name, *arguments = line.split()
    command = cli.commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {of for of in arguments if of.startswith("--")} <= options


def test_it_names_commands():
    assert {"runs", "run", "reconcile", "preflight"} <= set(re.findall(r"`dataops (\w+)", TEXT))


def test_every_metric_is_on_it_and_no_other():
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", section("Metrics"), re.MULTILINE)))) == set(
        METRICS
    )


def test_every_metric_that_the_template_takes_of_ours_is_one():
    ours = {
        of["Properties"]["MetricName"]
        for of in map(RESOURCES.get, ALARMS)
        if of["Properties"]["Namespace"] == "dataops"
    }
    assert ours <= set(METRICS)


@pytest.mark.parametrize("end", ["succeeded", "succeeded with rejections", "failed", "skipped", "cut off"])
def test_every_way_a_run_ends_is_on_it(end):
    assert re.search(rf"^\| `{end}`", section("How a run ends, and what to do then"), re.MULTILINE)
