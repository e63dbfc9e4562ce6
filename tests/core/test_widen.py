"""A target column holds every value of its source column's type, or the reason is told; both flavors' spellings."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataops.core.schema import Column, declared_column
from dataops.core.widen import misfit
from dataops.errors import SchemaMismatch

NARROW, OTHER, SPACES = "too narrow", "of another type", "trailing spaces would be lost"
JSON = Column("v", "longtext", "longtext", is_json=True, charset="utf8mb4", length=2**32 - 1)


def of(mysql_type):
    """A column as a server describes it: `varchar(9)`, or `varchar(9)@latin1`."""
    mysql_type, _, named = mysql_type.partition("@")
    column = declared_column("v", mysql_type)
    sizes = {"tinytext": 255, "text": 65535, "mediumtext": 2**24 - 1, "longtext": 2**32 - 1}
    return msgspec.structs.replace(column, charset=named or None, length=sizes.get(mysql_type))


def reason(source, target):
    return misfit(of(source), of(target))


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("int(11)", "int", None),
        ("int", "int(11)", None),
        ("int(10) unsigned", "int unsigned", None),
        ("int(5) unsigned zerofill", "int unsigned", None),
        ("int(5) zerofill", "int", NARROW),
        ("tinyint(1)", "tinyint(4)", None),
        ("int", "bigint", None),
        ("int unsigned", "bigint", None),
        ("int unsigned", "int", NARROW),
        ("int", "int unsigned", NARROW),
        ("bigint", "mediumint", NARROW),
        ("tinyint", "bigint unsigned", NARROW),
        ("int comment 'unsigned'", "int", None),
        ("int", "decimal(10,0)", None),
        ("int", "decimal(12,2)", None),
        ("int", "decimal(11,2)", NARROW),
        ("int unsigned", "decimal(10,0) unsigned", None),
        ("bigint unsigned", "decimal(20)", None),
        ("decimal(9,0)", "int", None),
        ("decimal(10,0)", "int", NARROW),
        ("decimal(9,1)", "int", NARROW),
        ("decimal(12,2)", "decimal(8,2)", NARROW),
        ("decimal(12,2)", "decimal(13,3)", None),
        ("decimal(12,2)", "decimal(12,3)", NARROW),
        ("decimal(12,2)", "decimal(20,1)", NARROW),
        ("decimal(12,2) unsigned", "decimal(12,2)", None),
        ("decimal(12,2)", "decimal(12,2) unsigned", NARROW),
        ("decimal(12,2) unsigned zerofill", "decimal(12,2) unsigned", None),
        ("decimal", "decimal(10,0)", None),
        ("numeric(5,2)", "decimal(5,2)", None),
        ("year(4)", "year", None),
        ("year", "smallint", OTHER),
        ("tinyint", "year", OTHER),
        ("int", "varchar(20)", OTHER),
        ("int", "double", OTHER),
        ("int", "bit(64)", OTHER),
        ("float", "float", None),
        ("float", "double", None),
        ("double", "float", NARROW),
        ("double unsigned", "double", None),
        ("double", "double unsigned", NARROW),
        ("float(7,2)", "float", None),
        ("float(7,2)", "float(7,2)", None),
        ("float(7,2)", "float(9,4)", None),
        ("float(7,2)", "float(9,5)", NARROW),
        ("float(7,2)", "float(7,3)", NARROW),
        ("float", "float(7,2)", "rounded to 2 digits"),
        ("float(7,2)", "double(9,2)", "rounded to 2 digits"),
        ("double(9,2)", "double", None),
        ("float(53)", "double", None),
        ("float(53)", "float", NARROW),
        ("float(24)", "float", None),
        ("double precision", "double", None),
        ("decimal(5,2)", "double", OTHER),
        ("double", "decimal(65,30)", OTHER),
        ("bit", "bit(1)", None),
        ("bit(10)", "bit(10)", None),
        ("bit(10)", "bit(64)", None),
        ("bit(10)", "bit(9)", NARROW),
        ("bit(1)", "tinyint", OTHER),
    ],
)
def test_numbers(source, target, expected):
    assert reason(source, target) == expected


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("varchar(20)@utf8mb4", "varchar(20)@utf8mb4", None),
        ("varchar(20)@utf8mb4", "varchar(21)@utf8mb4", None),
        ("varchar(20)@utf8mb4", "varchar(19)@utf8mb4", NARROW),
        ("varchar(20)", "varchar(20)@latin1", None),
        ("varchar(20)", "varchar(19)@latin1", NARROW),
        ("char(20)@utf8mb4", "varchar(20)@utf8mb4", None),
        ("char(20)@utf8mb4", "char(30)@utf8mb4", None),
        ("char", "char(1)", None),
        ("varchar(20)@utf8mb4", "char(20)@utf8mb4", SPACES),
        ("text@utf8mb4", "char(255)@utf8mb4", SPACES),
        ("varchar(63)@utf8mb4", "tinytext@utf8mb4", None),
        ("varchar(64)@utf8mb4", "tinytext@utf8mb4", NARROW),
        ("varchar(255)@latin1", "tinytext@latin1", None),
        ("tinytext@utf8mb4", "varchar(255)@utf8mb4", None),
        ("tinytext@utf8mb4", "varchar(254)@utf8mb4", NARROW),
        ("text@utf8mb4", "mediumtext@utf8mb4", None),
        ("longtext@utf8mb4", "mediumtext@utf8mb4", NARROW),
        ("text@utf8", "text@utf8mb4", None),
        ("text@latin1", "text@utf8mb4", NARROW),
        ("text@latin1", "mediumtext@utf8mb4", None),
        ("text@ascii", "text@utf8mb4", None),
        ("text", "text@utf8mb4", None),
        ("text(100)", "tinytext@latin1", None),
        ("varchar(9)@ascii", "varchar(9)@latin1", None),
        ("varchar(9)@ascii", "varchar(9)@swe7", "its character set swe7 cannot hold ascii"),
        ("varchar(9)@utf8mb3", "varchar(9)@utf8", None),
        ("varchar(9)@utf8mb3", "varchar(9)@utf8mb4", None),
        ("varchar(9)@latin1", "varchar(9)@utf8mb3", None),
        ("varchar(9)@sjis", "varchar(9)@utf8mb3", None),
        ("varchar(9)@gb18030", "varchar(9)@utf8mb3", "its character set utf8mb3 cannot hold gb18030"),
        ("varchar(9)@utf8mb4", "varchar(9)@utf8", "its character set utf8 cannot hold utf8mb4"),
        ("varchar(9)@utf8mb3", "varchar(9)@latin1", "its character set latin1 cannot hold utf8mb3"),
        ("varchar(9)@latin1", "varchar(9)@latin2", "its character set latin2 cannot hold latin1"),
        ("varchar(9)@utf8mb4", "varbinary(36)", OTHER),
        ("varchar(9)@utf8mb4", "int", OTHER),
        ("varchar(9)@utf8mb4", "enum('a')@utf8mb4", OTHER),
        ("varchar(36)@ascii", "uuid", OTHER),
        ("enum('a','b')@utf8mb4", "enum('b','a','c')@utf8mb4", None),
        ("enum('a','b')", "enum('a','B')", "without the member 'b'"),
        ("enum('New','it''s')", "enum('it''s','New')", None),
        ("enum('a','b')", "set('a','b')", None),
        ("set('a','b')", "enum('a','b')", OTHER),
        ("set('a','b')", "set('a','x','b')", None),
        ("set('a','b')", "set('b','a')", "its members stand in another order"),
        ("set('a','b')", "set('a')", "without the member 'b'"),
        ("enum('a','long')@latin1", "varchar(4)@ascii", None),
        ("enum('a','long')@latin1", "char(3)@latin1", NARROW),
        ("enum('é')@latin1", "varchar(9)@ascii", "its character set ascii cannot hold latin1"),
        ("set('a','bc','d')", "varchar(6)", None),
        ("set('a','bc','d')", "varchar(5)", NARROW),
        ("uuid", "uuid", None),
        ("uuid", "char(36)@ascii", None),
        ("uuid", "varchar(35)@utf8mb4", NARROW),
        ("inet6", "varchar(39)@latin1", None),
        ("inet4", "varchar(15)", None),
        ("inet4", "inet6", OTHER),
    ],
)
def test_texts(source, target, expected):
    assert reason(source, target) == expected


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("date", "date", None),
        ("date", "datetime", OTHER),
        ("timestamp", "datetime", OTHER),
        ("datetime", "datetime(6)", None),
        ("datetime(3)", "datetime", NARROW),
        ("timestamp(3)", "timestamp(6)", None),
        ("time(6)", "time(3)", NARROW),
        ("time", "varchar(20)", OTHER),
        ("binary(4)", "binary(4)", None),
        ("binary(4)", "binary(5)", "zero bytes would be added"),
        ("binary(5)", "binary(4)", NARROW),
        ("binary(4)", "varbinary(4)", None),
        ("binary", "varbinary(1)", None),
        ("varbinary(4)", "binary(4)", "zero bytes would be added"),
        ("varbinary(4)", "varbinary(3)", NARROW),
        ("varbinary(255)", "tinyblob", None),
        ("varbinary(256)", "tinyblob", NARROW),
        ("blob", "longblob", None),
        ("blob", "varbinary(65535)", None),
        ("mediumblob", "blob", NARROW),
        ("blob(10)", "tinyblob", None),
        ("blob", "text@latin1", OTHER),
        ("point", "point", None),
        ("point", "geometry", None),
        ("geometry", "point", OTHER),
        ("geomcollection", "geometrycollection", None),
        ("point", "blob", OTHER),
        ("json", "json", None),
        ("json", "longtext@utf8mb4", None),
        ("json", "longtext@latin1", "its character set latin1 cannot hold utf8mb4"),
        ("json", "text@utf8mb4", NARROW),
        ("longtext@utf8mb4", "json", OTHER),
        ("blob", "vector(3)", OTHER),
    ],
)
def test_times_bytes_shapes_and_documents(source, target, expected):
    assert reason(source, target) == expected


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (JSON, of("json"), None),
        (of("json"), JSON, None),
        (JSON, JSON, None),
        (JSON, of("longtext@utf8mb4"), None),
        (JSON, of("mediumtext@utf8mb4"), NARROW),
        (of("longtext@utf8mb4"), JSON, OTHER),
    ],
)
def test_a_checked_longtext_is_json(source, target, expected):
    assert misfit(source, target) == expected


def test_a_source_type_that_nobody_knows_is_an_error():
    with pytest.raises(SchemaMismatch, match=r"column v: type vector\(3\) is not supported"):
        reason("vector(3)", "vector(3)")


BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
INTEGERS = st.tuples(st.sampled_from(sorted(BITS)), st.booleans(), st.sampled_from(["", "(4)"]))
DECIMALS = st.integers(1, 65).flatmap(lambda m: st.tuples(st.just(m), st.integers(0, min(m, 30)), st.booleans()))
NUMBERS = st.one_of(INTEGERS, DECIMALS)


def spelled(number):
    sign = " unsigned" if number[1 if number[0] in BITS else 2] else ""
    if number[0] in BITS:
        return f"{number[0]}{number[2]}{sign}"
    return f"decimal({number[0]},{number[1]}){sign}"


def edges(number):
    """The smallest and the largest value, and the smallest step from zero."""
    if number[0] in BITS:
        bits, unsigned = BITS[number[0]], number[1]
        return [Decimal(0 if unsigned else -(2 ** (bits - 1))), Decimal(2**bits - 1 if unsigned else 2 ** (bits - 1) - 1), Decimal(1)]  # fmt: skip
    digits, scale, unsigned = number
    high = Decimal("9" * digits + f"e-{scale}")
    return [Decimal(0) if unsigned else high.copy_negate(), high, Decimal(f"1e-{scale}")]


def holds(number, value):
    """By plain arithmetic: within the range, and a multiple of the step."""
    low, high, step = edges(number)
    return low <= value <= high and value.as_tuple().exponent >= step.as_tuple().exponent


@given(NUMBERS, NUMBERS)
def test_numbers_fit_exactly_when_every_edge_value_does(source, target):
    assert (reason(spelled(source), spelled(target)) is None) == all(holds(target, value) for value in edges(source))


@given(NUMBERS, NUMBERS, NUMBERS)
def test_what_fits_a_column_fits_what_that_column_fits(first, second, third):
    if reason(spelled(first), spelled(second)) is None and reason(spelled(second), spelled(third)) is None:
        assert reason(spelled(first), spelled(third)) is None


@given(NUMBERS)
def test_a_number_fits_its_own_type(number):
    assert reason(spelled(number), spelled(number)) is None
