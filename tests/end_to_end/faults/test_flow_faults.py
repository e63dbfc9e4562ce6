"""Functions killed wherever a flow tells somebody something: its tables change all at once or not at all."""

import re
import threading

import pytest

from dataops.core.control import Control
from dataops.core.flow import roll_back_flow
from tests.end_to_end.faults import dynamodb_proxy, mysql_proxy
from tests.end_to_end.faults.conftest import put_secret
from tests.end_to_end.faults.mysql_proxy import MySQLProxy
from tests.end_to_end.faults.test_kills import control
from tests.end_to_end.faults.test_target_faults import kill_server

STATES = {
    "Claim Flow": [("flow", "PutItem", "", 0), ("2026", "PutItem", "", 0)],
    "Hold Run": [("record", "PutItem", '"verified"', 0), ("lease", "PutItem", "-flow-", 0), ("lease", "PutItem", "-flow-", 1)],
    "Publish Flow": [("record", "PutItem", '"published":true', 0), ("record", "PutItem", '"published":true', 1),
                     ("flow", "PutItem", '"published":true', 0)],
    "Close Flow": [("record", "PutItem", '"succeeded"', 0), ("lease", "DeleteItem", "", 0), ("lease", "DeleteItem", "", 1),
                   ("flow", "PutItem", '"succeeded"', 0)],
}  # fmt: skip
"""State -> what it tells the control table: the record, the call, what is in it, and the how manieth of such calls."""
KILLS = (dynamodb_proxy.kill_before, dynamodb_proxy.kill_after)


@pytest.fixture
def target(shop, stack):
    """A proxy before the target server of both tables."""
    proxy = MySQLProxy(lambda: stack.info.target.port)
    put_secret(shop.customers, "target", stack.info.target, proxy.port)
    shop.orders.changes = dict(shop.customers.changes)
    yield proxy
    proxy.close()


@pytest.mark.one_server
@pytest.mark.parametrize("kill", KILLS, ids=["before", "after"])
@pytest.mark.parametrize("state", STATES)
def test_a_function_killed_at_a_call_to_dynamodb_changes_nothing(shop, dynamodb, state, kill):
    shop.assert_survived(shop.run())
    for record, operation, status, place in STATES[state]:
        dynamodb.clear()
        shop.next_day()
        killed = dynamodb.add(kill, control(record, operation, status)(None), [place])
        shop.assert_survived(shop.run())
        assert killed


@pytest.mark.parametrize("kill", [mysql_proxy.kill_before, mysql_proxy.kill_after], ids=["before", "after"])
def test_a_function_killed_at_a_statement_to_the_target_changes_nothing(shop, target, kill):
    shop.assert_survived(shop.run())
    for word, place in (("RENAME TABLE", 0), ("DROP TABLE", 0), ("DROP TABLE", 1)):
        target.clear()
        shop.next_day()
        killed = target.add(kill, mysql_proxy.begins(word), [place])
        shop.assert_survived(shop.run())
        assert killed


@pytest.mark.parametrize("when", ["before", "in", "after"])
def test_a_server_killed_at_the_rename_has_all_tables_old_or_all_new(shop, mortal_server, when):
    proxy = MySQLProxy(lambda: mortal_server.port)
    put_secret(shop.customers, "target", mortal_server.info, proxy.port)
    shop.orders.changes = dict(shop.customers.changes)
    shop.connect_target(mortal_server.info)
    shop.assert_survived(shop.run())
    day, seen, looked = shop.next_day(), [], threading.Event()

    def kill_and_look(statement):
        kill_server(mortal_server, proxy, when)(statement)
        shop.connect_target(mortal_server.info)
        seen.append(shop.days())
        looked.set()
        return False

    killed = proxy.add(kill_and_look, mysql_proxy.begins("RENAME TABLE"), [0])
    proxy.add(lambda statement: looked.wait(100), mysql_proxy.begins("RENAME TABLE"))  # that of the next attempt
    result = shop.run()
    shop.assert_survived(result)
    proxy.close()
    assert killed
    assert seen[0] in ([(day - 1,) * 4 + (0,)] if when == "before" else [(of,) * 4 + (0,) for of in (day - 1, day)])


@pytest.mark.one_server
def test_a_rename_that_fails_leaves_every_table_as_it_was(shop, target):
    shop.assert_survived(shop.run())
    shop.next_day()

    def lose_staging(statement):
        (staging,) = re.findall(r"`(_dataops_\w+_new)` TO `[^`]+`\.`" + shop.orders.name, statement.sql)
        shop.orders.target(f"DROP TABLE {staging}")
        return True

    lost = target.add(lose_staging, mysql_proxy.begins("RENAME TABLE"), [0])
    result = shop.run()
    assert lost
    assert (result.status, result.record.published) == ("failed", False)
    assert "publish_flow: target" in result.record.cause
    assert shop.is_all_of(0)
    assert [case.leftovers() for case in shop.cases] == [[], []]
    shop.assert_survived(shop.run())


@pytest.mark.one_server
def test_a_flow_that_cannot_go_on_after_its_rename_says_that_the_new_rows_are_in_place(shop, target):
    shop.assert_survived(shop.run())
    day = shop.next_day()
    cut = target.add(mysql_proxy.cut_before, lambda of: of.sql.startswith("DROP TABLE") and "_old" in of.sql, range(6))
    result = shop.run()
    assert len(cut) == 6
    assert (result.status, result.record.published) == ("failed", True)
    assert "the new rows are in place" in result.record.cause
    assert ["the new rows are in place" in of.record.cause for of in result.runs] == [True, True]
    assert shop.is_all_of(day)
    assert [case.leftovers() for case in shop.cases] == [[], []]
    record, members = result.record, [of.record for of in result.runs]
    assert roll_back_flow(record.run, record.execution, record.started, "", "again") == record
    assert [Control(of.run).record() for of in members] == members
