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
