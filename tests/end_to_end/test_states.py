"""Single states, called as Lambda calls them, killed between writing and recording, and called again."""

import pytest

from dataops.core import copy
from dataops.core.account import account_rows
from dataops.core.control import Control
from dataops.core.copy import copy_chunk
from dataops.core.dynamodb import Page, query_page
from dataops.core.load import load_segment, prepare_staging
from dataops.core.publish import publish
from dataops.core.reconcile import take_snapshot, verify_source, verify_staging
from dataops.core.records import Rejection
from dataops.core.staging import staging_name
from dataops.core.sweep import sweep_stale
from dataops.core.task import Task
from dataops.errors import LeaseHeld, Permanent, Retryable, Unaccounted
from tests.end_to_end.steps import at_once, copy_all, execution_of, load_all, never, planned

ROWS = 2500


@pytest.fixture
def task(case):
    """A planned run over three pages of rows."""
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, v VARCHAR(20))")
    case.source("INSERT INTO {t} VALUES (%s, %s)", *((number, f"row {number}") for number in range(1, ROWS + 1)))
    task = planned(case, "run-1")
    yield task
    task.__exit__(None, None, None)


def test_plan_may_be_repeated_and_gives_the_same(task, case):
    again = planned(case, "run-1")
    assert again.plan == task.plan
    assert [chunk.lower for chunk in again.control.chunks()] == [chunk.lower for chunk in task.control.chunks()]


def test_chunks_hold_every_key_once(task, case):
    chunks = task.control.chunks()
    assert (chunks[0].lower, chunks[-1].upper) == (None, None)
    assert [chunk.upper for chunk in chunks[:-1]] == [chunk.lower for chunk in chunks[1:]]
    copy_all(task)
    assert sum(chunk.rows for chunk in task.control.chunks()) == ROWS


def test_a_copy_stops_in_time_and_goes_on_from_its_cursor(task, case):
    done = [copy_chunk(task, 0, at_once)]
    assert task.control.chunk(0).rows == 1000
    while not done[-1]:
        done.append(copy_chunk(task, 0, at_once))
    assert len(done) > 1
    assert copy_chunk(task, 0, at_once)
    copy_all(task)
    account_rows(task)
    assert len(case.items()) == ROWS


@pytest.mark.parametrize(("seconds", "written"), [(0, 1000), (600, 1250)], ids=["a page", "all pages of a second"])
def test_a_copy_killed_before_it_recorded_its_pages_counts_them_once(task, case, monkeypatch, seconds, written):
    monkeypatch.setattr(copy, "TELL_SECONDS", seconds)
    monkeypatch.setattr(Control, "save_chunk", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        copy_chunk(task, 0, never)
    monkeypatch.undo()
    assert len(case.items()) == written
    copy_all(task)
    assert sum(chunk.items for chunk in task.control.chunks()) == ROWS == len(case.items())


def test_a_load_killed_before_it_recorded_its_page_changes_nothing(task, case, monkeypatch):
    copy_all(task)
    prepare_staging(task)
    monkeypatch.setattr(Control, "save_segment", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        load_segment(task, 0, never)
    monkeypatch.undo()
    for segment in task.control.segments():
        while not load_segment(task, segment.id, never):
            pass
    assert verify_staging(task, never)


def test_rejections_are_read_chunk_by_chunk(task, monkeypatch):
    control, read = task.control, []
    for chunk in control.chunks():
        chunk.rejected = 2
        control.save_chunk(chunk)
        control.save_rejections(chunk, 0, [Rejection({"id": f"{chunk.id}{n}"}, "v", "is wrong") for n in range(2)])
    whole = Control._list
    monkeypatch.setattr(Control, "_list", lambda *given: read.append(given[1]) or whole(*given))
    walk = control.walk_rejections()
    assert [rejection.key["id"] for rejection in (next(walk), next(walk))] == ["00", "01"]
    assert read == ["offender#", "chunk#", "rejection#0000#00#"]
    assert [rejection.key["id"] for rejection in walk][:2] == ["10", "11"]


@pytest.fixture
def indexed(case):
    """A copied run that is read back by an index of two partitions, and the one segment to load it by."""
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, kind VARCHAR(1) NOT NULL)")
    case.source("INSERT INTO {t} VALUES (%s, %s)", *((number, "ab"[number % 2]) for number in range(1, 251)))
    index = {"name": "by-kind", "partition_key": "kind", "sort_key": "id", "projection": "KEYS_ONLY"}
    task = planned(case, "run-1", case.batch(dynamodb__indexes=[index], target__read={"index": "by-kind"}))
    copy_all(task)
    (segment,) = prepare_staging(task)
    yield task, segment
    task.__exit__(None, None, None)


def test_a_partition_of_an_index_is_loaded_page_by_page(indexed):
    task, segment = indexed
    rows = []
    while not load_segment(task, segment, at_once):
        rows.append(task.control.segment(segment).rows)
    assert rows == [100, 125, 225]
    assert task.control.segment(segment).rows == 250
    assert verify_staging(task, never)


def test_an_index_that_shows_its_items_late_is_read_again(indexed, monkeypatch):
    task, segment = indexed
    late = iter([True, False, True])

    def read(*arguments, **options):
        page = query_page(*arguments, **options)
        return page._replace(items=page.items[1:]) if next(late, False) else page

    monkeypatch.setattr("dataops.core.load.query_page", read)
    while not load_segment(task, segment, never):
        pass
    assert task.control.segment(segment).rows == 250
    assert verify_staging(task, never)


def test_an_index_that_never_shows_its_items_ends_the_load(indexed, monkeypatch):
    monkeypatch.setattr("dataops.core.load.INDEX_POLLS", 2)
    monkeypatch.setattr("dataops.core.load.query_page", lambda *_, **__: Page([], None))
    with pytest.raises(Retryable, match="expected 125 items in a partition, found 0 after 2 readings"):
        load_segment(*indexed, never)


def test_publish_may_be_repeated_at_any_point(task, case, monkeypatch):
    copy_all(task)
    load_all(task)
    monkeypatch.setattr(Control, "save_record", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        publish(task)
    monkeypatch.undo()
    publish(task)
    publish(task)
    assert task.control.record().target_rows == ROWS
    assert case.checksums()[0] == case.checksums()[1]
    assert case.leftovers() == ["lease"]


def test_a_chunk_that_drifted_is_copied_again_and_its_vanished_rows_are_swept(task, case):
    copy_all(task)
    load_all(task)
    case.source("DELETE FROM {t} WHERE id = 2400")
    case.source("UPDATE {t} SET v = 'drifted' WHERE id = 2450")
    drifted = verify_source(task, never)
    last = task.control.chunks()[-1].id
    assert drifted == [last]
    assert copy_chunk(task, last, never)
    load_all(task)
    assert verify_source(task, never) == []
    assert verify_staging(task, never)
    publish(task)
    assert case.checksums()[0] == case.checksums()[1]
    assert len(case.items()) == ROWS - 1


def test_a_source_that_never_rests_ends_the_run(task, case):
    for attempt in range(3):
        copy_all(task) if attempt == 0 else copy_chunk(task, task.control.chunks()[-1].id, never)
        case.source(f"UPDATE {{t}} SET v = 'again {attempt}' WHERE id = {ROWS}")
        if attempt < 2:
            assert verify_source(task, never)
    with pytest.raises(Unaccounted, match="changed each of the 3 times"):
        verify_source(task, never)


@pytest.mark.parametrize("change", ["UPDATE {t} SET v = 'new' WHERE id = 2", "DO 0"], ids=["changed", "the same"])
def test_a_snapshot_goes_on_from_a_copy_or_a_snapshot_that_was_cut_off(case, change):
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, v VARCHAR(20))")
    case.source("INSERT INTO {t} VALUES (1, 'one'), (2, 'two')")
    with planned(case, "run-1", case.batch(source__consistency="snapshot")) as task:
        assert not copy_chunk(task, 0, at_once)
        case.source(change)
        with pytest.raises(Permanent, match="too large to be read in one snapshot"):
            take_snapshot(task, at_once)
    with Task.open(task.plan.run) as task:
        take_snapshot(task, never)
        account_rows(task)
        assert (task.control.chunk(0).rows, task.control.chunk(0).verified) == (2, True)
        load_all(task)
        assert (verify_source(task, never), verify_staging(task, never)) == ([], True)
        publish(task)
    assert case.checksums()[0] == case.checksums()[1]


def test_an_item_written_by_another_is_never_loaded(task, case):
    copy_all(task)
    sweep_stale(task, never)
    foreign = {"id": {"N": "999999"}, "v": {"S": "x"}, task.plan.batch.stamp: {"N": "7"}}
    case.dynamodb.put_item(TableName=case.name, Item=foreign)
    prepare_staging(task)
    with pytest.raises(Unaccounted, match="found one that another wrote meanwhile"):
        load_segment(task, 0, never)


def test_an_item_without_the_stamp_is_none_of_our_business(task, case):
    case.dynamodb.put_item(TableName=case.name, Item={"id": {"N": "999999"}, "v": {"S": "theirs"}})
    copy_all(task)
    load_all(task)
    assert verify_staging(task, never)
    assert {"id": {"N": "999999"}, "v": {"S": "theirs"}} in case.items()


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        ("UPDATE {staging} SET v = 'row 7 ' WHERE id = 7", "found 2,500 of other content"),
        ("DELETE FROM {staging} WHERE id = 7", "found 2,499"),
        ("INSERT INTO {staging} VALUES (999999, 'x')", "found 2,501"),
        ("UPDATE {staging} SET v = NULL WHERE id = 7", "found 2,500 of other content"),
    ],
)
def test_every_difference_between_items_and_staging_is_found(task, case, tamper, message):
    copy_all(task)
    load_all(task)
    case.target(tamper.replace("{staging}", staging_name(task.plan)))
    with pytest.raises(Unaccounted, match=message):
        verify_staging(task, never)


def test_an_item_changed_behind_our_back_is_found(task, case):
    copy_all(task)
    case.dynamodb.update_item(
        TableName=case.name, Key={"id": {"N": "7"}}, UpdateExpression="SET v = :v",
        ExpressionAttributeValues={":v": {"S": "altered"}},
    )  # fmt: skip
    load_all(task)
    with pytest.raises(Unaccounted, match=r"DynamoDB table .* found 2,500 items of other content"):
        verify_staging(task, never)


def test_the_lease_is_held_by_one_execution_only(task, case):
    with pytest.raises(LeaseHeld):
        Control("other").take_over(case.name, "arn:other", "arn:somebody-else")
    assert Control("other").take_lease(case.name, "arn:other") == execution_of(task.plan.run)
    Control("other").release_lease(case.name, "arn:other")
    assert Control("other").take_lease(case.name, "arn:other") == execution_of(task.plan.run)


def test_a_run_that_is_not_wanted_any_more_stops_at_the_next_page(task):
    task.control.ask_to_stop()
    with pytest.raises(Permanent, match="was asked to stop"):
        copy_chunk(task, 0, never)
    assert task.control.chunk(0).rows == 0
