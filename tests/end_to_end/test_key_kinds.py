"""Keys of every kind are cut into chunks, paged and compared without losing or doubling a row."""

import json
from decimal import Decimal

import pytest

COUNT = 2300
KEYS = [
    ("BIGINT UNSIGNED", lambda n: 2**64 - 1 - n),
    ("BIGINT", lambda n: -(2**63) + n),
    ("DECIMAL(38,0)", lambda n: Decimal(10**37 + n)),
    ("DECIMAL(20,4)", lambda n: Decimal(n) / 10000 - 1),
    ("FLOAT", lambda n: n / 8),
    ("DOUBLE", lambda n: 0.1 + n),
    ("VARCHAR(40)", lambda n: f"{'ÀaÉe'[n % 4]}{n}"),
    ("VARCHAR(40) COLLATE utf8mb4_bin", lambda n: f"{'aA'[n % 2]}{n // 2} "),
    ("VARCHAR(40) CHARACTER SET latin1", lambda n: f"é{n}"),
    ("VARBINARY(20)", lambda n: bytes([n % 256, 255 - n // 256, 37])),
    ("BIT(40)", lambda n: 2**39 + n),
    ("DATETIME(6)", lambda n: f"2024-02-29 23:59:{n % 60:02d}.{n:06d}"),
    ("TIMESTAMP(3)", lambda n: f"2024-03-31 01:00:00.{n % 1000:03d}" if n < 1000 else f"2025-01-{n // 100:02d} 00:00:{n % 60:02d}.{n % 1000:03d}"),
    ("DATE", lambda n: f"{1000 + n}-12-31"),
    ("TIME(3)", lambda n: f"-{n // 60:03d}:{n % 60:02d}:00.125"),
]  # fmt: skip


@pytest.mark.parametrize(("mysql_type", "value"), KEYS, ids=[kind for kind, _ in KEYS])
def test_a_key_of_this_type_loses_no_row(case, mysql_type, value):
    case.source(f"CREATE TABLE {{t}} (id {mysql_type} NOT NULL PRIMARY KEY, v INT)")
    case.source("INSERT INTO {t} VALUES (%s, %s)", *((value(n), n) for n in range(COUNT)))
    record = case.run().record
    assert (record.source_rows, len(case.items()), record.target_rows) == (COUNT, COUNT, COUNT), record.cause
    assert case.checksums()[0] == case.checksums()[1]


SK = "dynamodb__sort_key"
COMPOSITES = [
    ("a, b", {SK: "b"}),
    ("a, b, c", {SK: {"name": "sk", "template": "{b}#{c}"}}),
    ("a, b, c, d", {SK: {"name": "sk", "template": "{b}#{c}:{d}"}}),
    ("d, c, b, a", {"dynamodb__partition_key": {"name": "pk", "template": "{d}-{c}"}, SK: {"name": "sk", "template": "{b}|{a}"}}),
]  # fmt: skip


@pytest.mark.parametrize(("key", "keys"), COMPOSITES, ids=[key for key, _ in COMPOSITES])
@pytest.mark.parametrize("kind", ["PRIMARY", "UNIQUE"])
def test_as_many_items_as_rows_for_a_key_of_several_columns(case, key, keys, kind):
    case.source(
        "CREATE TABLE {t} (a INT NOT NULL, b VARCHAR(20) NOT NULL, c VARBINARY(20) NOT NULL, d BIGINT UNSIGNED NOT NULL, "
        f"v INT NOT NULL, {kind} KEY ({key}))"
    )
    parts = ["#", "%", "%23", ":", "|", "a#b", "A", "é", "é#", "1", "11"]
    rows = [(a, b, c.encode(), d) for a in (-1, 1, 11) for b in parts for c in parts for d in (0, 2**64 - 1)]
    distinct = {tuple(row["abcd".index(name)] for name in key.split(", ")): row for row in rows}.values()
    case.source("INSERT IGNORE INTO {t} VALUES (%s, %s, %s, %s, %s)", *((*row, n) for n, row in enumerate(distinct)))
    record = case.run(case.batch(**{"dynamodb__partition_key": "a", **keys}, normalize__empty_string="keep")).record
    ((count,),) = case.source("SELECT COUNT(*) FROM {t}")
    assert (record.source_rows, len(case.items()), record.target_rows) == (count, count, count), record.cause
    assert count > 30
    assert case.checksums()[0] == case.checksums()[1]


def test_rows_that_share_a_key_are_listed_and_nothing_is_written(case):
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL)")
    case.source("INSERT INTO {t} VALUES (%s, %s)", (1, "a"), (2, "A"), (3, "ä"), (4, "b"), (5, "a"))
    by_name = case.batch(dynamodb__partition_key="name")
    result = case.run(by_name)
    assert "1 keys (name) are shared by several rows" in result.record.cause
    told = [json.loads(line) for line in (result.folder / "rejections.jsonl").read_text().splitlines()]
    assert [(row["key"], row["column"]) for row in told] == [({"id": "1"}, "name"), ({"id": "5"}, "name")]
    assert "shares its DynamoDB key" in (result.folder / "report.html").read_text()
    assert (case.items(), case.target("SHOW TABLES LIKE '{t}'")) == ([], [])
    case.source("DELETE FROM {t} WHERE id = 5")
    assert (case.run(by_name).record.target_rows, len(case.items())) == (4, 4)  # 'a' and 'A' are two keys


@pytest.mark.parametrize("policy", ["to_null", "keep", "omit"])
def test_a_row_without_a_value_for_an_index_is_not_in_it(case, policy):
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, mail VARCHAR(20))")
    case.source("INSERT INTO {t} VALUES (%s, %s)", (1, "a@b"), (2, None), (3, ""))
    indexes = [{"name": "by-mail", "partition_key": "mail", "projection": "ALL"}]
    result = case.run(case.batch(dynamodb__indexes=indexes, normalize__empty_string=policy, on_reject="continue"))
    found = case.dynamodb.scan(TableName=case.name, IndexName="by-mail")["Items"]
    assert [item["id"] for item in found] == [{"N": "1"}]
    told = [(row.key, row.column, row.reason) for row in result.rejections]
    kept = ({"id": "3"}, "mail", "is empty, and an attribute that keys index by-mail cannot be")
    assert told == ([kept] if policy == "keep" else [])
    rows = list(case.target("SELECT id, mail FROM {t} ORDER BY id"))
    assert rows == [(1, "a@b"), (2, None), (3, None)][: 2 if policy == "keep" else 3]


def test_an_enum_in_the_key_sorts_by_number_and_loses_no_row(case):
    case.source("CREATE TABLE {t} (kind ENUM('z','m','a') NOT NULL, n INT NOT NULL, PRIMARY KEY (kind, n))")
    case.source("INSERT INTO {t} VALUES (%s, %s)", *(("zma"[n % 3], n) for n in range(COUNT)))
    record = case.run(case.batch(dynamodb__partition_key="kind", dynamodb__sort_key="n")).record
    assert (record.source_rows, record.target_rows) == (COUNT, COUNT), record.cause
    assert case.checksums()[0] == case.checksums()[1]


def test_names_that_need_quoting_everywhere(case):
    case.source(
        "CREATE TABLE {t} (`select` INT PRIMARY KEY, `100%%` INT, `a``b` INT, `日本 語` INT, `x.y` INT)".replace(
            "%%", "%"
        )
    )
    case.source("INSERT INTO {t} VALUES (%s, %s, %s, %s, %s)", (1, 2, 3, 4, 5))
    assert case.run(case.batch(dynamodb__partition_key="select")).record.target_rows == 1
    assert case.checksums()[0] == case.checksums()[1]


def test_a_table_without_a_key_is_copied_when_its_columns_prove_unique(case):
    case.source("CREATE TABLE {t} (a INT NOT NULL, b VARCHAR(9) NOT NULL)")
    case.source("INSERT INTO {t} VALUES (%s, %s)", (1, "x"), (1, "X"), (2, "x"))
    case.target("CREATE TABLE {t} (a INT NOT NULL, b VARCHAR(9) COLLATE utf8mb4_bin NOT NULL, PRIMARY KEY (a, b))")
    batch = case.batch(dynamodb__partition_key="a", dynamodb__sort_key="b")
    assert case.run(batch).record.target_rows == 3
    case.source("INSERT INTO {t} VALUES (2, 'x')")
    assert "1 keys (a, b) are shared by several rows" in case.run(batch).record.cause


# One row, then pairs that these collations have for equal: the ends of pages, at 1,000 rows each, part them.
UNKEYED = [
    ("VARCHAR(9) COLLATE utf8mb4_general_ci", "utf8mb4_bin", lambda n: f"{'aA'[n % 2]}{(n + 1) // 2}"),
    ("VARCHAR(9) COLLATE utf8mb4_unicode_ci", "utf8mb4_bin", lambda n: f"{'éE'[n % 2]}{(n + 1) // 2}"),
    ("VARCHAR(9) CHARACTER SET latin1", "latin1_bin", lambda n: f"{'éE'[n % 2]}{(n + 1) // 2}"),
    ("ENUM('b','a') NOT NULL, n INT", None, lambda n: "ab"[n % 2]),
    ("DOUBLE", None, lambda n: 0.1 * (n - 5)),
    ("DECIMAL(9,2)", None, lambda n: Decimal(n) / 4 - 5),
    ("VARBINARY(9)", None, lambda n: b"%d" % n),
    ("VARBINARY(1200)", None, lambda n: b"x" * 1100 + b"%d" % (n * 7919 % (COUNT + 1))),
    ("VARCHAR(1200) CHARACTER SET latin1", "latin1_bin", lambda n: "x" * 1100 + str(n * 7919 % (COUNT + 1))),
]


@pytest.mark.parametrize(("mysql_type", "collation", "value"), UNKEYED, ids=[kind for kind, *_ in UNKEYED])
def test_a_table_without_a_key_loses_no_row_at_the_end_of_a_page(case, mysql_type, collation, value):
    several = "n INT" in mysql_type
    case.source(f"CREATE TABLE {{t}} (a {mysql_type} NOT NULL)")
    case.source(
        f"INSERT INTO {{t}} VALUES (%s{', %s' * several})", *((value(n), n)[: 1 + several] for n in range(COUNT + 1))
    )
    into = mysql_type.partition(" COLLATE")[0] + (f" COLLATE {collation}" if collation else "")
    case.target(f"CREATE TABLE {{t}} (a {into} NOT NULL, PRIMARY KEY (a{', n' * several}))")
    keys = {"dynamodb__partition_key": "a"} | ({"dynamodb__sort_key": "n"} if several else {})
    record = case.run(case.batch(**keys)).record
    assert (record.source_rows, len(case.items()), record.target_rows) == (COUNT + 1,) * 3, record.cause
