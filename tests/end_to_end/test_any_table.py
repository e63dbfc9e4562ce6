"""Any table of any rows comes back as it was, by the servers' own view: what the states do, for tables made at random.

Each example goes through the states' own work, one after another: `pytest --hypothesis-profile=long` tries 10,000.
"""

from __future__ import annotations

import itertools
import json
from contextlib import ExitStack
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataops.batch import parse_batch
from dataops.core.describe import describe_table
from dataops.core.mysql import execute
from dataops.errors import SchemaMismatch
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
real_moments = st.datetimes(min_value=datetime(1970, 1, 2)).filter(lambda at: at.year < 2038).map(str)
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


@given(made=tables())
def test_any_table_comes_back_as_it_was(servers, made):
    source, target = servers
    name = f"any_{next(numbers)}"
    write_table(source, name, *made[:3])
    table = describe_table(source, name)
    batch = parse_batch({**infer_batch(table, empty_string=made[3]), "on_reject": "continue"})
    try:
        record, rejections = run_here(batch, table)
    except SchemaMismatch as refused:
        if "key column" in str(refused):  # Plan has proven it inexact
            return
        raise
    keys = [tuple(rejection.key[column] for column in table.row_key.columns) for rejection in rejections]
    assert (record.source_rows, record.target_rows) == (
        count(source, name),
        count(target, name) if record.target_rows else 0,
    )
    assert record.source_rows == record.target_rows + len(keys)
    assert len(set(keys)) == len(keys) == record.rejected
    emptied = made[3] != "keep"
    before, after = server_view(source, name, table.columns, emptied=emptied), server_view(target, name, table.columns)
    left = list(before)
    for row in after:
        left.remove(row)
    assert len(left) == len(keys)


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


def count(connection, name):
    return execute(connection, f"SELECT COUNT(*) FROM {name}")[0][0]
