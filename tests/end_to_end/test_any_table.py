"""Any table of any rows comes back as it was, by the servers' own view.

Each example is a table made at random, read, encoded, put into DynamoDB, scanned, decoded and loaded by the code that
the states use; some go through all the states' work. `pytest --hypothesis-profile=long` tries 10,000.
"""

from __future__ import annotations

import itertools
import json
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from operator import attrgetter

import msgspec
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from dataops.batch import parse_batch
from dataops.core.connection import open_connection
from dataops.core.describe import describe_table
from dataops.core.dynamodb import Access, dynamodb_client, scan_page
from dataops.core.infile import TextLoader
from dataops.core.item import parse_item
from dataops.core.itemcode import PageFunction, why_items
from dataops.core.mysql import execute
from dataops.core.page import PlainSource
from dataops.core.records import Plan, Rejection
from dataops.core.rowcode import why_plain
from dataops.core.scan import RawScan
from dataops.core.staging import load_rows, staging_name
from dataops.core.task import Task
from dataops.core.wire import WireSource
from dataops.deploy.tables import ensure_table
from dataops.local.edges import MODE
from dataops.workbook.demo import open_server
from dataops.workbook.infer import infer_batch
from dataops.workbook.roundtrip import server_view
from tests.end_to_end.steps import run_here

numbers = itertools.count(1)
letters = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", " ", "a ", "A", "ä", "😀"]
)
numerals = st.integers(-(10**40), 10**40)


def integers(bits, signed=True):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high) | st.sampled_from([low, high, 0])


def two(highest):
    return st.integers(0, highest).map("{:02}".format)


days = st.tuples(st.integers(0, 9999).map("{:04}".format), two(12), two(31)).map("-".join)
clocks = st.tuples(
    two(23), two(59), two(59).flatmap(lambda second: st.integers(0, 999999).map(f"{second}.{{:06}}".format))
)
moments = st.tuples(days, clocks.map(":".join)).map(" ".join)
real_moments = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2037, 12, 31)).map(str)
durations = st.tuples(st.sampled_from(["", "-"]), st.integers(0, 838).map(str), clocks.map(lambda of: ":".join(of[1:])))
documents = st.recursive(
    st.none() | st.booleans() | numerals | st.floats(allow_nan=False, allow_infinity=False) | letters,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(letters, inner, max_size=3), max_leaves=8,
)  # fmt: skip

KEYS = {
    "INT": integers(32), "BIGINT UNSIGNED": integers(64, signed=False), "DECIMAL(30,6)": numerals.map(lambda n: f"{n}e-12"),
    "VARCHAR(40)": letters, "VARCHAR(40) COLLATE utf8mb4_bin": letters, "VARCHAR(40) CHARACTER SET latin1": letters,
    "VARBINARY(40)": st.binary(max_size=12), "BINARY(4)": st.binary(max_size=4), "DATE": days, "DATETIME(6)": moments,
    "TIME(3)": durations.map(lambda of: f"{of[0]}{of[1]}:{of[2]}"), "ENUM('b','a','c')": st.sampled_from("abc"),
}  # fmt: skip
TYPES = KEYS | {
    "TINYINT(1)": integers(8), "BIGINT": integers(64), "YEAR": st.integers(1901, 2155) | st.just(0), "BIT(64)": integers(64, False),
    "DECIMAL(65,30)": numerals.map(lambda n: f"{n}e-20"), "FLOAT": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "DOUBLE": st.floats(allow_nan=False, allow_infinity=False), "TIMESTAMP(6) NULL": real_moments, "CHAR(40)": letters,
    "TEXT": letters, "VARCHAR(40) CHARACTER SET utf8mb3": letters, "VARCHAR(40) CHARACTER SET cp932": letters,
    "VARCHAR(40) CHARACTER SET ucs2": letters, "BLOB": st.binary(max_size=40), "JSON": documents.map(json.dumps),
    "ENUM('a','','é')": st.sampled_from(["a", "", "é", "?"]), "SET('a','b','c')": st.sets(st.sampled_from("abc")).map(",".join),
}  # fmt: skip


@st.composite
def tables(draw):
    """Key types, other columns (type, nullable), rows, and the policy for ''."""
    keys = draw(st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=3))
    others = draw(st.lists(st.tuples(st.sampled_from(sorted(TYPES)), st.booleans()), max_size=5))
    values = [KEYS[key] for key in keys]
    values += [TYPES[kind] | st.none() if nullable else TYPES[kind] for kind, nullable in others]
    rows = draw(st.lists(st.tuples(*values), min_size=1, max_size=12))
    return keys, others, rows, draw(st.sampled_from(["keep", "to_null", "omit"]))


@pytest.fixture(scope="module")
def servers(stack):
    with ExitStack() as opened:
        connections = [opened.enter_context(open_server(info)) for info in (stack.info.source, stack.info.target)]
        for connection in connections:
            connection.autocommit(True)
        yield connections


@pytest.fixture(scope="module")
def edges(stack):
    """The connections and the client that a state would make."""
    with open_connection("dataops/source") as source, open_connection("dataops/target", infile=True) as target:
        access = Access(dynamodb_client())
        connections = {"source_connection": source, "target_connection": target, "loading_connection": target}
        yield connections | {"dynamodb": access, "shared_dynamodb": access}


def load_plainly(task):
    """Scan and load the plain way; gives how many items there are."""
    found = scan_page(task.dynamodb, task.plan.batch.dynamodb.table, task.plan.batch.stamp).items
    load_rows(task.target_connection, task.plan, task.target_columns(), [task.codec.decode(item) for item in found])
    return len(found)


def load_texts(task, forbidden=None):
    """Scan and load by the page function, with LOAD DATA or, where that is forbidden, without."""
    assert why_items(task.codec) is None
    function = PageFunction(task.codec, task.target_columns(), task.plan.batch.stamp)
    loader = TextLoader(task.loading_connection, task.plan, task.target_columns(), function.hexed)
    assert loader.forbidden is None
    loader.forbidden = forbidden
    body, _ = RawScan(task.dynamodb).read(task.plan.batch.dynamodb.table, task.plan.batch.stamp, None, 0, 1)
    page = function.read(body, {"1"})
    if page is None:
        event("a page that is unusual")
        return load_plainly(task)
    loader.load(page.texts.text)
    loader.load(page.texts.text)
    return page.texts.rows


WAYS = [load_plainly, load_texts, partial(load_texts, forbidden="by a test")]


@given(made=tables(), way=st.sampled_from(WAYS))
def test_any_row_comes_back_as_it_was_or_is_rejected(servers, edges, made, way):
    task = opened(servers, edges, f"any_{next(numbers)}", made)
    assert_twins(task)
    encoded = [task.codec.encode(row) for row in task.source_reader().read(None, None, 1000)]
    items = [result | {task.plan.batch.stamp: {"N": "1"}} for result in encoded if isinstance(result, dict)]
    assert task.writer.write(items) == []
    assert way(task) == len(items)
    task.dynamodb.client.delete_table(TableName=task.plan.batch.dynamodb.table)
    rejected = [result for result in encoded if isinstance(result, Rejection)]
    assert_same(servers, task.plan.source, staging_name(task.plan), made[3], rejected)
    for connection, name in zip(servers, (task.plan.source.name, staging_name(task.plan)), strict=True):
        execute(connection, f"DROP TABLE {name}")


@settings(max_examples=25)
@given(made=tables())
def test_any_table_comes_back_through_all_states(servers, made):
    name = f"whole_{next(numbers)}"
    write_table(servers[0], name, *made[:3])
    table = describe_table(servers[0], name)
    batch = parse_batch({**infer_batch(table, empty_string=made[3]), "on_reject": "continue"})
    record, rejections = run_here(batch, table)
    assert record.rejected == len(rejections)
    assert_same(servers, table, name, made[3], rejections)


def opened(servers, edges, name, made):
    """The task of copying a table made for it, with the connections that there are and the table to load into."""
    source, target = servers
    write_table(source, name, *made[:3])
    table = describe_table(source, name)
    batch = parse_batch({**infer_batch(table, empty_string=made[3]), "on_reject": "continue"})
    plan = Plan(name, batch, table, msgspec.structs.replace(table, database="target"), 1, table.row_key.columns, 1, 1)
    write_table(target, staging_name(plan), *made[:2], ())
    task = Task(None, plan)
    vars(task).update(edges)
    ensure_table(task.dynamodb.client, batch, task.codec)
    return task


def assert_twins(task):
    """Both ways of reading give the same page."""
    sources = [of(task.source_reader(), task.codec) for of in (PlainSource, WireSource)]
    plain, fast = (source.read(None, None, 1000) for source in sources)
    told = attrgetter("rows", "texts", "digest", "rejections", "dropped", "emptied", "key")
    assert why_plain(task.codec) is None
    assert told(fast) == told(plain)
    assert fast.all_items() == list(map(parse_item, plain.texts))
    assert [fast.row_of(place) for place in range(len(fast.texts))] == list(map(plain.row_of, range(len(plain.texts))))


def assert_same(servers, table, copied, policy, rejections):
    """The copy holds the source's rows, but for the rejected ones, by both servers' own view."""
    left = server_view(servers[0], table.name, table.columns, emptied=policy != "keep")
    for row in server_view(servers[1], copied, table.columns):
        left.remove(row)
    assert len(left) == len(rejections) == len({tuple(rejection.key.values()) for rejection in rejections})


def write_table(connection, name, keys, others, rows):
    columns = [f"k{place} {kind} NOT NULL" for place, kind in enumerate(keys)]
    columns += [
        f"c{place} {kind.replace(' NULL', '')} {'NULL' if nullable else 'NOT NULL'}"
        for place, (kind, nullable) in enumerate(others)
    ]
    key = ", ".join(f"k{place}" for place in range(len(keys)))
    execute(connection, f"SET sql_mode = '{MODE}', time_zone = '-05:00', explicit_defaults_for_timestamp = 1")
    execute(connection, f"CREATE TABLE {name} ({', '.join(columns)}, PRIMARY KEY ({key})) CHARACTER SET utf8mb4")
    for row in rows:
        execute(connection, f"INSERT IGNORE INTO {name} VALUES ({', '.join(['%s'] * len(row))})", row)
