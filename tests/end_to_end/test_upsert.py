"""What a run must leave alone: target rows that DynamoDB does not know, columns that are not the batch's, the source itself."""

import boto3
import pytest

QUERY = {"target__mode": "upsert", "dynamodb__partition_key": "p", "dynamodb__sort_key": "id"}


def of_partition(case, value):
    return case.batch(**QUERY, target__read={"query": {"partition_key": value}})


@pytest.mark.parametrize("like_table", ["VARCHAR(20)", "CHAR(20)", "VARCHAR(20) CHARACTER SET latin1"])
def test_rows_whose_partition_a_collation_takes_for_the_same_are_left(case, like_table):
    columns = f"(id INT PRIMARY KEY, p {like_table} NOT NULL, v INT, KEY (p)) COLLATE utf8mb4_general_ci"
    rows = [(1, "tokyo", 1), (2, "Tokyo", 2), (3, "tôkyo", 3), (4, "osaka", 4)]
    case.source(f"CREATE TABLE {{t}} {columns}")
    case.source("INSERT INTO {t} VALUES (%s, %s, %s)", *rows)
    case.target(f"CREATE TABLE {{t}} {columns}")
    case.target("INSERT INTO {t} VALUES (%s, %s, 0)", *(row[:2] for row in rows), (5, "tokyo"))
    for _ in range(2):
        record = case.run(of_partition(case, "tokyo")).record
        assert (record.outside, record.target_rows, record.cause) == (3, 1, "")
        found = list(case.target("SELECT * FROM {t} ORDER BY id"))
        assert found == [(1, "tokyo", 1), *((n, p, 0) for n, p, _ in rows[1:])]


@pytest.mark.parametrize(
    ("column_type", "kept", "value", "expected"),
    [
        ("DATETIME", "2024-01-01 00:00:00", "2024-01-01 00:00:00", "expected 2024-01-01T00:00:00"),
        ("DATETIME(3)", "2024-01-01 01:02:03.5", "2024-01-01T01:02:03.5", "expected a value of datetime(3)"),
        ("DECIMAL(10,2)", "1.50", "1.50", "expected 1.5, "),
        ("YEAR", "0", "0000", "expected 0, "),
        ("INT", "7", "07", "expected 7, "),
        ("INT", "7", "seven", "expected a value of int"),
        ("VARBINARY(9)", "a", "a", "the partition key 'p' is binary"),
    ],
)
def test_a_partition_that_is_spelt_otherwise_than_items_are_is_refused(case, column_type, kept, value, expected):
    for execute in (case.source, case.target):
        execute(f"CREATE TABLE {{t}} (p {column_type} NOT NULL, id INT NOT NULL, PRIMARY KEY (p, id))")
        execute("INSERT INTO {t} VALUES (%s, 1)", (kept,))
    before = case.target("SELECT * FROM {t}")
    result = case.run(of_partition(case, value))
    assert result.status == "failed"
    assert "plan: target.read.query" in result.record.cause
    assert expected in result.record.cause
    assert case.target("SELECT * FROM {t}") == before


@pytest.mark.parametrize(
    ("column_type", "kept", "value"),
    [("DATETIME(3)", "2024-01-01 01:02:03.5", "2024-01-01T01:02:03.500"), ("DECIMAL(10,2)", "1.50", "1.5"),
     ("DECIMAL(50,2)", "1.50", "1.50"), ("INT", "7", 7), ("ENUM('a','B')", "B", "B"), ("VARCHAR(9)", "100%'\"", "100%'\"")],
)  # fmt: skip
def test_a_partition_is_found_as_items_have_it(case, column_type, kept, value):
    for execute in (case.source, case.target):
        execute(f"CREATE TABLE {{t}} (p {column_type} NOT NULL, id INT NOT NULL, v INT, PRIMARY KEY (p, id))")
    case.source("INSERT INTO {t} VALUES (%s, 1, 1)", (kept,))
    case.target("INSERT INTO {t} VALUES (%s, %s, 2)", (kept, 1), (kept, 2))
    result = case.run(of_partition(case, value))
    assert (result.record.cause, result.record.target_rows) == ("", 1)
    assert case.source("SELECT * FROM {t}") == case.target("SELECT * FROM {t}")


def test_a_row_whose_key_is_a_zero_date_is_updated_in_its_place(case):
    """`IS NULL` is true for it where the column is NOT NULL, in MySQL and MariaDB alike."""
    for execute, more in ((case.source, ""), (case.target, ", note VARCHAR(20)")):
        execute("SET SESSION sql_mode = ''")
        execute(f"CREATE TABLE {{t}} (d DATE NOT NULL, id INT, v INT{more}, PRIMARY KEY (d, id))")
    case.source("INSERT INTO {t} VALUES ('0000-00-00', 1, 1), ('2024-01-01', 2, 2)")
    case.target(
        "INSERT INTO {t} VALUES ('0000-00-00', 1, 9, 'kept'), ('2024-01-01', 2, 9, 'kept'), ('0000-00-00', 3, 9, 'x')"
    )
    batch = case.batch(target__mode="upsert", dynamodb__partition_key="id")
    assert case.run(batch).record.target_rows == 2
    assert list(case.target("SELECT id, v, note FROM {t} ORDER BY id")) == [(1, 1, "kept"), (2, 2, "kept")]


def test_rows_are_matched_by_a_key_that_the_batch_writes(case):
    case.source("CREATE TABLE {t} (code VARCHAR(20) PRIMARY KEY, v INT)")
    case.source("INSERT INTO {t} VALUES ('b', 1), ('a', 2)")
    case.target(
        "CREATE TABLE {t} (id INT AUTO_INCREMENT PRIMARY KEY, code VARCHAR(20) NOT NULL, v INT, note VARCHAR(9))"
    )
    case.target("INSERT INTO {t} (code, v, note) VALUES ('a', 0, 'of a'), ('b', 0, 'of b')")
    batch = case.batch(target__mode="upsert", dynamodb__partition_key="code")
    result = case.run(batch)
    assert "has no primary or unique key among the columns of the batch to match rows by" in result.record.cause
    case.target("ALTER TABLE {t} ADD UNIQUE (code)")
    assert case.run(batch).record.target_rows == 2
    assert list(case.target("SELECT * FROM {t} ORDER BY id")) == [(1, "a", 2, "of a"), (2, "b", 1, "of b")]


def test_a_target_without_transactions_is_refused(numbers):
    numbers.target("CREATE TABLE {t} (id INT PRIMARY KEY, kind VARCHAR(9), v VARCHAR(20)) ENGINE = MyISAM")
    result = numbers.run(numbers.batch(target__mode="upsert"))
    assert "needs InnoDB's transactions, found MyISAM" in result.record.cause


@pytest.mark.parametrize("mode", ["swap", "upsert"])
def test_the_source_itself_is_no_target(numbers, mode):
    """By another secret, too, as long as it names the same host and port."""
    before, secrets = numbers.source("SELECT * FROM {t}"), boto3.client("secretsmanager")
    same = secrets.get_secret_value(SecretId="dataops/source")["SecretString"]
    secrets.create_secret(Name=f"{numbers.name}/same", SecretString=same)
    batch = numbers.batch(target__mode=mode, target__secret=f"{numbers.name}/same", source__where="id < 2")
    result = numbers.run(batch)
    assert "plan: target.table: is the source's own table" in result.record.cause
    assert numbers.source("SELECT * FROM {t}") == before


@pytest.mark.parametrize("where", ["id < 2) OR (1 = 1", "id < 2 /*", "id < 2 LIMIT 1", "id < 2 ORDER BY id"])
def test_a_where_that_is_not_one_condition_is_refused(numbers, where):
    result = numbers.run(numbers.batch(source__where=where))
    assert "plan: source.where: MySQL error 1064" in result.record.cause
    assert numbers.target("SHOW TABLES LIKE '{t}'") == []


def test_a_where_may_end_with_a_comment(numbers):
    assert numbers.run(numbers.batch(source__where="id < 3 -- the first ones")).record.target_rows == 2
