"""A flow's machine: the order of its steps, its states against the handlers, and what the template has of it."""

import json
from pathlib import Path

import msgspec
import pytest
from cfnlint.api import lint_all

from dataops.core.schema import ForeignKey
from dataops.deploy.asl import check_machine
from dataops.deploy.compose import compose
from dataops.deploy.flow import flow_definition, order_steps
from dataops.deploy.iam import check_roles
from dataops.deploy.machine import placeholder_of
from dataops.deploy.package import OF_FLOWS
from dataops.deploy.template import of_type, write_template
from dataops.errors import BatchFileError
from dataops.flow import parse_flow
from dataops.workbook.diagram import draw_machine
from tests.samples import batch_of, table_of

MIXED = parse_flow({"flow": "nightly", "steps": ["a", ["b", "c"], "d"]})
PLAIN = parse_flow({"flow": "plain", "steps": ["a"], "publish": "each"})


def batch(name, **changes):
    return batch_of(batch=name, source__table=name, target__table=name, dynamodb__key_types={"id": "N"}, **changes)


def ordered(publish="together", **parents):
    """The steps of a flow whose sources refer to these parents."""
    sources = {
        name: msgspec.structs.replace(
            table_of(name=name),
            outgoing=tuple(ForeignKey(f"to_{of}", name, of, "", "", (("x", "id"),), "shop") for of in of_name),
        )
        for name, of_name in parents.items()
    }
    flow = parse_flow({"flow": "f", "batches": list(parents), "publish": publish})
    return order_steps(flow, {name: batch(name) for name in parents}, sources).stages


SHOP = {
    "customers": [],
    "orders": ["customers"],
    "items": ["orders", "products"],
    "products": ["products", "elsewhere"],
}


def test_what_refers_to_others_is_copied_before_them_where_all_change_at_once():
    assert ordered(**SHOP) == (("items",), ("orders",), ("customers", "products"))


def test_what_refers_to_others_comes_after_them_where_each_publishes_by_itself():
    assert ordered("each", **SHOP) == (("customers", "products"), ("orders",), ("items",))


def test_tables_that_refer_to_each_other_in_a_circle_are_told():
    with pytest.raises(BatchFileError, match="flow f: batches: the sources of a and b refer to each other; give steps"):
        ordered(a=["b"], b=["a"], c=["a"])


@pytest.mark.parametrize("flow", [MIXED, PLAIN], ids=lambda flow: flow.flow)
def test_the_machine_is_sound_and_calls_every_function_of_flows(flow):
    text = flow_definition(flow)
    assert list(check_machine(text)) == []
    states = json.loads(text)["States"]
    used = {state["Resource"] for state in states.values() if state.get("Resource", "").startswith("$")}
    assert used == {f"${{{placeholder_of(function)}}}" for function in OF_FLOWS}


def test_steps_follow_each_other_and_a_branch_keeps_its_failure_to_itself():
    states = json.loads(flow_definition(MIXED))["States"]
    assert [states[name]["Next"] for name in ("Run a", "Step 2", "Run d")] == ["Step 2", "Step 2 Done?", "Publish Flow"]
    done = states["Step 2 Done?"]
    assert (done["Choices"][0]["Next"], done["Default"]) == ("Run d", "Step Failed")
    for branch in states["Step 2"]["Branches"]:
        run, failed = branch["States"].values()
        assert run["Catch"][0]["Next"] in branch["States"]
        assert failed["End"]
    assert states["Publish Flow"]["Next"] == "Close Flow"
    assert states["Close Flow"]["Catch"][0]["Next"] == "Not Closed"


@pytest.mark.parametrize(("flow", "publish"), [(MIXED, "defer"), (PLAIN, "now")], ids=["together", "each"])
def test_batches_leave_their_publication_to_a_flow_that_publishes_together(flow, publish):
    given = json.loads(flow_definition(flow))["States"]["Run a"]["Parameters"]
    assert (given["Input"]["publish"], given["StateMachineArn"]) == (publish, "${BatchMachineArn}")


@pytest.fixture(scope="module")
def template():
    schedule = {"expression": "cron(0 1 * * ? *)", "timezone": "Asia/Tokyo"}
    flow = parse_flow({**msgspec.to_builtins(MIXED), "schedule": schedule})
    batches = [batch(name, schedule={"expression": "rate(1 day)"}, dynamodb__table=f"tab-{name}") for name in "abcde"]
    return compose(batches, flows=[flow, PLAIN])


def test_the_template_with_flows_is_clean_and_no_role_is_wider_than_needed(template):
    text = write_template(template)
    assert list(check_roles(template, text)) == []
    found = lint_all(text)
    assert [f"{of.rule.id} {of.message}" for of in found if of.rule.severity in ("error", "warning")] == []


def test_batches_of_a_scheduled_flow_are_started_by_it_alone(template):
    rules = {properties["Name"].value for _, properties in of_type(template, "AWS::Events::Rule")}
    assert rules == {"${AWS::StackName}-e"}
    ((name, schedule),) = of_type(template, "AWS::Scheduler::Schedule")
    assert (name, schedule["Target"]["Arn"].value) == ("NightlyFlowSchedule", "NightlyFlowMachine")
    order = json.loads(schedule["Target"]["Input"])
    assert list(order["batches"]) == ["a", "b", "c", "d"]
    assert order["scheduled"] == "<aws.scheduler.scheduled-time>"
    assert parse_flow(order["flow"]) == MIXED


def test_a_flow_has_an_alarm_for_each_way_to_fail(template):
    named = {name for name, _ in of_type(template, "AWS::CloudWatch::Alarm") if name.startswith("NightlyFlow")}
    assert named == {"NightlyFlowFailed", "NightlyFlowTimedOut", "NightlyFlowAborted"}


def test_the_picture_on_the_page_is_that_of_the_sample_flow():
    nightly = parse_flow({"flow": "nightly", "steps": ["order-items", "orders", "customers"]})
    page = Path(__file__).parents[2] / "docs" / "flow-machine.svg"
    assert page.read_text() == draw_machine(flow_definition(nightly)).text
