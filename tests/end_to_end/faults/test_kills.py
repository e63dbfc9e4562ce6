"""Functions killed by SIGKILL at every point where they tell somebody something, and at random ones."""

import random

import pytest

from dataops.core.writers import BATCH_ITEMS
from tests.end_to_end.faults import dynamodb_proxy, mysql_proxy
from tests.end_to_end.faults.conftest import ROWS, assert_survived, fill
from tests.end_to_end.faults.rules import late

CHUNKS, PAGE_ROWS = 2, 1000
"""The chunks of a run with one worker, each of two pages, and the rows of the first."""
RUNS, KILLS = 2, 3
"""Random kills: so many runs of either mode on either kind of server, each with so many."""


def items(operation):
    """Calls of that kind about the batch's own table."""
    return lambda case: lambda call: call.operation == operation and case.name in call.tables


def control(sk, operation="PutItem", status=""):
    """Writes of that kind of record into the control table."""

    def picked(call):
        record = call.body.get("Item") or call.body.get("Key") or {}
        told = record.get("sk", {}).get("S", "").startswith(sk)
        return told and call.operation == operation and status in record.get("data", {}).get("S", "")

    return lambda case: picked


DYNAMODB = {
    "Plan, at its beginning": [(control("record"), 0), (control("lease"), 0), (control("chunk#"), 1)],
    "Plan, at its end": [(control("generation", "UpdateItem"), 0), (control("plan"), 0)],
    "Copy Chunks": [(items("BatchWriteItem"), 7), (control("chunk#"), 6), (items("BatchWriteItem"), 30)],
    "Sweep Stale": [(items("Scan"), 0), (items("DeleteItem"), 2), (control("sweep"), 0)],
    "Load Segments": [(control("verify"), 0), (control("segment#"), 1), (control("segment#"), 5)],
    "Reconcile": [(control("chunk#", status='"verified":true'), 1), (items("Scan"), -1)],
    "Publish": [(control("record", status='"published":true'), 0)],
    "Close Run": [(control("record", status='"succeeded"'), 0), (control("lease", "DeleteItem"), 0)],
}
"""State -> what it tells DynamoDB, and the how manieth of such calls the kill strikes (-1: the last of a clean run)."""

STATEMENTS = {
    "swap": [["CREATE TABLE", "LOAD DATA", "RENAME TABLE", "DROP TABLE"]],
    "upsert": [["CREATE TABLE", "LOAD DATA", "DELETE t", "UPDATE"], ["INSERT INTO", "COMMIT", "DROP TABLE"]],
}
"""Mode -> what its functions ask of the target, a run's worth each."""


@pytest.fixture
def copied(rows):
    """A case that has run once; since then rows were deleted, changed and inserted in the source."""
    assert_survived(rows, rows.run())
    change(rows)
    return rows


def change(case):
    """Delete, change and insert rows in the source."""
    case.source("DELETE FROM {t} ORDER BY id LIMIT 20")
    case.source("UPDATE {t} SET v = CONCAT('changed ', n), n = n + 1 WHERE id % 7 = 0")
    (last,) = case.source("SELECT MAX(id) FROM {t}")[0]
    fill(case.source, last + 1, last + 20)


@pytest.mark.one_server
@pytest.mark.parametrize("state", DYNAMODB)
def test_a_function_killed_at_a_call_to_dynamodb_changes_nothing(copied, dynamodb, state):
    last = sum(line == f"Scan {copied.name}" for line in dynamodb.seen) - 1
    for kill in (dynamodb_proxy.kill_before, dynamodb_proxy.kill_after):
        dynamodb.clear()
        killed = [dynamodb.add(kill, pick(copied), [last if at < 0 else at]) for pick, at in DYNAMODB[state]]
        assert_survived(copied, copied.run())
        assert all(killed)
        change(copied)


@pytest.mark.one_server
@pytest.mark.parametrize(("kill", "again"), [("kill_before", PAGE_ROWS), ("kill_after", 0)])
def test_a_copy_killed_within_a_chunk_goes_on_from_its_cursor(rows, dynamodb, kill, again):
    """A page takes over a second, and so is recorded."""
    dynamodb.add(late(dynamodb_proxy.forward, 0.6), items("BatchWriteItem")(rows))
    killed = dynamodb.add(getattr(dynamodb_proxy, kill), control("chunk#")(rows), [CHUNKS])  # Plan has saved each
    result = rows.run(workers=1)
    assert_survived(rows, result)
    assert killed == [CHUNKS]
    assert [chunk.rows for chunk in result.copied] == [ROWS // CHUNKS] * CHUNKS
    assert dynamodb.seen.count(f"BatchWriteItem {rows.name}") == (ROWS + again) / BATCH_ITEMS


@pytest.mark.parametrize(("mode", "statements"), [(mode, part) for mode in STATEMENTS for part in STATEMENTS[mode]])
def test_a_function_killed_at_a_statement_to_the_target_changes_nothing(copied, proxied, mode, statements):
    proxy = proxied("target")
    for kill in (mysql_proxy.kill_before, mysql_proxy.kill_after):
        proxy.clear()
        killed = [proxy.add(kill, mysql_proxy.begins(word), [0]) for word in statements]
        assert_survived(copied, copied.run(copied.batch(target__mode=mode)))
        assert all(killed)
        change(copied)


@pytest.mark.parametrize("mode", STATEMENTS)
def test_functions_killed_at_random_points_change_nothing(copied, dynamodb, proxied, mode):
    proxies = {"dynamodb": dynamodb} | {which: proxied(which) for which in ("source", "target")}
    batch = copied.batch(target__mode=mode)
    dynamodb.clear()
    assert_survived(copied, copied.run(batch))
    calls = [(which, number) for which, proxy in proxies.items() for number in range(len(proxy.seen) * 9 // 10)]
    for seed in range(RUNS):
        killed = strike(random.Random(f"{mode} {seed}"), proxies, calls)
        change(copied)
        assert_survived(copied, copied.run(batch))
        assert all(killed)


def strike(chance, proxies, calls):
    """Have the callers of random calls killed, before or after; gives what tells that they were."""
    killed = []
    for proxy in proxies.values():
        proxy.clear()
    for which, number in chance.sample(calls, KILLS):
        kills = dynamodb_proxy if which == "dynamodb" else mysql_proxy
        rule = chance.choice([kills.kill_before, kills.kill_after])
        killed.append(proxies[which].add(rule, lambda _: True, [number]))
        print(f"{which} {number} {rule.__name__}")
    return killed
