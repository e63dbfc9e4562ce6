"""The commands as a user types them."""

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
import yaml

from dataops.core.control import Control
from dataops.core.records import Record
from dataops.core.rowcode import STEPS
from dataops.local.stack import runtime_folder
from dataops.workbook.demo import open_server
from tests.samples import declared

pytestmark = pytest.mark.one_server

HERE = Path(__file__).parent


def dataops(*arguments, cwd=None, input=None):
    """Run a command; gives what it did."""
    command = [sys.executable, "-m", "dataops.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, input=input, capture_output=True, text=True, check=False)


def in_terminal(lines, *arguments):
    """What a command shows in a terminal where a person types these lines."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "dataops.cli", *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, lines.encode())
        shown = b""
        with suppress(OSError):  # the terminal's other end is closed
            while read := os.read(ours, 4096):
                shown += read
    os.close(ours)
    assert process.returncode == 0, shown
    return shown.decode()


def last_json(done):
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def library(stack, tmp_path_factory):
    """The library's dump, loaded, and its drafted batch files."""
    folder = tmp_path_factory.mktemp("library")
    loaded = dataops("sql", "source", HERE / "library.sql", cwd=folder)
    assert (loaded.returncode, loaded.stdout) == (0, ""), loaded.stderr
    drafted = dataops("infer", "--all", "-o", "b", "--database", "library", "--empty-string", "keep", cwd=folder)
    assert drafted.returncode == 0, drafted.stderr
    return folder


def test_infer_chooses_keys_by_the_primary_key(library):
    keys = {path.stem: yaml.safe_load(path.read_text())["dynamodb"] for path in (library / "b").glob("*.yml")}
    assert keys == {
        "branch": {"table": "branch", "partition_key": "branch_id", "key_types": {"branch_id": "N"}},
        "book": {"table": "book", "partition_key": "isbn", "key_types": {"isbn": "S"}},
        "copy": {
            "table": "copy", "partition_key": "branch_id", "sort_key": {"name": "sk", "template": "{isbn}#{shelf}"},
            "key_types": {"branch_id": "N"},
        },
        "loan": {
            "table": "loan", "partition_key": "member", "sort_key": "loan_no",
            "key_types": {"member": "S", "loan_no": "N"},
        },
        "card": {"table": "card", "partition_key": "number", "key_types": {"number": "S"}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("table", "rows", "left_out"),
    [
        ("branch", 3, []),
        ("book", 3, []),
        ("copy", 3, ["foreign key copy_book", "foreign key copy_branch"]),
        ("loan", 3, ["trigger loan_seen"]),
        ("card", 3, []),
    ],
)
def test_a_dump_arrives_table_by_table_by_the_servers_own_checksums(library, stack, table, rows, left_out):
    done = dataops("run", f"b/{table}.yml", "--create-target", "--json", cwd=library)
    result = last_json(done)
    assert (done.returncode, result["status"], result["target_rows"]) == (0, "succeeded", rows), done.stderr
    assert result["left_out"] == left_out
    sums = []
    for server, database in ((stack.info.source, "library"), (stack.info.target, None)):
        with open_server(server, database) as connection, connection.cursor() as cursor:
            cursor.execute(f"CHECKSUM TABLE `{table}` EXTENDED")
            sums.append(cursor.fetchone()[1])
    assert sums[0] == sums[1]


def test_infer_refuses_a_table_without_a_key(library, stack):
    dataops("sql", "source", "-", input="CREATE TABLE IF NOT EXISTS nokey (a INT, b INT)")
    done = dataops("infer", "nokey", cwd=library)
    assert done.returncode == 1
    assert done.stderr.startswith("dataops: table nokey: has no primary key and no unique key without NULLs")


def test_infer_asks_for_upsert_where_swap_would_lose_something(library, stack):
    text = "CREATE TABLE tied (id INT PRIMARY KEY);"
    trigger = "CREATE TRIGGER tied_trigger BEFORE INSERT ON tied FOR EACH ROW SET NEW.id = 1;"
    dataops("sql", "source", "-", input=text)
    dataops("sql", "target", "-", input=text + trigger)
    assert yaml.safe_load(dataops("infer", "tied", cwd=library).stdout)["target"]["mode"] == "upsert"


def test_infer_suggests_a_near_table(library):
    done = dataops("infer", "boook", "--database", "library", cwd=library)
    assert (done.returncode, done.stderr.strip()) == (
        1,
        "dataops: table 'boook' is not in database library (did you mean book?)",
    )


def test_a_script_that_fails_says_file_line_and_no_value(library, tmp_path):
    (tmp_path / "bad.sql").write_text("SELECT 1;\n\nINSERT INTO library.branch VALUES (1, 'secret-value', NULL);\n")
    done = dataops("sql", "source", tmp_path / "bad.sql")
    assert (done.returncode, done.stderr.strip()) == (1, "dataops: bad.sql:3: MySQL error 1062 (DUP_ENTRY)")


QUERY = """
SELECT 'not the last';
SELECT '[/b]' AS a, NULL AS n, '' AS e, '注文 :smile:' AS j, CAST('-00:00:01' AS TIME) AS t, 1.50 AS d, 1234567 AS i, x'00ff' AS b;
"""


@pytest.mark.parametrize("by", ["pipe", "file"])
def test_the_last_query_of_a_script_is_shown_with_its_values_as_the_server_writes_them(stack, tmp_path, by):
    (tmp_path / "q.sql").write_text(QUERY)
    done = dataops("sql", "source", tmp_path / "q.sql") if by == "file" else dataops("sql", "source", input=QUERY)
    assert (done.returncode, done.stderr) == (0, "source: 2 statements, 0 rows changed\n")
    assert done.stdout.splitlines() == [
        "a     n     e   j             t          d     i        b",
        "[/b]  NULL  ''  注文 :smile:  -00:00:01  1.50  1234567  0x00ff",
    ]


def test_the_prompt_shows_values_as_they_are(stack):
    lines = "SELECT '[/b]' AS a, NULL AS n, '' AS e, '[red]' AS r;\nquit\n"
    assert "[/b]  NULL  ''  [red]" in in_terminal(lines, "sql", "source")


def test_runs_shows_a_cause_as_it_is(stack):
    record = Record("zzz-1", "zzz", "failed", started="2026-01-02T03:04:05Z", cause="[/b] :smile: [red]")
    Control("").client.put_item(
        TableName=os.environ["DATAOPS_CONTROL_TABLE"],
        Item={"pk": {"S": "runs"}, "sk": {"S": "~"}, "data": {"S": msgspec.json.encode(record).decode()}},
    )
    shown = dataops("runs", "-n", "1").stdout.splitlines()
    assert shown[1].split("  ")[:3] == ["zzz-1", "2026-01-02T03:04:05", "failed"]
    assert shown[1].endswith("  [/b] :smile: [red]")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (
            ["run", "ordes"],
            2,
            "dataops: 'ordes': is neither in stepfunctions/batches nor in stepfunctions/flows (did you mean orders?)",
        ),
        (["run", "gone.yml"], 2, "dataops: gone.yml: cannot be read: No such file or directory"),
        (["run", "bad.yml"], 2, "dataops: bad.yml: on_rejekt: unknown key (did you mean on_reject?)"),
        (["run"], 2, "Error: name a BATCH, or give --resume RUN"),
        (["infer"], 2, "Error: name one TABLE, or give --all with -o FOLDER"),
        (["sql", "source", "gone.sql"], 2, "dataops: gone.sql: cannot be read: No such file or directory"),
        (["status", "--name", "nosuch"], 1, "dataops: stack nosuch: is not up; start it with `dataops up`"),
        (
            ["up", "--server", "oracle"],
            2,
            "Error: Invalid value for '--server': 'oracle' is not one of 'mariadb', 'mysql'.",
        ),
        (["down", "--name", "nosuch"], 1, "dataops: stack nosuch: is not up"),
    ],
)
def test_wrong_use_is_one_line_and_an_exit_status(stack, tmp_path, arguments, status, message):
    (tmp_path / "bad.yml").write_text(yaml.safe_dump(declared(on_rejekt="fail")))
    done = dataops(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.strip().splitlines()[-1] == message
    assert "Traceback" not in done.stderr


def test_run_json_ends_with_one_line_of_everything(stack, tmp_path):
    done = dataops("run", "customers", "--create-target", "--serial", "--json", cwd=tmp_path)
    result = last_json(done)
    assert done.returncode == 0, done.stderr
    assert {
        "run", "batch", "status", "source_rows", "items", "target_rows", "rejected", "dropped", "emptied",
        "stale_deleted", "rejections", "seconds", "states",
    } <= result.keys()  # fmt: skip
    assert result["source_rows"] == result["target_rows"] + result["rejected"] + result["dropped"] == 2000
    assert (tmp_path / "runs" / result["run"] / "report.html").exists()
    listed = json.loads(dataops("runs", "--json").stdout)
    assert result["run"] in [run["run"] for run in listed["runs"]]


def test_status_prints_addresses_and_variables(stack):
    shown = json.loads(dataops("status", "--name", stack.info.name, "--json").stdout)
    assert shown["variables"] == stack.info.variables
    for side, server in (("source", stack.info.source), ("target", stack.info.target)):
        assert shown[side]["host"] == "127.0.0.1"
        assert (shown[side]["port"], shown[side]["user"], shown[side]["password"]) == (
            server.port, server.user, server.password,
        )  # fmt: skip


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_up_starts_the_servers_that_are_asked_for(stack, flavor):
    name = f"up-{flavor}-{os.getpid()}"
    try:
        done = dataops("up", "--name", name, "--server", flavor, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        assert [last_json(done)[side]["flavor"] for side in ("source", "target")] == [flavor, flavor]
    finally:
        dataops("down", "--name", name)


def test_lab_does_not_take_a_stack_on_other_servers_for_the_one_asked_for(stack):
    flavor = stack.info.source.flavor
    other = "mysql" if flavor == "mariadb" else "mariadb"
    done = dataops("lab", "--name", stack.info.name, "--server", other, "--no-browser")
    message = f"dataops: stack {stack.info.name}: is up on {flavor}; stop it with `dataops down`"
    assert (done.returncode, done.stderr.strip()) == (1, message)


def test_package_builds_the_same_zip_twice(tmp_path):
    first, second = (json.loads(dataops("package", "-o", tmp_path / name, "--json").stdout) for name in "ab")
    assert first["sha256"] == second["sha256"]
    assert Path(first["path"]).read_bytes() == Path(second["path"]).read_bytes()


def test_a_notebook_runs_unattended_and_leaves_a_page(stack, tmp_path):
    done = dataops("notebook", "inspect-source", "-p", "batch", "customers", "-p", "rows", "2", "--json", cwd=tmp_path)
    told = last_json(done)
    assert (done.returncode, told["status"]) == (0, "succeeded"), done.stderr
    assert "customers: 12 columns" in Path(tmp_path, told["page"]).read_text()
    (listed,) = json.loads(dataops("runs", "--json", cwd=tmp_path).stdout)["notebooks"]
    assert (listed["notebook"], listed["status"]) == ("01-inspect-source", "succeeded")
    assert (tmp_path / "runs" / listed["folder"] / "01-inspect-source.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (
            ["inspect-sorce"],
            2,
            "dataops: notebook 'inspect-sorce': is not in notebooks/ (did you mean inspect-source?)",
        ),
        (["inspect-source", "-p", "rows", "many"], 2, "parameter 'rows': expected int"),
        (["inspect-source", "-p", "rows;import os", "1"], 2, "dataops: 01-inspect-source"),
        (["inspect-source", "-p", "batch", "nosuch"], 1, "dataops: 01-inspect-source: "),
    ],
)
def test_a_notebook_with_wrong_parameters_is_refused(stack, tmp_path, arguments, status, message):
    done = dataops("notebook", *arguments, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert message in done.stderr.splitlines()[-1]


ROWS = ("read_rows", (b"", "", 0, 0, [], []), (0, -1))
ITEMS = ("row_texts", ([], {}), [])


@pytest.mark.parametrize(
    ("batch", "functions", "comments"),
    [
        ("order-items", [ROWS, ITEMS], []),
        ("customers", [ITEMS], ["# The copy reads rows one by one, by no function of their own: a transform"]),
        (
            "orders",
            [ROWS],
            ["# The load takes items one by one, by no function of their own: the target does not read by scan"],
        ),
    ],
)
def test_the_code_of_a_batch_is_printed_as_it_runs(stack, tmp_path, batch, functions, comments):
    done = dataops("code", batch, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if line.startswith("# ")] == comments
    names = {"steps": STEPS}
    exec(done.stdout, names)
    assert {name for name in names if name in ("read_rows", "row_texts")} == {name for name, _, _ in functions}
    for name, arguments, given in functions:
        assert names[name](*arguments) == given


def test_every_command_has_help(stack):
    commands = re.findall(r"^  (\w+) ", dataops("--help").stdout.partition("Commands:")[2], re.MULTILINE)
    assert set(commands) == {
        "demo",
        "up",
        "down",
        "status",
        "sql",
        "infer",
        "run",
        "reconcile",
        "preflight",
        "package",
        "runs",
        "lab",
        "notebook",
        "roundtrip",
        "schedule",
        "check",
        "deploy",
        "bench",
        "code",
    }
    for command in commands:
        assert len(dataops(command, "--help").stdout.splitlines()) > 4


def test_the_demo_runs_everything_once_and_leaves_nothing(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DATAOPS_"))}
    command = [sys.executable, "-m", "dataops.cli", "demo"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "All three stores agree, and the 30 orders deleted at the source are gone from the target." in output
    assert len(list((tmp_path / "runs").glob("*/report.html"))) == 6
    assert not (runtime_folder() / f"demo-{process.pid}").exists()
