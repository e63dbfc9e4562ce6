"""`dataops check`: every file of stepfunctions/ is right, and what is wrong elsewhere is told with its place."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from dataops.cli.checks import check
from dataops.deploy.check import STEPFUNCTIONS
from dataops.deploy.machine import DEFINITION


def checked(*arguments: object) -> tuple[int, str]:
    """The exit status and what is printed."""
    done = CliRunner().invoke(check, [str(of) for of in arguments], standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.return_value, done.stdout


def test_everything_in_stepfunctions_is_right():
    status, told = checked("--json")
    found = json.loads(told)
    assert (status, found["valid"], found["errors"], found["warnings"]) == (0, True, [], [])
    assert [line.partition(":")[0] for line in found["forecast"]] == [
        "batch.asl.json", "customers.yml", "order-items.yml", "orders.yml", "nightly.yml",
    ]  # fmt: skip


def test_a_batch_whose_json_no_state_takes_is_refused(tmp_path):
    text = (STEPFUNCTIONS / "batches/customers.yml").read_text()
    where = " OR ".join(["customer_id = 1"] * 20_000)
    path = tmp_path / "customers.yml"
    path.write_text(text.replace("table: customers}", f"table: customers, where: {where}}}", 1))
    status, told = checked(path)
    assert status == 2
    assert told.startswith("customers.yml: expected an input of at most 262,144 bytes, found ")


def test_without_cfn_lint_one_line_says_so(monkeypatch):
    monkeypatch.setattr("dataops.deploy.check_template.has_linter", lambda: False)
    done = CliRunner().invoke(check, [str(STEPFUNCTIONS / "template.yml")], standalone_mode=False)
    assert done.return_value == 0
    assert "cfn-lint is not installed" in done.stderr


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("cron(0 3 * * * *)", "cron: one of day-of-month (field 3)"),
        ("at(2027-01-01T00:00:00)", "at() is Scheduler's; give timezone: UTC\n"),
    ],
)
def test_a_schedule_is_checked_in_its_batch_file(tmp_path, expression, error):
    path = tmp_path / "orders.yml"
    text = (STEPFUNCTIONS / "batches/orders.yml").read_text()
    path.write_text(re.sub(r"schedule: .*", f'schedule: {{expression: "{expression}"}}', text))
    status, told = checked(path)
    assert status == 2
    assert told.startswith(f"orders.yml: schedule: {error}")


def test_an_unknown_time_zone_is_told_with_its_file_and_a_near_name(tmp_path):
    path = tmp_path / "orders.yml"
    path.write_text((STEPFUNCTIONS / "batches/orders.yml").read_text().replace("Asia/Tokyo", "Asia/Tokio"))
    status, told = checked(path, "--json")
    (found,) = json.loads(told)["errors"]
    assert (status, found["file"]) == (2, "orders.yml")
    assert found["error"] == "schedule: timezone: 'Asia/Tokio' is no IANA time zone (did you mean Asia/Tokyo?)"


def test_a_check_that_breaks_leaves_the_other_files_findings(tmp_path, monkeypatch):
    (tmp_path / "a.yml").write_text((STEPFUNCTIONS / "batches/orders.yml").read_text())
    (tmp_path / "b.yml").write_text("batch: [")

    def break_down(*_, **__):
        raise KeyError("a surprise")

    monkeypatch.setattr("dataops.deploy.check.schedule_resource", break_down)
    status, told = checked(tmp_path, "--json")
    found = json.loads(told)["errors"]
    assert (status, [of["file"] for of in found]) == (2, ["a.yml", "b.yml"])
    assert found[0]["error"] == "could not be checked: unexpected KeyError; please report it"


def test_a_key_that_nobody_knows_is_told_with_its_file(tmp_path):
    (tmp_path / "batches").mkdir()
    text = (STEPFUNCTIONS / "batches/orders.yml").read_text().replace("sort_key:", "sort_kye:", 1)
    (tmp_path / "batches/orders.yml").write_text(text)
    status, told = checked(tmp_path)
    assert status == 2
    assert told.startswith("orders.yml: dynamodb.sort_kye: unknown key (did you mean sort_key?)")


def test_a_file_that_is_no_yaml_is_told_with_its_line(tmp_path):
    path = tmp_path / "orders.yml"
    path.write_text("batch: a\nbatch: b\n")
    assert checked(path)[1] == "orders.yml: line 2, column 1: not valid YAML: key 'batch' stands here twice\n"


def test_json_lists_errors_and_warnings_apart(tmp_path):
    path = tmp_path / "m.asl.json"
    path.write_text('{"StartAt": "B", "States": {"A": {"Type": "Task", "Resource": "${X}", "End": true}}}')
    status, told = checked(path, "--json")
    found = json.loads(told)
    assert (status, found["valid"]) == (2, False)
    assert found["errors"] == [{"file": "m.asl.json", "where": "StartAt", "error": "no state here is called 'B'"}]
    assert found["warnings"][0]["where"] == "States.A"


def test_a_placeholder_without_a_handler_and_a_handler_without_a_state_are_told(monkeypatch, tmp_path):
    path = tmp_path / "batch.asl.json"
    path.write_text(DEFINITION.read_text().replace("${PlanArn}", "${PlannArn}"))
    monkeypatch.setattr("dataops.deploy.check.DEFINITION", path)
    status, told = checked(path)
    assert status == 2
    assert "${PlannArn} stands for no handler" in told
    assert "the handler of ${PlanArn} is in no state" in told


@pytest.mark.parametrize(("name", "why"), [("nowhere.yml", "is not there"), ("notes.txt", "expected a batch file")])
def test_a_file_that_is_none_of_ours_is_one_finding_among_the_others(tmp_path, name, why):
    (tmp_path / "notes.txt").touch()
    status, told = checked(tmp_path / name, DEFINITION, "--json")
    (found,) = json.loads(told)["errors"]
    assert (status, found["file"]) == (2, str(tmp_path / name))
    assert found["error"].startswith(why)
    assert [of.partition(":")[0] for of in json.loads(told)["forecast"]] == [DEFINITION.name]


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("deep.json", "[" * 100_000, "is nested too deeply"),
        ("deep.yml", "batch: " + "[" * 100_000, "is nested too deeply to be read"),
        ("half.json", r'{"StartAt": "A", "States": {"A": {"Type": "Succeed", "\ud800": 1}}}', "unknown field here"),
        ("nan.json", '{"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": NaN, "End": true}}}', "not JSON"),
    ],
)
def test_whatever_a_file_holds_the_others_are_told_and_it_has_no_forecast(tmp_path, name, text, what):
    (tmp_path / name).write_text(text)
    status, told = checked(tmp_path / name, DEFINITION, "--json")
    (found,) = json.loads(told)["errors"]
    assert (status, found["file"]) == (2, name)
    assert what in found["error"]
    assert [of.partition(":")[0] for of in json.loads(told)["forecast"]] == [DEFINITION.name]


def test_a_forecast_that_breaks_leaves_the_findings(monkeypatch):
    monkeypatch.setattr("dataops.deploy.check.count_events", lambda machine: 1 // 0)
    status, told = checked(DEFINITION, "--json")
    assert (status, json.loads(told)["forecast"]) == (0, [])
