"""The proxies themselves: what goes through untouched, what is cut, who is killed."""

import pytest

from tests.end_to_end.faults.conftest import assert_survived
from tests.end_to_end.faults.dynamodb_proxy import kill_after
from tests.end_to_end.faults.mysql_proxy import begins, cut_after

pytestmark = pytest.mark.one_server


def test_a_run_goes_through_both_proxies_untouched(rows, dynamodb, proxied):
    source, target = proxied("source"), proxied("target")
    assert_survived(rows, rows.run())
    assert any(name.startswith("BatchWriteItem") for name in dynamodb.seen)
    assert any(sql.startswith("SELECT COUNT(*)") for sql in source.seen)
    assert any(sql.startswith("RENAME TABLE") for sql in target.seen)


def test_a_function_is_killed_after_its_write_and_runs_again(rows, dynamodb):
    killed = dynamodb.add(kill_after, lambda call: rows.name in call.tables, times=[3])
    assert_survived(rows, rows.run())
    assert killed == [3]


def test_a_statement_is_done_and_its_reply_lost(rows, proxied):
    proxy = proxied("target")
    cut = proxy.add(cut_after, begins("LOAD DATA"), times=[1])
    assert_survived(rows, rows.run())
    assert cut == [1]
