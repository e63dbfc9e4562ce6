"""Tables show values as they are, and never run them."""

from decimal import Decimal

import pytest

from dataops.workbook.table import Table

HOSTILE = ["<script>alert(1)</script>", '<img src=x onerror="alert(1)">', "a & b", '"quoted"']


@pytest.mark.parametrize("value", HOSTILE)
def test_a_cell_is_text_wherever_it_stands(value):
    html = Table([value], [[value]], value)._repr_html_()
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;" in html or "&amp;" in html or "&quot;" in html


def test_null_and_the_empty_string_look_different():
    html = Table(["a", "b"], [[None, ""]])._repr_html_()
    assert ">NULL<" in html
    assert ">empty<" in html


def test_a_long_text_is_cut_and_whole_in_its_title():
    html = Table(["a"], [["x" * 200]])._repr_html_()
    assert f'title="{"x" * 200}"' in html
    assert f">{'x' * 59}…<" in html


def test_numbers_are_right_aligned_with_separators():
    html = Table(["n", "t"], [[1234567, "1234567"], [Decimal("1.50"), "x"]])._repr_html_()
    assert ">1,234,567<" in html
    assert html.count("text-align:right") == 3


def test_plain_text_is_aligned():
    assert repr(Table(["name", "n"], [["a", 1000], ["bcdef", None]])) == "name   n\na      1,000\nbcdef  NULL"
