"""A table made for looking: nothing in it is taken for HTML, nothing in it is lost from sight."""

from __future__ import annotations

from decimal import Decimal
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataops.workbook.table import SHOWN, TITLE, Badge, Table


def cells(table: Table) -> list[str]:
    """The text of every cell of the first row, as a reader sees it."""
    root = ElementTree.fromstring(table._repr_html_())
    return ["".join(cell.itertext()) for cell in root.findall(".//tbody/tr[1]/td")]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "NULL"),
        ("", "empty"),
        ("NULL", "NULL"),
        (1234567, "1,234,567"),
        (-1234, "-1,234"),
        (Decimal("1234.50"), "1234.50"),
        (True, "True"),
        (b"\x00\xff", "0x00ff"),
        ("  two  spaces ", "  two  spaces "),
        ("line\nbreak\tand tab", "line⏎break⇥and tab"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ('<img src=x onerror="alert(1)">', '<img src=x onerror="alert(1)">'),
        ("&lt;", "&lt;"),
    ],
)
def test_a_value_is_shown_as_it_is(value, shown):
    assert cells(Table(("a",), [(value,)])) == [shown]


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=SHOWN))
def test_no_text_becomes_markup(text):
    table = Table((text,), [(text,)], caption=text)
    root = ElementTree.fromstring(table._repr_html_())
    assert {element.tag for element in root.iter()} <= {
        "div",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "span",
    }
    assert cells(table) == [text or "empty"]


@pytest.mark.parametrize("value", ["<script>alert(1)</script>", '<img src=x onerror="alert(1)">', "a & b", '"quoted"'])
def test_a_cell_is_text_wherever_it_stands(value):
    html = Table([value], [[value]], value)._repr_html_()
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;" in html or "&amp;" in html or "&quot;" in html


def test_null_and_the_empty_string_look_different():
    html = Table(["a", "b"], [[None, ""]])._repr_html_()
    assert ">NULL<" in html
    assert ">empty<" in html


def test_numbers_are_right_aligned_with_separators():
    html = Table(["n", "t"], [[1234567, "1234567"], [Decimal("1.50"), "x"]])._repr_html_()
    assert ">1,234,567<" in html
    assert html.count("text-align:right") == 3


def test_null_and_the_text_null_and_the_empty_string_look_different():
    htmls = [Table(("a",), [(value,)])._repr_html_() for value in (None, "NULL", "", "empty")]
    assert len(set(htmls)) == 4


def test_a_long_text_is_cut_and_stands_whole_in_the_title():
    text = "<b>" + "x" * 200
    cell = ElementTree.fromstring(Table(("a",), [(text,)])._repr_html_()).find(".//tbody/tr/td")
    assert cell.text == text[: SHOWN - 1] + "…"
    assert cell.get("title") == text


def test_a_huge_value_does_not_make_the_notebook_huge():
    assert len(Table(("a",), [(b"x" * 1_000_000,)])._repr_html_()) < TITLE + 1000


def test_numbers_stand_on_the_right_and_so_do_columns_named_so():
    table = Table(("n", "text", "id"), [(1, "a", "17"), (None, "b", "18")], right=("id",))
    heads = ElementTree.fromstring(table._repr_html_()).findall(".//thead/tr/th")
    assert [head.get("style").split(";")[0] for head in heads] == [
        "text-align:right",
        "text-align:left",
        "text-align:right",
    ]


def test_no_rows_say_so():
    assert "no rows" in Table(("a", "b"), [])._repr_html_()


def test_plain_text_is_aligned_also_under_wide_letters():
    table = Table(("name", "count"), [("佐藤", 1234), ("x", 5), ("", 6), (None, 7)], caption="two: 4 rows")
    assert repr(table).splitlines() == [
        "two: 4 rows",
        "name  count",
        "佐藤  1,234",
        "x         5",
        "''        6",
        "NULL      7",
    ]


def test_the_same_rows_give_the_same_html():
    one, other = (Table(("a",), [(1,)], "caption")._repr_html_() for _ in range(2))
    assert one == other


def test_the_plain_text_is_aligned_and_whole():
    table = Table(("a", "名前"), [("注文", "x" * 99), (None, ""), ("[/b]", " end ")])
    assert table.text().splitlines() == [
        "a     名前", "注文  " + "x" * 99, "NULL  ''", "[/b]   end ",
    ]  # fmt: skip


def test_a_control_character_is_shown_and_not_sent():
    assert Table(("a",), [("\x1b[2J\x07\x7f\x9b",)]).text().splitlines()[1] == "␛[2J␇␡\\x9b"


def test_a_wrapped_column_shows_its_texts_whole():
    long = "why " * 40
    table = Table(("name", "reason"), [("a", long)], wrapped=["reason"])
    assert long in table._repr_html_()
    assert "title=" not in table._repr_html_()
    assert long in repr(table)


def test_a_badge_is_coloured_in_html_and_a_text_elsewhere():
    table = Table(["status"], [[Badge("<ok>", "#387a48")]])
    (badge,) = ElementTree.fromstring(table._repr_html_()).iter("span")
    assert (badge.text, "background:#387a48" in badge.get("style")) == ("<ok>", True)
    assert table.text().splitlines()[-1] == "<ok>"
