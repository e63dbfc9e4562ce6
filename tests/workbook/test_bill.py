"""Dollars of a run, against what AWS's pricing pages work out, and beside `batch_writer`."""

import pytest

from dataops.core.records import Invoked, Record, Usage
from dataops.workbook.bill import bill_flow, bill_json, bill_run, bill_table, total_of
from dataops.workbook.cost import Prices


def record_of(rows=0, *, memory=1769, architecture="x86_64", milliseconds=1000, transitions=0, **units):
    copied = Invoked(4, milliseconds, memory, architecture)
    usage = Usage(transitions, {"rds_to_dynamodb": copied}, {"rds_to_dynamodb": rows})
    return Record("orders-1", "orders", usage=usage, **units)


def test_lambda_costs_what_its_pricing_page_says():
    """3 million calls of 120 ms with 1,536 MB: 540,000 GB-seconds for 9.00 dollars, and 0.60 for the calls."""
    record = Record("r", "r", usage=Usage(0, {"plan": Invoked(3_000_000, 360_000_000, 1536)}))
    time, calls, *_ = bill_run(record)
    assert (time.amount, round(time.dollars, 2), round(calls.dollars, 2)) == (540_000, 9.00, 0.60)


@pytest.mark.parametrize(
    ("given", "place", "dollars"),
    [
        ({"milliseconds": 1_000_000, "memory": 1024}, 0, 0.0166667),
        ({"milliseconds": 1_000_000, "memory": 1024, "architecture": "arm64"}, 0, 0.0133334),
        ({"transitions": 40_000}, 2, 1.0),
        ({"write_units": 1_000_000.0}, 3, 0.625),
        ({"read_units": 1_000_000.0}, 4, 0.125),
    ],
    ids=["x86", "arm", "transitions", "writes", "reads"],
)
def test_each_line_has_its_price(given, place, dollars):
    assert bill_run(record_of(**given))[place].dollars == pytest.approx(dollars)
    assert bill_run(record_of(**given), Prices(factor=2))[place].dollars == pytest.approx(2 * dollars)


@pytest.mark.parametrize(("memory", "gb"), [(128, 1769 / 1024), (1769, 1769 / 1024), (3538, 3538 / 1024)])
def test_batch_writer_takes_a_processor_for_longer_and_nothing_else(memory, gb):
    time, *others = bill_run(record_of(1_000_000, memory=memory, transitions=7, write_units=9.0))
    assert time.instead - time.amount == pytest.approx(113.7 * gb)
    assert [(of.instead, of.dollars_instead) for of in others] == [(of.amount, of.dollars) for of in others]


def test_a_flow_costs_what_its_runs_and_its_own_states_cost():
    own, run = Usage(10, {"claim_flow": Invoked(1, 100, 1024)}), record_of(5, transitions=30, write_units=7.0)
    bill = bill_flow(own, [run, run])
    assert [line.amount for line in bill] == pytest.approx([0.1 + 2 * 1769 / 1024, 9, 70, 14, 0])
    assert bill_flow(own, [run, Record("r", "r")]) == ()


def test_a_run_that_was_not_measured_has_no_bill():
    assert bill_run(Record("r", "r")) == ()
    assert bill_json(()) is None
    assert bill_table(()).rows == []


def test_a_bill_ends_with_its_sum():
    bill = bill_run(record_of(10, transitions=40_000, write_units=1_000_000.0))
    assert bill_table(bill).rows[-1][:3] == ("all of the above", "-", f"{total_of(bill):.6f}")
    assert total_of(bill) == pytest.approx(1.625, abs=0.001)


def test_a_bill_says_whose_units_it_has():
    names = [row[0] for row in bill_table(bill_run(record_of())).rows]
    assert names[3:5] == ["DynamoDB write units of the copy", "DynamoDB read units of the load"]
    assert {"DynamoDB write units", "DynamoDB read units"} < (bill_json(bill_run(record_of())) or {}).keys()
