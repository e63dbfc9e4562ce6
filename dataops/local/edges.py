"""The edges of every MySQL type, as tables to send through a real run: each row holds one value in one column.

A column is called by its own type, so its name needs quoting too, and what a run says of it reads well.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import pymysql

from dataops.core.mysql import execute, quote_name

if TYPE_CHECKING:
    from pymysql.connections import Connection

MARIADB, MYSQL = "mariadb", "mysql"
MODE = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"
"""Lenient, so that what applications of all ages have left in tables can be made: zero dates, ENUM index 0."""


class Edge(NamedTuple):
    """A column's type, SQL expressions for its edge values, how it is called, and the flavor that alone has it."""

    type: str
    values: tuple[str, ...]
    name: str = ""
    flavor: str | None = None

    @property
    def column(self) -> str:
        """The column's name: the type's text unless another is given."""
        return self.name or self.type


def texts(*values: str) -> tuple[str, ...]:
    """SQL strings."""
    return tuple("'" + value.replace("\\", "\\\\").replace("'", "''") + "'" for value in values)


def _integers() -> list[Edge]:
    sizes = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}
    edges = []
    for name, bits in sizes.items():
        edges.append(Edge(name, (str(-(2 ** (bits - 1))), "-1", "0", str(2 ** (bits - 1) - 1))))
        edges.append(Edge(f"{name} UNSIGNED", ("0", str(2**bits - 1))))
    edges += [Edge("TINYINT(1)", ("0", "1", "2", "-1")), Edge("INT(8) ZEROFILL", ("0", "42", "4294967295"))]
    edges += [Edge("YEAR", ("0", "1901", "2000", "2155"))]
    edges += [Edge(f"BIT({n})", ("0", "1", str(2**n - 1))) for n in (1, 7, 8, 9, 33, 63, 64)]
    return edges


def _decimals() -> list[Edge]:
    shapes = ((1, 0), (5, 2), (10, 10), (30, 30), (38, 0), (38, 30), (39, 0), (39, 20), (65, 0), (65, 30))
    edges = []
    for digits, scale in shapes:
        whole = "9" * (digits - scale) or "0"
        most = f"{whole}.{'9' * scale}" if scale else whole
        least = f"0.{'0' * (scale - 1)}1" if scale else "1"
        edges.append(Edge(f"DECIMAL({digits},{scale})", (most, f"-{most}", least, f"-{least}", "0", "-0.0")))
    return [*edges, Edge("DECIMAL(12,4) UNSIGNED ZEROFILL", ("0", "1.5", "99999999.9999"))]


_FLOATS = [
    Edge("FLOAT", texts("0", "-0", "0.1", "16777217", "3.4028235e38", "-3.4028235e38", "1.17549435e-38", "1e-45")),
    Edge("FLOAT UNSIGNED", texts("0.3", "3.4e38")),
    Edge("FLOAT(7,3)", texts("0.001", "1234.567", "-9999.999")),
    Edge("DOUBLE", texts("0", "-0", "0.1", "3.141592653589793", "9007199254740993", "1.7976931348623157e308", "5e-324",
                         "-5e-324", "2.2250738585072014e-308", "1e-130", "9.9e-131", "9.99e125", "1e126", "1e23")),
    Edge("DOUBLE(20,2)", texts("0.07", "123456789012345.67", "-0.01")),
]  # fmt: skip
_DATES = texts("0000-00-00", "0000-01-01", "2024-00-10", "2024-02-00", "2023-02-30", "2024-02-29", "0001-01-01",
               "1000-01-01", "9999-12-31")  # fmt: skip


def _temporals() -> list[Edge]:
    edges = [Edge("DATE", _DATES)]
    for digits in range(7):
        tail = "." + "987654"[:digits] if digits else ""
        stamps = ("0000-00-00 00:00:00", "2024-00-10 01:02:03", "2023-02-30 00:00:00", "0001-01-01 00:00:00" + tail,
                  "2024-02-29 23:59:59" + tail, "9999-12-31 23:59:59" + tail)  # fmt: skip
        edges.append(Edge(f"DATETIME({digits})", texts(*stamps)))
        # 2024-03-31 01:00 UTC and 2024-10-27 01:00 UTC: where Europe's clocks jump; the last is the type's end
        real = ("1970-01-01 09:00:01", "2024-03-31 09:59:59" + tail, "2024-03-31 10:00:00", "2024-10-27 09:30:00" + tail,
                "2024-10-27 10:30:00" + tail, "2038-01-19 12:14:07" + tail, "0000-00-00 00:00:00")  # fmt: skip
        edges.append(Edge(f"TIMESTAMP({digits}) NULL", texts(*real), f"TIMESTAMP({digits})"))
        times = (
            "00:00:00",
            "-00:00:00" + (tail or "1"),
            "-838:59:59",
            "838:59:59" + tail,
            "23:59:59" + tail,
            "-100:00:00",
        )
        edges.append(Edge(f"TIME({digits})", texts(*times)))
    return edges


_WORDS = texts(
    "", " ", "plain", "trailing  ", " leading", 'it\'s "quoted" \\ %s {x}', "line\nbreak\ttab\r", "ÀéÎ", "日本語"
)
_EMOJI = (
    "_utf8mb4 X'F09F9880'",
    "_utf8mb4 X'61CC81'",
    "_utf8mb4 X'F48FBFBF'",
    "_utf8mb4 X'61006200'",
    "_utf8mb4 X'EFBFBD'",
)
_HIGH = "".join(f"{byte:02X}" for byte in range(256))
_TEXTS = [
    Edge("CHAR(40)", (*_WORDS, *_EMOJI)),
    Edge("VARCHAR(60)", (*_WORDS, *_EMOJI)),
    Edge("VARCHAR(60) COLLATE utf8mb4_bin", (*_WORDS, *_EMOJI)),
    Edge("VARCHAR(60) CHARACTER SET utf8mb3", _WORDS),
    Edge("VARCHAR(256) CHARACTER SET latin1", (f"_latin1 X'{_HIGH}'", "_latin1 X'2020'")),
    Edge("VARCHAR(60) CHARACTER SET ascii", texts("", "~", " x ")),
    Edge(
        "VARCHAR(60) CHARACTER SET sjis", ("_sjis X'93FA967B'", "_sjis X'5C7E'", "_sjis X'815F8160'", "_sjis X'B1B2'")
    ),
    Edge(
        "VARCHAR(60) CHARACTER SET cp932", ("_cp932 X'93FA967B'", "_cp932 X'8754'", "_cp932 X'FA4A'", "_cp932 X'FA54'")
    ),
    Edge("VARCHAR(60) CHARACTER SET ujis", ("_ujis X'C6FCCBDC'", "_ujis X'8FB0A1'")),
    Edge("VARCHAR(60) CHARACTER SET gbk", ("_gbk X'C4E3BAC3'",)),
    Edge("VARCHAR(60) CHARACTER SET ucs2", ("_ucs2 X'65E5672C'", "_ucs2 X'00200020'", "_ucs2 X'0000'")),
    Edge("VARCHAR(60) CHARACTER SET utf16", ("_utf16 X'D83DDE00'", "_utf16 X'0061'")),
    Edge("TINYTEXT", texts("", "tiny")),
    Edge("TEXT", ("''", "REPEAT('é ', 20000)")),
    Edge("MEDIUMTEXT", ("''", "REPEAT('x', 400000)", "REPEAT('x', 409600)")),
    Edge("LONGTEXT", ("REPEAT('日本', 60000)", "REPEAT('日本', 100000)")),
    Edge("ENUM('a','B','é','it''s','x y')", ("'a'", "'B'", "'é'", "'it''s'", "0")),
    Edge("ENUM('','z')", ("''", "'z'", "0")),
    Edge("SET('a','b','é','it''s')", ("''", "'a'", "'a,b,é,it''s'", "5")),
    Edge("SET('a','')", ("''", "'a'", "0", "2", "3")),
    Edge("UUID", texts("123e4567-e89b-12d3-a456-426655440000", "ffffffff-ffff-ffff-ffff-ffffffffffff"), flavor=MARIADB),
    Edge("INET6", texts("::", "2001:db8::ff00:42:8329", "::ffff:192.0.2.1"), flavor=MARIADB),
    Edge("INET4", texts("0.0.0.1", "255.255.255.255"), flavor=MARIADB),
]
_JSONS = texts(
    "{}", "[]", '""', "null", "true", "0", "-0.0", "3.0", "1e20", "1.5e-7", "18446744073709551615", "-9223372036854775808",
    "123456789012345678901234567890", "0.1234567890123456789", '{"b": 1, "a": 2}', '{"a": 1, "a": 2}', '{"": "", "日本": "é"}',
    '"tab\\t quote\\" slash\\/ \\u0000 \\ud83d\\ude00"', "[" * 40 + "]" * 40, '{"text": "' + "x" * 3000 + '"}', ' [ 1 , 2.50 ] ',
)  # fmt: skip
_DOCUMENTS = [
    Edge("JSON", _JSONS),
    Edge("JSON", ("CAST(CAST(1.10 AS DECIMAL(5,2)) AS JSON)", "JSON_ARRAY(TIMESTAMP'2024-01-01 00:00:00')",
                  "JSON_OBJECT('x', _binary X'FF00')", "JSON_ARRAY(CAST(2.5 AS DECIMAL(30,10)))",
                  "JSON_ARRAY(CAST(1 AS DECIMAL(3,0)), 1.5e0, TRUE)"), "JSON from SQL values", MYSQL),
]  # fmt: skip
_BINARIES = [
    Edge("BINARY(4)", ("X''", "X'61'", "X'61620020'", "X'00000000'", "X'FFFEFDFC'")),
    Edge("VARBINARY(256)", ("X''", "X'00'", "X'6100'", "X'2020'", f"X'{_HIGH}'")),
    Edge("TINYBLOB", ("X''", "X'27225C00'")),
    Edge("BLOB", ("X''", "REPEAT(X'00', 65535)")),
    Edge("MEDIUMBLOB", ("REPEAT(X'FF', 400000)", "REPEAT(X'FF', 409600)")),
    Edge("LONGBLOB", ("X''", f"REPEAT(X'{_HIGH}', 1000)")),
]
_SHAPES = {
    "POINT": ("POINT(1 2)", "POINT(-0.1 1e-300)"), "LINESTRING": ("LINESTRING(0 0, 1 1, 2 0)",),
    "POLYGON": ("POLYGON((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 2 1, 2 2, 1 1))",), "MULTIPOINT": ("MULTIPOINT(0 0, 1 1)",),
    "MULTILINESTRING": ("MULTILINESTRING((0 0, 1 1), (2 2, 3 3))",),
    "MULTIPOLYGON": ("MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))",),
    "GEOMETRYCOLLECTION": ("GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(0 0, 1 1))", "GEOMETRYCOLLECTION EMPTY"),
    "GEOMETRY": ("POINT(3 4)", "LINESTRING(0 0, 1 1)"),
}  # fmt: skip


def _geometries() -> list[Edge]:
    return [
        Edge(name, tuple(f"ST_GeomFromText('{text}', {srid})" for text in shapes for srid in (0, 4326)))
        for name, shapes in _SHAPES.items()
    ]


_NOT_NULLS = [
    Edge("VARCHAR(20) NOT NULL DEFAULT 'd'", texts("", " ", "x"), "VARCHAR NOT NULL"),
    Edge("CHAR(20) NOT NULL DEFAULT 'd'", texts("", "x"), "CHAR NOT NULL"),
    Edge("ENUM('a','b') NOT NULL", ("'a'", "0"), "ENUM NOT NULL"),
    Edge("SET('a','b') NOT NULL DEFAULT 'a'", ("''", "'a,b'"), "SET NOT NULL"),
    Edge("VARBINARY(20) NOT NULL DEFAULT 'd'", ("X''", "X'00'"), "VARBINARY NOT NULL"),
    Edge("DATE NOT NULL DEFAULT '0000-00-00'", texts("0000-00-00", "2024-01-01"), "DATE NOT NULL"),
]
_NAMES = [
    *(Edge("INT", ("7",), name) for name in ("select", "a`b", "100%", "%s", "日本 語", "x.y", '"quoted"', "semi;colon", "n" * 64)),
    Edge("INT INVISIBLE", ("8",), "invisible"), Edge("INT DEFAULT (1 + 2)", ("9",), "expression default"),
    Edge("TIMESTAMP(6) NULL ON UPDATE CURRENT_TIMESTAMP(6)", texts("2001-02-03 04:05:06.789"), "on update"),
    Edge("DATETIME DEFAULT CURRENT_TIMESTAMP", ("NULL", "'2001-02-03 04:05:06'"), "now by default"),
]  # fmt: skip
_GENERATED = [
    Edge("VARCHAR(9)", texts("", "a", "é "), "base"), Edge("INT AS (LENGTH(base)) VIRTUAL", (), "virtual"),
    Edge("VARCHAR(20) AS (CONCAT(base, '|')) STORED", (), "stored"),
]  # fmt: skip

FAMILIES: dict[str, list[Edge]] = {
    "integers": _integers(), "decimals": _decimals(), "floats": _FLOATS, "temporals": _temporals(), "texts": _TEXTS,
    "documents": _DOCUMENTS, "binaries": _BINARIES, "geometries": _geometries(), "not nulls": _NOT_NULLS, "names": _NAMES,
    "generated": _GENERATED,
}  # fmt: skip
TABLES = {family: family for family in FAMILIES} | {"names": 'odd `name` 100% %s "日本 語"; '.ljust(64, "n")}
"""The table of each family; that of "names" has a name as odd and as long as its columns'."""


def write_edges(connection: Connection, family: str, flavor: str) -> list[tuple[Edge, str]]:
    """Make a family's table, one edge value in each row; gives column and SQL of the value of row 0, 1, ...

    Ids begin at 0, which AUTO_INCREMENT must not take for "the next". The session writes in Japan's time zone. A value
    that the server does not have at all is left out.
    """
    edges = [edge for edge in FAMILIES[family] if edge.flavor in (None, flavor)]
    columns = ", ".join(f"{quote_name(edge.column)} {edge.type}" for edge in edges)
    table = quote_name(TABLES[family])
    written: list[tuple[Edge, str]] = []
    execute(connection, f"SET sql_mode = '{MODE}', time_zone = '+09:00'")
    execute(connection, f"DROP TABLE IF EXISTS {table}")
    execute(connection, f"CREATE TABLE {table} (id INT AUTO_INCREMENT PRIMARY KEY, {columns}) CHARACTER SET utf8mb4")
    for edge in edges:
        for value in edge.values:
            sql = f"INSERT INTO {table} (id, {quote_name(edge.column)}) VALUES (%s, {value.replace('%', '%%')})"
            with suppress(pymysql.MySQLError):
                execute(connection, sql, (len(written),))
                written.append((edge, value))
    connection.commit()
    return written
