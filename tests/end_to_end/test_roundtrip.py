"""Every type's edge values come back as they were or are rejections, and the docs say which."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataops.local.edges import FAMILIES
from dataops.workbook.roundtrip import page_row, try_family

PAGE = Path(__file__).parent.parent.parent / "docs" / "types.md"
ORDER = ("mariadb", "mysql")


def cells(row):
    """The cells of a Markdown table's row."""
    return row.strip("| \n").split(" | ")


@pytest.mark.parametrize("family", FAMILIES)
def test_edge_values_are_exact_or_rejected_as_the_docs_say(stack, tmp_path, family):
    flavor = stack.info.source.flavor
    outcomes = try_family(stack.info, family, tmp_path)
    assert [(of.edge.column, of.different) for of in outcomes if of.different] == []
    lines = {cells(line)[0]: cells(line) for line in PAGE.read_text().splitlines()}
    for of in outcomes:
        name, stored, tried, verdict = cells(page_row(of.edge, {flavor: [of]}))
        said = lines[name]
        assert (said[2], said[3 + ORDER.index(flavor)]) == (tried, verdict)
        assert set(stored.split(", ")) <= set(said[1].split(", "))


@pytest.mark.parametrize("family", ["texts", "not nulls"])
@pytest.mark.parametrize("policy", ["to_null", "omit"])
def test_only_empty_strings_in_nullable_texts_become_null(stack, tmp_path, family, policy):
    outcomes = try_family(stack.info, family, tmp_path, empty_string=policy)
    assert [(of.edge.column, of.different) for of in outcomes if of.different] == []


@pytest.mark.parametrize("mode", ["swap", "upsert"])
def test_enum_without_a_member_stays_index_0(case, mode):
    case.source("SET sql_mode = ''")
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, e ENUM('a','b') NOT NULL, f ENUM('x'))")
    case.source("INSERT INTO {t} VALUES (1, 'b', 'x'), (2, 0, 0), (3, 0, NULL)")
    assert case.run(case.batch(normalize__empty_string="keep", target__mode=mode)).status == "succeeded"
    assert case.target("SELECT id, e + 0, f + 0 FROM {t} ORDER BY id") == [(1, 2, 1), (2, 0, 0), (3, 0, None)]
    assert len(set(case.checksums())) == 1


def test_timestamps_do_not_depend_on_the_servers_time_zones(case):
    case.source("SET time_zone = '+00:00'")
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, at TIMESTAMP(6) NULL)")
    moments = ["2024-03-31 00:59:59.999999", "2024-03-31 01:00:00", "2024-10-27 00:30:00", "2024-10-27 01:30:00"]
    case.source("INSERT INTO {t} VALUES (%s, %s)", *enumerate(moments))
    zones = case.source("SELECT @@GLOBAL.time_zone"), case.target("SELECT @@GLOBAL.time_zone")
    try:
        case.source("SET GLOBAL time_zone = '+09:00'")
        case.target("SET GLOBAL time_zone = '-05:00'")
        assert case.run().status == "succeeded"
    finally:
        case.source(f"SET GLOBAL time_zone = '{zones[0][0][0]}'")
        case.target(f"SET GLOBAL time_zone = '{zones[1][0][0]}'")
    sql = "SELECT UNIX_TIMESTAMP(at) FROM {t} ORDER BY id"
    assert case.target(sql) == case.source(sql)
    assert {item["at"]["S"] for item in case.items()} >= {"2024-03-31T00:59:59.999999Z", "2024-10-27T01:30:00.000000Z"}
