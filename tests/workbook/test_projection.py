"""Notebook 03's forecast, against the units that an emulator of DynamoDB counts by itself."""

from __future__ import annotations

import itertools

import pytest

from dataops.batch import Batch, parse_batch
from dataops.core.dynamodb import Access, dynamodb_client
from dataops.core.item import item_size
from dataops.core.writers import PutWriter
from dataops.deploy.tables import ensure_table
from dataops.errors import BatchFileError
from dataops.workbook.demo import open_server
from dataops.workbook.projection import preview_projection
from tests.samples import declared

_numbers = itertools.count(1)
INDEXES = [
    {"name": "by-kind", "partition_key": "kind"},
    {"name": "by-maker", "partition_key": "maker", "sort_key": "id", "projection": "KEYS_ONLY"},
    {"name": "by-shelf", "partition_key": "shelf", "projection": {"include": ["kind"]}},
]


@pytest.fixture
def batch(stack) -> Batch:
    """200 rows, some of which are large, and of which every fifth has no maker: 160 of them in one kind."""
    name = f"things_{next(_numbers)}"
    with open_server(stack.info.source) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, kind VARCHAR(9) NOT NULL, maker VARCHAR(9), "
                       "shelf INT NOT NULL, body TEXT)")  # fmt: skip
        rows = [(n, "main" if n % 5 else "other", f"m{n % 7}" if n % 5 else ("" if n % 2 else None), n % 3, "x" * (n * 20))
                for n in range(200)]  # fmt: skip
        cursor.executemany(f"INSERT INTO {name} VALUES (%s, %s, %s, %s, %s)", rows)
        connection.commit()
    table = {"table": name, "partition_key": "id", "indexes": INDEXES}
    return parse_batch(declared(batch="things", source__table=name, target__table=name, dynamodb=table))


@pytest.fixture
def written(batch):
    """Write all items as a run does, with a given stamp; gives the units that DynamoDB reports."""

    def write(preview, stamp: int) -> float:
        access = Access(dynamodb_client())
        ensure_table(access.client, batch, preview._walk.codec)
        items = [item | {batch.stamp: {"N": str(stamp)}} for item in preview._sample]
        PutWriter(access, batch.dynamodb.table, ["id"]).write(items)
        return access.used.write_units

    return write


def test_the_load_and_an_unchanged_refresh_take_what_was_forecast(batch, written):
    preview = preview_projection(batch)
    assert written(preview, 100_000_100) == preview.write_units
    assert written(preview, 100_000_200) == preview.refresh_units
    assert written(preview, 100_000_200) == preview.views[0].load_units


def test_only_an_index_that_shows_the_stamp_is_rewritten(batch):
    rows = {row[0].split(" ")[0]: row[1:6] for row in preview_projection(batch).cost().rows}
    assert [rows[name][3] > 0 for name in ("by-kind", "by-maker", "by-shelf")] == [True, False, False]
    assert rows["by-kind"][4] == rows["by-kind"][3] == rows["by-kind"][2]
    assert rows[batch.dynamodb.table][4] == 0


def test_items_without_a_key_of_an_index_are_not_in_it(batch):
    tables = preview_projection(batch).items().tables
    assert [table.caption.partition(": ")[2] for table in tables] == [
        "200 items", "200 items", "160 items; 40 items are not in it", "200 items",
    ]  # fmt: skip
    assert tables[2].columns == ("maker (PK)", "id (SK)")
    assert tables[3].columns[:2] == ("shelf (PK)", "id")


def test_sizes_are_those_of_the_items(batch):
    preview = preview_projection(batch)
    sizes = sorted(map(item_size, preview._sample))
    (row,) = preview.size_table().rows
    assert row[:2] == (200, sizes[0])
    assert row[3] == round(sum(sizes) / 200)
    assert (row[5], row[6]) == (sizes[-1], sum(size > 1024 for size in sizes))
    assert preview.sizes().png.startswith(b"\x89PNG")


def test_the_hottest_partition_of_an_index_is_told(batch):
    rows = {row[0].split(" ")[0]: row[1:] for row in preview_projection(batch).heat().rows}
    assert rows["by-kind"][:3] == ("2", "main", 160)
    assert (rows["by-kind"][5], rows["by-maker"][5]) == ("throttled", "fits")
    assert rows[batch.dynamodb.table][2] == 1


def test_every_kind_of_operation_gives_the_right_items(batch):
    told = [(row[1], row[-1]) for row in preview_projection(batch).access().rows]
    assert told == [
        ("GetItem", "gave 1 of 1 items"),
        ("Query on by-kind", "gave 160 of 160 items"),
        ("Query on by-maker + GetItem", "gave 24 of 24 items"),
        ("Query on by-shelf + GetItem", "gave 67 of 67 items"),
    ]


def test_the_rest_is_extrapolated_from_the_first_rows(batch):
    preview, whole = preview_projection(batch, rows=100), preview_projection(batch)
    assert (preview._walk.read, preview.scale) == (100, 2.0)
    assert "from the first 100 of 200 rows by key, extrapolated to 200" in preview.cost().caption
    assert preview.write_units < whole.write_units


def test_an_empty_table_is_previewed(batch):
    nothing = parse_batch(
        declared(**{"source": {"secret": "dataops/source", "table": batch.source.table, "where": "id < 0"}})
    )
    preview = preview_projection(nothing)
    assert preview.size_table().rows[0][0] == 0
    assert "0 items" in preview.verdict()


def test_fewer_than_no_rows_are_refused(batch):
    with pytest.raises(BatchFileError, match="rows: expected 0"):
        preview_projection(batch, rows=-1)
