"""The template and what is composed from it: every function, the batches' tables, starts and alarms, one account of ARNs."""

import json
import re

import pytest

from dataops.deploy.compose import compose, logical_name
from dataops.deploy.machine import DEFINITION
from dataops.deploy.package import handlers
from dataops.deploy.template import Tagged, parse_template, read_template, walk, write_template
from dataops.errors import BatchFileError
from dataops.workbook.run import list_batches
from tests.samples import batch_of

TEMPLATE = read_template()
RULE = {"expression": "rate(1 day)"}
TYPES = {"id": "N"}


def resources_of(template, kind):
    return {name: of["Properties"] for name, of in template["Resources"].items() if of["Type"] == f"AWS::{kind}"}


def composed(*batches):
    return compose(batches or list_batches())


def keyed(name, **changes):
    return batch_of(**{"batch": name, "dynamodb__table": f"{name}-items", "dynamodb__key_types": TYPES, **changes})


def test_every_handler_is_a_function_with_a_role_and_a_log_of_its_own():
    functions = resources_of(TEMPLATE, "Lambda::Function")
    named = {
        f"dataops{of['FunctionName'].value.removeprefix('${AWS::StackName}')}": of["Handler"]
        for of in functions.values()
    }
    assert named == handlers()
    assert [of["Role"] for of in functions.values()] == [Tagged("GetAtt", f"{name}Role.Arn") for name in functions]
    assert [of["LoggingConfig"]["LogGroup"] for of in functions.values()] == [
        Tagged("Ref", f"{n}Log") for n in functions
    ]


def test_the_machine_takes_every_placeholder_of_its_definition():
    (machine,) = resources_of(TEMPLATE, "StepFunctions::StateMachine").values()
    assert machine["DefinitionSubstitutions"].keys() == set(re.findall(r"\$\{(\w+)\}", DEFINITION.read_text()))
    for name, arn in machine["DefinitionSubstitutions"].items():
        assert arn == Tagged("GetAtt", f"{name.removesuffix('Arn')}.Arn")


def test_every_alarm_says_what_it_means_and_reaches_somebody():
    alarms = resources_of(composed(), "CloudWatch::Alarm").values()
    assert all(len(of["AlarmDescription"]) > 30 and of["AlarmActions"] == [Tagged("Ref", "Failures")] for of in alarms)


def test_a_template_is_written_as_it_was_read():
    assert parse_template(write_template(composed())) == composed()


def test_each_batch_has_a_table_that_stays_and_can_be_restored():
    template = composed()
    tables = resources_of(template, "DynamoDB::Table")
    assert {of["TableName"] for of in tables.values()} >= {"orders", "order-items", "customers"}
    assert all(of["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] for of in tables.values())
    assert {template["Resources"][name]["DeletionPolicy"] for name in tables} == {"Retain"}


def test_roles_name_the_batches_own_arns_and_nothing_is_left_to_fill_in():
    template = composed()
    assert not {"SourceSecrets", "TargetSecrets", "BatchTables", "BatchIndexes"} & set(walk(template, "Ref"))
    (policy,) = template["Resources"]["DynamodbToRdsRole"]["Properties"]["Policies"]
    allowed = [of for of in policy["PolicyDocument"]["Statement"] if isinstance(of, dict)]
    (index,) = [of["Resource"] for of in allowed if of["Action"] == ["dynamodb:Query"]]
    assert index == [Tagged("Sub", "${OrdersBatchTable.Arn}/index/by-status")]
    (secrets,) = [of["Resource"] for of in allowed if of["Action"] == ["secretsmanager:GetSecretValue"]]
    assert [of.value.rpartition(":secret:")[2] for of in secrets] == ["dataops/target-??????"]


def test_a_statement_on_no_index_is_left_out():
    template = composed(keyed("a-b"))
    (policy,) = template["Resources"]["DynamodbToRdsRole"]["Properties"]["Policies"]
    assert ["dynamodb:Query"] not in [
        of["Action"] for of in policy["PolicyDocument"]["Statement"] if isinstance(of, dict)
    ]


def test_a_time_zone_makes_a_schedule_of_scheduler_and_its_input_runs_the_batch():
    target = resources_of(composed(), "Scheduler::Schedule")["OrdersSchedule"]["Target"]
    given = json.loads(target["Input"])
    assert (given["batch"]["batch"], given["workers"], given["scheduled"]) == (
        "orders",
        4,
        "<aws.scheduler.scheduled-time>",
    )
    assert {"RetryPolicy", "DeadLetterConfig"} <= target.keys()


def test_without_a_time_zone_a_rule_gives_the_instant_of_its_event():
    where = "v < 3 AND w > 4"
    (rule,) = resources_of(composed(keyed("a", schedule=RULE, source__where=where)), "Events::Rule").values()
    (target,) = rule["Targets"]
    assert target["InputTransformer"]["InputPathsMap"] == {"scheduled": "$.time"}
    text = target["InputTransformer"]["InputTemplate"]
    assert re.findall(r"<[^>]*>", text) == ["<scheduled>"]
    assert json.loads(text)["batch"]["source"]["where"] == where


def test_an_input_that_a_rule_cannot_hold_is_refused():
    with pytest.raises(BatchFileError, match=r"batch a: schedule: expected an input of at most 8,192 bytes.*timezone"):
        composed(keyed("a", schedule=RULE, source__where=" OR ".join(["v = 3"] * 1000)))


def test_a_wrong_schedule_is_told_with_its_batch():
    at = {"expression": "at(2027-01-01T00:00:00)"}
    with pytest.raises(BatchFileError, match=r"^batch b: schedule: at\(\) is Scheduler's; give timezone: UTC$"):
        composed(keyed("a", schedule={**at, "timezone": "UTC"}), keyed("b", schedule=at))


@pytest.mark.parametrize(
    ("expression", "hours"),
    [("rate(6 hours)", 8), ("cron(0 3 * * ? *)", 26), ("cron(0 3 ? * MON-FRI *)", 74), ("cron(0 3 1 * ? *)", None),
     ("cron(0 3 1 1 ? 2027)", None)],
)  # fmt: skip
def test_a_missing_run_is_told_two_hours_after_it_should_have_been(expression, hours):
    alarms = resources_of(composed(keyed("a", schedule={"expression": expression})), "CloudWatch::Alarm")
    assert (alarms["ARunMissing"]["EvaluationPeriods"] if "ARunMissing" in alarms else None) == hours


def test_batches_share_a_table_with_the_indexes_of_both():
    index = {"name": "by-id", "partition_key": "id"}
    template = composed(
        keyed("a", dynamodb__table="shared"), keyed("b", dynamodb__table="shared", dynamodb__indexes=[index])
    )
    table = resources_of(template, "DynamoDB::Table")["SharedBatchTable"]
    assert [of["IndexName"] for of in table["GlobalSecondaryIndexes"]] == ["by-id"]
    with pytest.raises(BatchFileError, match="batch b: dynamodb: another batch on table shared declares attribute id"):
        composed(
            keyed("a", dynamodb__table="shared"), keyed("b", dynamodb__table="shared", dynamodb__key_types={"id": "S"})
        )


def test_no_two_names_share_a_logical_id():
    names = ["orders", "Orders", "order-s", "order_s", "order--s", "order.s", "-orders", "orders-", "order-1", "order1"]
    assert len({logical_name(name) for name in names}) == len(names)
    assert all(logical_name(name).isalnum() for name in names)
