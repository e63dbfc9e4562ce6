"""The report of a run: complete, self-contained, harmless."""

from html.parser import HTMLParser

import msgspec
import pytest

from dataops.core.records import FlowRecord, Invoked, Record, Rejection, Usage
from dataops.deploy.machine import DEFINITION
from dataops.errors import Permanent
from dataops.workbook.report import (
    counts_table,
    describe_limits,
    describe_publication,
    require_success,
    runs_table,
    write_report,
)
from dataops.workbook.result import FlowResult, RunResult, StateTime

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def result_of(status="succeeded", **counts):
    record = Record("orders-1", "orders", status, source_rows=3, items=2, target_rows=2, rejected=1, **counts)
    states = (StateTime("Plan", "succeeded", "", 1.5, 1), StateTime("Copy Chunks", "failed", "", 0.5, 2))
    fault = Rejection({"id": HOSTILE}, "memo", HOSTILE)
    return RunResult(record, status, 2.0, states, (fault,), None, DEFINITION.read_text())


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.seen, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]


def test_values_are_text_and_nothing_is_loaded(tmp_path):
    page = write_report(result_of("failed", cause=HOSTILE, left_out=[HOSTILE]), tmp_path).read_text()
    tags = Tags(page)
    assert not tags.seen & {"script", "img", "link", "iframe", "object"}
    assert tags.links == []
    assert page.count("&lt;script&gt;") >= 4


@pytest.mark.parametrize(
    ("batches", "told"),
    [(["a"], "The table changed in one RENAME."), (["a", "b"], "All 2 tables changed in one RENAME.")],
)
def test_it_tells_how_many_tables_a_flow_published(batches, told):
    record = FlowRecord("nightly-1", "nightly", runs={name: f"{name}-1" for name in batches}, published=True)
    assert describe_publication(FlowResult(record, "succeeded", 2.0, (), "{}", ())) == told


def test_it_tells_the_equation_the_states_and_the_rejections(tmp_path):
    page = write_report(result_of(), tmp_path).read_text()
    assert "<b>3</b> source rows = <b>2</b> target + <b>1</b> rejected + <b>0</b> dropped" in page
    assert "1.50 s" in page
    assert "0.50 s in 2 visits" in page
    assert "memo" in page


def test_rows_that_do_not_add_up_are_shown_so(tmp_path):
    assert "<b>3</b> source rows ≠" in write_report(result_of(dropped=1), tmp_path).read_text()


def test_the_verdict_is_a_sentence_or_an_error():
    assert require_success(result_of("succeeded with rejections")).startswith(
        "orders: succeeded with rejections; 3 source rows = 2"
    )
    with pytest.raises(Permanent, match="orders: failed: because"):
        require_success(result_of("failed", cause="because"))
    with pytest.raises(Permanent, match="3 source rows, 4 accounted for"):
        require_success(result_of(dropped=1))


def test_a_run_that_read_one_partition_tells_what_lay_outside():
    assert ("outside the partition read", 2) in counts_table(result_of(outside=2)).rows
    assert "outside the partition read" not in dict(counts_table(result_of()).rows)


def test_only_states_that_took_time_have_a_bar(tmp_path):
    states = (StateTime("Plan", "succeeded", "", 0.004, 1), StateTime("Rds To Dynamodb", "succeeded", "", 1.0, 0))
    result = msgspec.structs.replace(result_of(), states=(*states, StateTime("Publish", "succeeded", "", 0.005, 1)))
    assert [state.name for state in result.timed_states] == ["Publish"]


def test_runs_are_listed_with_their_whole_cause_unchanged():
    cause = "[/b] [red] " + "x" * 99
    records = [Record("r-2", "r", "failed", cause=cause), Record("r-1", "r", "succeeded", source_rows=1234)]
    records[1].usage = Usage(100, {"plan": Invoked(1, 1000, 1024)})
    lines = runs_table(records).text().splitlines()
    assert "  $ measured  " in lines[0]
    assert lines[1].endswith(f"  {cause}")
    assert lines[2].split() == ["r-1", "-", "succeeded", "1,234", "0", "0", "0.0025", "-"]


def test_a_report_says_which_units_its_cost_leaves_out(tmp_path):
    result = result_of()
    assert "sweep and comparison" not in write_report(result, tmp_path).read_text()
    result.record.usage = Usage(100, {"plan": Invoked(1, 1000, 1024)})
    assert "the units of sweep and comparison" in write_report(result, tmp_path).read_text()


def test_what_limited_a_run_is_a_sentence_for_each_work_that_was_done():
    record = result_of(copying={"source": 6.0, "computing": 3.0, "dynamodb": 1.0, "throttling": 0.001}).record
    assert describe_limits(record) == [
        "Copying was limited by the source: 60% of its workers' 10.0 s, computing 30%, DynamoDB's replies 10%."
    ]
    assert describe_limits(result_of().record) == []
