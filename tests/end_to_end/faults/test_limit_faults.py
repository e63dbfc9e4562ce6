"""DynamoDB and the target are made slow: a run's record names the side that limited it."""

import pytest

from dataops.core.stopwatch import limiting_side
from tests.end_to_end.faults.conftest import fill
from tests.end_to_end.faults.dynamodb_proxy import error, forward
from tests.end_to_end.faults.mysql_proxy import begins
from tests.end_to_end.faults.rules import late

pytestmark = pytest.mark.one_server


def run(case):
    """The record of a run by one worker."""
    result = case.run(workers=1)
    assert (result.status, result.record.cause) == ("succeeded", "")
    return result.record


def test_slow_replies_of_dynamodb(rows, dynamodb):
    dynamodb.add(late(forward, 0.5), lambda call: call.operation in ("BatchWriteItem", "Scan"))
    record = run(rows)
    assert (limiting_side(record.copying), limiting_side(record.loading)) == ("dynamodb", "dynamodb")


def test_throttling(case, dynamodb):
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, v VARCHAR(60), d DATETIME(3), n DECIMAL(12,4))")
    fill(case.source, 1, 150)
    often = [number for number in range(100) if number % 6 != 5]
    dynamodb.add(error("ThrottlingException"), lambda call: call.operation == "BatchWriteItem", times=often)
    assert limiting_side(run(case).copying) == "throttling"


def test_a_slow_target(rows, proxied):
    proxied("target").add(late(lambda statement: True, 2.0), begins("LOAD DATA"))
    assert limiting_side(run(rows).loading) == "target"
