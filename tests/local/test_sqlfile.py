"""Dump files are split as the mysql client splits them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataops.errors import Permanent
from dataops.local.sqlfile import prompt, run_script, split_statements
from dataops.workbook.demo import open_server

PIECES = st.sampled_from([
    "SELECT 1", "'a;b'", '"c;d"', "`e;f`", "'it''s'", r"'\';'", '"\\";"', "/* ; */", "/*!40101 ; */", "-- ;\n", "# ;\n",
    "語", "5--3", "a-b", "/", "*/", "\n", "x.y", "/*!50003 '*/;' */", "/*M!100401 /* ; */ ; */",
])  # fmt: skip


@given(st.lists(st.lists(PIECES, min_size=1, max_size=5).map(lambda parts: "SET x " + " ".join(parts)), max_size=6))
def test_statements_joined_by_the_delimiter_come_apart_again(statements):
    text = "".join(f"{statement}\n;" for statement in statements)
    assert [found.sql for found in split_statements(text)] == [statement.rstrip() for statement in statements]


@given(st.lists(st.lists(PIECES, min_size=1, max_size=4).map(lambda parts: "SET x " + " ".join(parts)), max_size=4))
def test_under_another_delimiter_a_semicolon_is_text(statements):
    text = "DELIMITER ;;\n" + "".join(f"{statement}; y\n;;\n" for statement in statements) + "delimiter ;\nSELECT 2;"
    assert [found.sql for found in split_statements(text)] == [f"{one}; y" for one in statements] + ["SELECT 2"]


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", []),
        (" ;; ;\n", []),
        ("-- only a comment", []),
        ("\ufeffSELECT 1", [("SELECT 1", 1)]),
        ("SELECT 1;\r\nSELECT 2;\r\n", [("SELECT 1", 1), ("SELECT 2", 2)]),
        ("/*M!999999\\- enable the sandbox mode */\nSELECT 1;", [("SELECT 1", 2)]),
        ("-- a; b\n# c; d\n/* e; f */ SELECT 1;", [("SELECT 1", 3)]),
        ("/*!40101 SET NAMES utf8 */;", [("/*!40101 SET NAMES utf8 */", 1)]),
        ("SELECT 'delimiter ;;'\n, 2;", [("SELECT 'delimiter ;;'\n, 2", 1)]),
        (
            "SELECT 'delimiter\ndelimiter ;;\n', 2;SELECT 3",
            [("SELECT 'delimiter\ndelimiter ;;\n', 2", 1), ("SELECT 3", 3)],
        ),
        ("/*!999999\\- enable the sandbox mode */ \nSELECT 1;", [("SELECT 1", 2)]),
        (
            "-- routines\n/* of */\nDELIMITER $$ \r\nSELECT 1; x$$\r\ndelimiter ;\r\nSELECT 2",
            [("SELECT 1; x", 4), ("SELECT 2", 6)],
        ),
        ("DELIMITER //\nSELECT 4/2; /* // */ x//", [("SELECT 4/2; /* // */ x", 2)]),
        ("SELECT 1;\n/*My closing note*/\n-- Dump completed", [("SELECT 1", 1)]),
        (
            "SELECT 1;\nSELECT 'never closed; DROP TABLE a;\n",
            [("SELECT 1", 1), ("SELECT 'never closed; DROP TABLE a;", 2)],
        ),
        ("SELECT 1; /* never closed; SELECT 2;", [("SELECT 1", 1), ("/* never closed; SELECT 2;", 1)]),
    ],
)
def test_what_dumps_hold_besides_statements(text, statements):
    assert [tuple(found) for found in split_statements(text)] == statements


def test_lines_are_counted_from_the_start_of_the_file():
    text = "".join(f"-- {number}\nINSERT INTO t\nVALUES ('{number};\n');\n" for number in range(15_000))
    assert [found.line for found in split_statements(text)] == list(range(2, 60_002, 4))


DUMP = """/*M!999999\\- enable the sandbox mode */
-- a dump, as mariadb-dump writes it

/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `dump``ed`;
USE `dump``ed`;
DROP TABLE IF EXISTS `t`;
CREATE TABLE `t` (`id` int NOT NULL AUTO_INCREMENT PRIMARY KEY, `v` varchar(40), `n` int DEFAULT 0) DEFAULT CHARSET=utf8mb4;
LOCK TABLES `t` WRITE;
/*!40000 ALTER TABLE `t` DISABLE KEYS */;
INSERT INTO `t` VALUES (0,'it''s; \\'100%\\'',1),
(1,'-- 🎁 /* ;',2);
/*!40000 ALTER TABLE `t` ENABLE KEYS */;
UNLOCK TABLES;
--
-- Dumping routines
--
DELIMITER ;;
/*!50003 CREATE TRIGGER `t_n` BEFORE INSERT ON `t` FOR EACH ROW BEGIN
  -- don't count; add
  SET NEW.n = 7; /* and; so on */
END */;;
CREATE PROCEDURE `both`() BEGIN SELECT COUNT(*) AS rows_ FROM t; SELECT MAX(id) AS last_ FROM t; END ;;
DELIMITER ;
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
-- Dump completed
"""


@pytest.fixture
def connection(stack):
    with open_server(stack.info.source) as opened:
        yield opened


@pytest.fixture
def dumped(connection):
    """The dump's own database, loaded."""
    run_script(connection, DUMP, "dump.sql")
    yield connection
    with connection.cursor() as cursor:
        cursor.execute("DROP DATABASE `dump``ed`")


def test_a_dump_loads_with_its_trigger_and_procedure(dumped):
    done = run_script(dumped, "INSERT INTO t (id, v) VALUES (5, 'x');\nSELECT * FROM t ORDER BY id;", "x.sql")
    assert (done.statements, done.rows) == (2, 1)
    assert done.results == ((["id", "v", "n"], [(0, "it's; '100%'", 1), (1, "-- 🎁 /* ;", 2), (5, "x", 7)]),)


def test_a_procedure_gives_all_its_results(dumped):
    assert run_script(dumped, "CALL `both`()", "x.sql").results == ((["rows_"], [(2,)]), (["last_"], [(1,)]))


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("INSERT INTO t VALUES (1, 'top-secret', 0)", "MySQL error 1062 (DUP_ENTRY)"),
        ("SELECT 'top-secret' FRM t", "MySQL error 1064 (PARSE_ERROR)"),
        ("SELECT 'top-secret' FROM gone", "MySQL error 1146 (NO_SUCH_TABLE): Table 'dump`ed.gone' doesn't exist"),
    ],
)
def test_a_failing_statement_is_named_by_line_and_stops_the_script(dumped, statement, error):
    script = f"-- begin\n\n{statement};\nINSERT INTO t VALUES (9, 'after', 0);"
    with pytest.raises(Permanent) as caught:
        run_script(dumped, script, "bad.sql")
    assert str(caught.value) == f"bad.sql:3: {error}"
    assert run_script(dumped, "SELECT COUNT(*) FROM t WHERE id = 9", "x.sql").results[0].rows == [(0,)]


def test_a_script_runs_and_counts(connection):
    script = "CREATE TABLE script (a INT);\nINSERT INTO script VALUES (1), (2);\nUPDATE script SET a = 3 WHERE a = 1;"
    done = run_script(connection, script, "x.sql")
    assert (done.statements, done.rows) == (3, 3)
    with connection.cursor() as cursor:
        cursor.execute("SELECT a FROM script ORDER BY a")
        assert list(cursor.fetchall()) == [(2,), (3,)]


def test_the_prompt_shows_rows_tells_errors_and_goes_on(connection):
    lines = iter(["SELECT 1 AS one,", " 2 AS two;", "SELECT nosuch;", "SELECT 3 AS three;", "quit"])
    shown = []
    prompt(connection, lambda _: next(lines), lambda columns, rows: shown.append((columns, list(rows))))
    assert shown[0] == (["one", "two"], [(1, 2)])
    assert shown[1][0] == ["error"]
    assert "MySQL error 1054" in shown[1][1][0][0]
    assert shown[2] == (["three"], [(3,)])


def test_the_prompt_runs_no_part_of_a_string_and_commits_no_open_transaction(dumped):
    shown = talk(
        dumped,
        "INSERT INTO t (id, v) VALUES (6, 'see;", "DELETE FROM t;", "'); START TRANSACTION;", "DELETE FROM t;", "ROLLBACK;",
        "SELECT COUNT(*) AS n FROM t;",
    )  # fmt: skip
    assert shown[-1] == (["n"], [(3,)])


def test_the_prompt_takes_procedures_and_shows_all_their_results(dumped):
    shown = talk(
        dumped, "delimiter //", "CREATE PROCEDURE p() BEGIN", "SELECT 1 AS a; SELECT 2 AS b;", "END//", "CALL p()//"
    )
    assert shown == [(["rows changed"], [(0,)]), (["a"], [(1,)]), (["b"], [(2,)])]


def talk(connection, *lines):
    """What the prompt shows for these lines; their end is the end of input."""
    asked, shown = iter(lines), []

    def read_line(_):
        for line in asked:
            return line
        raise EOFError

    prompt(connection, read_line, lambda columns, rows: shown.append((columns, list(rows))))
    return shown
