"""Different rows never share a key."""

import re
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from dataops.batch import KeyTemplate
from dataops.core.keys import compile_template

VALUES = st.text(st.sampled_from(list("ab#%2|-語é")) | st.characters(exclude_categories=["Cs"]), max_size=8)


def read_back(template: str, filled: str) -> tuple[str, ...]:
    """The values in a filled template, read by a regular expression and the standard library's unquoting."""
    pattern = re.sub(r"\\\{\w+\\\}", "(.*?)", re.escape(template))
    found = re.fullmatch(pattern, filled, re.DOTALL)
    assert found
    return tuple(unquote(value, errors="strict") for value in found.groups())


@given(VALUES, VALUES, VALUES)
def test_every_value_can_be_read_back_from_the_key(a, b, c):
    template = "ITEM#{a}#{b}|x{c}"
    filled = compile_template(KeyTemplate("sk", template))({"a": a, "b": b, "c": c})
    assert read_back(template, filled) == (a, b, c)


def test_a_delimiter_in_a_value_does_not_make_two_rows_one():
    fill = compile_template(KeyTemplate("sk", "{a}#{b}"))
    assert fill({"a": "1#2", "b": "3"}) != fill({"a": "1", "b": "2#3"})


def test_plain_values_stay_readable():
    fill = compile_template(KeyTemplate("sk", "ORDER#{a}#LINE#{b}"))
    assert fill({"a": "100001", "b": "東京 1"}) == "ORDER#100001#LINE#東京 1"
