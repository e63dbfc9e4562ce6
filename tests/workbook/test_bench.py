"""The benchmark checks every row of every method; its figures are for people, so none is asserted."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from dataops.cli import main
from dataops.local.bench.endpoint import STAMP, Held, _items_of
from dataops.local.bench.rows import TEMPLATES
from dataops.local.bench.subject import SOURCE
from dataops.local.bench.worker import METHODS, OURS, READS, SLOWEST
from dataops.workbook.bench import FULL, QUICK, Bench, Benchmark, Measured, Size, run_benchmark
from dataops.workbook.scale import measure_scale, sizes_up_to


def test_every_row_of_every_method_is_as_it_should_be(tmp_path):
    command = [sys.executable, "-m", "dataops.cli", "bench", "--quick", "--json", "-o", str(tmp_path / "plot.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["differences"] == 0
    names = {(direction, name) for direction, methods in METHODS.items() for name in methods} - {
        (direction, "awswrangler") for direction in METHODS
    }
    assert names <= {(method["direction"], method["name"]) for method in found["methods"]}
    baselines = {next(iter(methods)) for methods in METHODS.values()}
    assert {method["ratio"] for method in found["methods"] if method["name"] in baselines} == {1.0}
    assert [method["name"] for method in found["methods"] if not method["checked"]] == [READS]
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def held():
    return Held()


def sent(held, *items, rows=2, stamps=("1",)):
    """What the check says after these items were sent as those of rows 1 to `rows`."""
    requests = [{"PutRequest": {"Item": item}} for item in items]
    asked = {"rows": {"t": rows}, "stamp": 1, "stamps": stamps, "secret": {}, "nulls": True}
    held.answer("Bench.Hold", json.dumps(asked).encode())
    held.answer("DynamoDB_20120810.BatchWriteItem", json.dumps({"RequestItems": {"t": requests}}).encode())
    return json.loads(held.answer("Bench.Check", b'{"table": "t"}'))["differences"]


def item(held, number, **changes):
    template = held.items[number % TEMPLATES]
    return template | {"id": {"N": str(number)}, STAMP: {"N": "1"}} | changes


def test_rows_that_came_as_they_should_do_not_differ(held):
    assert sent(held, item(held, 1), item(held, 2)) == 0
    total = held.items[2]["total"]["N"]
    assert sent(held, item(held, 1), item(held, 2, total={"N": f"{total}0"}), item(held, 2)) == 0


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({"name": {"S": "another"}}, 2), ({"total": {"N": "0.01"}}, 2), ({"memo": {"NULL": True}}, 2),
        ({"extra": {"S": ""}}, 2), ({"id": {"N": "3"}}, 2), ({STAMP: {"N": "2"}}, 2), ({STAMP: {"S": "1"}}, 2),
    ],
)  # fmt: skip
def test_an_item_that_differs_is_wrong_and_leaves_its_row_missing(held, changes, differences):
    assert sent(held, item(held, 1), item(held, 2, **changes)) == differences


def test_a_stamp_that_is_missing_differs_as_one_that_should_not_be_there(held):
    unstamped = {name: value for name, value in item(held, 2).items() if name != STAMP}
    assert sent(held, item(held, 1), unstamped) == 2
    assert sent(held, unstamped, item(held, 1), stamps=()) == 2


def test_a_wrong_stamp_differs_in_a_row_whose_like_was_right(held):
    like = TEMPLATES + 1
    assert sent(held, item(held, 1), item(held, like), rows=like) == like - 2
    assert sent(held, item(held, 1), item(held, like, **{STAMP: {"N": "2"}}), rows=like) == like


def test_a_row_that_never_came_differs(held):
    assert sent(held, item(held, 1)) == 1


def test_ratios_are_those_of_one_round():
    base = Measured("back", "base", [100.0, 50.0, 90.0], [10.0, 10.0, 10.0], [8.0, 9.0, 7.0])
    ours = Measured("back", "dataops", [10.0, 10.0, 30.0], [5.0, 6.0, 20.0], [80.0, 90.0, 70.0])
    figures = [tuple(method.values())[:9] for method in Benchmark((base, ours)).to_json()["methods"]]
    assert figures == [
        ("back", "base", 90.0, 1.0, 1.0, 1.0, 10.0, 1.0, 8), ("back", "dataops", 10.0, 5.0, 3.0, 10.0, 6.0, 0.6, 80),
    ]  # fmt: skip


def test_the_copy_is_told_as_a_part_of_the_bare_reading_and_that_as_unchecked():
    rounds = {"batch_writer": [180.0, 180.0], READS: [10.0, 20.0], "dataops": [5.0, 9.2]}
    found = Benchmark(tuple(Measured("forward", name, us, [1.0, 1.0], [9.0, 9.0]) for name, us in rounds.items()))
    told = {of["name"]: (of["checked"], of["of_reads"]) for of in found.to_json()["methods"]}
    assert told == {"batch_writer": (True, 13.5), READS: (False, 1.0), "dataops": (True, 0.48)}
    assert found.table().text().startswith(f"The copy by dataops takes 0.48 (0.46 to 0.50) of the CPU of {READS}.\n")
    assert [row[-1] for row in found.table().rows] == [0, "-", 0]


def test_the_bare_reading_is_of_the_very_rows_that_the_copy_reads():
    assert FULL.rows_of("forward", READS) == FULL.rows_of("forward", "dataops") == FULL.rows


def test_what_is_compared_runs_one_after_the_other_and_the_slowest_moves_the_fewest_rows():
    first, ours, reads, *_ = METHODS["forward"]
    assert (first, ours, reads, list(METHODS["back"])[1]) == ("batch_writer", OURS, READS, OURS)
    for size in (FULL, QUICK):
        rows = [size.rows_of("forward", name) for name in (OURS, first, SLOWEST)]
        assert rows == [size.rows, size.other_rows, size.slowest_rows]
        assert rows == sorted(rows, reverse=True)


def test_a_row_that_comes_out_otherwise_is_a_difference_and_exit_status_1(tmp_path, monkeypatch, capsys):
    def fill_otherwise(bench, rows, fill=Bench.fill):
        fill(bench, rows)
        bench.connection.cursor().execute(f"UPDATE {SOURCE} SET quantity = quantity + 1 WHERE id = 7")
        bench.connection.commit()

    monkeypatch.setattr(Bench, "fill", fill_otherwise)
    monkeypatch.setattr("dataops.workbook.bench.QUICK", Size(300, 100, 50, 1))
    monkeypatch.setattr("sys.argv", ["dataops", "bench", "--quick", "--json", "-o", str(tmp_path / "plot.png")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    found = json.loads(capsys.readouterr().out)
    checked = sum(method["checked"] for method in found["methods"])
    assert found["differences"] == 2 * checked  # each time a wrong row came, and the right one did not


def test_the_servers_cpu_is_compared_over_equal_rows():
    assert {FULL.rows_of("back", name) for name in METHODS["back"]} == {FULL.rows}


@pytest.fixture(scope="module")
def scale():
    return measure_scale((2_000, 20_000), str)


def test_every_row_is_as_it_should_be_in_tables_of_each_size(scale, tmp_path):
    assert scale.to_json()["differences"] == 0
    assert [(point.rows, point.chunks) for point in scale.points] == [(2_000, 2), (20_000, 2)]
    assert scale.draw().png.startswith(b"\x89PNG")
    assert "20,000" in scale.table().text()


def test_what_was_sent_is_looked_through_before_it_fills_the_memory(held, monkeypatch):
    monkeypatch.setattr("dataops.local.bench.endpoint.KEPT_BYTES", 1)
    assert sent(held, item(held, 1), item(held, 2)) == 0
    assert held._sent == []
    assert sent(held, item(held, 1), item(held, 2, memo={"S": "another"})) == 2


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_body_is_read_with_spaces_and_without(separators):
    items = [{"id": {"N": "1"}, "memo": {"S": '"}}}{"PutRequest":{"Item":{'}}, {"id": {"N": "2"}}]
    asked = {
        "RequestItems": {"t": [{"PutRequest": {"Item": item}} for item in items]},
        "ReturnConsumedCapacity": "TOTAL",
    }
    found = list(_items_of("BatchWriteItem", json.dumps(asked, separators=separators).encode()))
    assert [(table, json.loads(text)) for table, text in found] == [("t", item) for item in items]


def test_a_dynamodb_that_is_late_is_measured_by_ours_and_by_what_most_people_write():
    found = run_benchmark(Size(500, 100, 50, 1), lambda told: None, latency=1)
    assert [of.name for of in found.methods] == ["batch_writer", "dataops"]
    assert found.differences == 0
    assert all(of["rows_per_second"] > 0 for of in found.to_json()["methods"])


def test_sizes_grow_tenfold():
    assert sizes_up_to(1_000_000) == [10_000, 100_000, 1_000_000]
    assert sizes_up_to(99_999) == [10_000]
