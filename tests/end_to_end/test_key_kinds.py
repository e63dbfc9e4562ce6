"""Keys of every kind are cut into chunks, paged and compared without losing or doubling a row."""

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
    assert (record.source_rows, record.items, record.target_rows) == (COUNT, COUNT, COUNT), record.cause
    assert case.checksums()[0] == case.checksums()[1]


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
