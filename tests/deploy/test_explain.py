"""Old and new values of a change, and what DynamoDB will not do."""

import pytest

from dataops.deploy.cloudformation import Change
from dataops.deploy.explain import explain

SCHEDULE = Change("Modify", "Nightly", "AWS::Scheduler::Schedule", "ScheduleExpression, Target", "")
TABLE = Change("Modify", "Orders", "AWS::DynamoDB::Table", "GlobalSecondaryIndexes", "")


def template(name, **properties):
    return {"Resources": {name: {"Properties": properties}}}


def indexes(**projections):
    """A template with a table that has an index of each of these names, on column v."""
    keys = [{"AttributeName": "v", "KeyType": "HASH"}]
    made = [{"IndexName": of, "KeySchema": keys, "Projection": how} for of, how in projections.items()]
    return template("Orders", **({"GlobalSecondaryIndexes": made} if made else {}))


ALL, KEYS = {"ProjectionType": "ALL"}, {"ProjectionType": "KEYS_ONLY"}
SOME = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a", "b"]}


def test_a_schedules_old_and_new_expression_are_told():
    one, other = (template("Nightly", ScheduleExpression=of) for of in ("rate(1 day)", "rate(2 days)"))
    told = explain(SCHEDULE, one, other)
    assert (told.what, told.is_risky) == ("ScheduleExpression: rate(1 day) -> rate(2 days), Target", False)
    assert explain(SCHEDULE, one, one).what == SCHEDULE.what


@pytest.mark.parametrize(
    ("before", "after", "what", "refused"),
    [
        ({}, {"a": SOME}, "a: none -> (v) INCLUDE a b", ""),
        ({"a": ALL}, {}, "a: (v) ALL -> none", ""),
        ({"a": ALL}, {"a": KEYS}, "a: (v) ALL -> (v) KEYS_ONLY", "DynamoDB changes no index in place (a)"),
        (
            {"a": ALL}, {"b": ALL}, "a: (v) ALL -> none; b: none -> (v) ALL",
            "DynamoDB takes one new or deleted index at a time (a, b)",
        ),
    ],
    ids=["one new", "one deleted", "changed in place", "renamed"],
)  # fmt: skip
def test_indexes_are_told_and_what_dynamodb_refuses_is_risky(before, after, what, refused):
    told = explain(TABLE, indexes(**before), indexes(**after))
    assert told.what == f"GlobalSecondaryIndexes: {what}"
    assert told.is_risky == bool(refused)
    assert refused in told.replacement


def test_a_change_of_the_resource_itself_is_none_by_reference_only():
    change = Change("Modify", "Role", "AWS::IAM::Role", "Policies", "", by_reference=True)
    one, other = (template("Role", Policies=[of]) for of in ("a", "b"))
    assert explain(change, one, one).by_reference
    assert not explain(change, one, other).by_reference
