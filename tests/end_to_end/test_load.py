"""Rows' texts into staging, by LOAD DATA from memory and by statements: a warning is an error, a repeat is harmless."""

import pytest

from dataops.core.connection import open_connection
from dataops.core.describe import describe_table
from dataops.core.infile import TextLoader
from dataops.core.itemcode import FIELD, HEX, NULL, ROW
from dataops.core.records import Plan
from dataops.core.staging import create_staging, staging_name
from dataops.errors import Permanent

WAYS = {"LOAD DATA": None, "REPLACE": "by a test"}


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def load(request, case):
    """Loads rows of (id, v, s, b) into the case's staging table; gives what it holds then."""
    case.target("CREATE TABLE {t} (id INT PRIMARY KEY, v TINYINT NOT NULL, s VARCHAR(3), b VARBINARY(2))")
    with open_connection("dataops/target", infile=True) as connection:
        table = describe_table(connection, case.name)
        plan = Plan(case.name, case.batch(), table, table, 1, ("id",), 1, 1)
        create_staging(connection, plan)
        loader = TextLoader(connection, plan, table.columns, [3])
        loader.forbidden = loader.forbidden or request.param

        def load(*rows):
            loader.load("".join(f"{FIELD.join(row)}{ROW}" for row in rows).encode())
            return case.target(f"SELECT * FROM {staging_name(plan)} ORDER BY id")

        yield load


def test_rows_loaded_again_take_the_place_of_themselves(load):
    rows = [("1", "-5", "é'\\", f"{HEX}00ff"), ("2", "7", NULL, NULL), ("3", "0", "", HEX)]
    expected = ((1, -5, "é'\\", b"\x00\xff"), (2, 7, None, None), (3, 0, "", b""))
    assert load(*rows) == load(*rows) == list(expected)
    assert load(("2", "8", "x", NULL)) == [expected[0], (2, 8, "x", None), expected[2]]
    assert load() == [expected[0], (2, 8, "x", None), expected[2]]


@pytest.mark.parametrize(
    "row",
    [
        ("1", "128", "a", NULL), ("1", "1", "four", NULL), ("1", "1", "a", f"{HEX}000000"), ("1", "x", "a", NULL),
        ("1", NULL, "a", NULL), ("1", "1", "a", NULL, "more"), ("1", "1"),
    ],
    ids=["out of range", "text too long", "bytes too long", "no number", "NULL", "a field too many", "too few"],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_an_error(load, row):
    with pytest.raises(Permanent, match=r"loading staging: (1 warnings, first MySQL|MySQL error) 1[0-9]{3}"):
        load(("7", "7", "b", NULL), row)
