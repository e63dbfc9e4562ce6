"""A value that does not fit its column, under the run's own stamp: the server may round it, and nothing of it is published."""

import re

import pytest

from dataops.core.load import load_segment, prepare_staging
from dataops.core.reconcile import verify_staging
from dataops.core.records import Verification
from dataops.core.staging import staging_name
from dataops.core.sweep import sweep_stale
from dataops.errors import Permanent
from tests.end_to_end.steps import copy_all, never, planned

COLUMNS = """id INT PRIMARY KEY, n INT, d DECIMAL(5,2), at DATETIME, half DATETIME(3), stamp TIMESTAMP NULL, day DATE, hour TIME,
    f FLOAT, g DOUBLE, text VARCHAR(20), letters CHAR(5), y YEAR, bits BIT(4), raw VARBINARY(4), kind ENUM('a','b')"""
MOMENT = "2024-02-29 01:02:03"
ROW = (
    7, 1, "1.25", MOMENT, f"{MOMENT}.123", MOMENT, MOMENT[:10], "01:02:03", 1.5, 0.1, "text", "abc", 2024, 5, b"\1", "a",
)  # fmt: skip
WRONG = {
    "n": ({"N": "1.5"}, {"N": "1.4"}, {"N": "3000000000"}), "d": ({"N": "1.254"}, {"N": "1.256"}),
    "at": ({"S": "2024-02-29T01:02:03.9"}, {"S": "2024-02-30T01:02:03"}), "half": ({"S": "2024-02-29T01:02:03.1239"},),
    "stamp": ({"S": "2024-02-29T01:02:03.9Z"},), "day": ({"S": "2024-02-29T23:59:59"},), "hour": ({"S": "01:02:03.9"},),
    "f": ({"N": "1.50000001"}, {"N": "0.1"}), "g": ({"N": "0.100000000000000000001"}, {"N": "0.2"}),
    "text": ({"S": "text "}, {"S": "text" + " " * 30}), "letters": ({"S": "abc "}, {"S": "abc" + " " * 9}),
    "y": ({"N": "24"},), "bits": ({"N": "16"},), "raw": ({"B": b"\1\0\0\0\0"},), "kind": ({"S": "A"}, {"S": "a "}),
}  # fmt: skip


@pytest.fixture
def task(case):
    """A copied run of one row, ready to be loaded."""
    case.source(f"CREATE TABLE {{t}} ({COLUMNS}) CHARACTER SET utf8mb4")
    case.source(f"INSERT INTO {{t}} VALUES ({', '.join(['%s'] * len(ROW))})", ROW)
    with planned(case, "run-1") as task:
        copy_all(task)
        sweep_stale(task, never)
        yield task


def load(task):
    """Load all; gives the rows that did not go the fast way."""
    for segment in prepare_staging(task):
        while not load_segment(task, segment, never):
            pass
    return task.control.segment(0).plain


def refusal(work):
    """The error that this ends with; none where it does not."""
    try:
        work()
    except Permanent as error:
        return str(error)
    return ""


def write(case, name, value):
    case.dynamodb.update_item(
        TableName=case.name, Key={"id": {"N": "7"}}, UpdateExpression="SET #name = :value",
        ExpressionAttributeNames={"#name": name}, ExpressionAttributeValues={":value": value},
    )  # fmt: skip


def test_a_row_as_it_was_copied_goes_the_fast_way(task):
    assert load(task) == {}
    assert verify_staging(task, never)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_value_that_the_server_would_round_is_not_published_whether_it_stays_or_not(task, case, name, value):
    verify = lambda: verify_staging(task, never)  # noqa: E731
    (right,) = (item[name] for item in case.items())
    write(case, name, value)
    if refused := refusal(lambda: load(task)):
        assert f"target {case.name}: loading staging" in refused
        return
    assert re.search("found 1 items of other content|is not as this batch writes it", refusal(verify))
    write(case, name, right)
    task.control.save_verification(Verification())
    if not refusal(verify):
        assert case.target(f"SELECT * FROM {staging_name(task.plan)}") == case.source("SELECT * FROM {t}")
