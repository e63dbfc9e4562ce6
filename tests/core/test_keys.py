"""Different rows never share a key."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataops.batch import KeyTemplate
from dataops.core.keys import compile_template, read_template

VALUES = st.text(st.sampled_from(list("ab#%2|-.{}語é")) | st.characters(exclude_categories=["Cs"]), max_size=8)
TEMPLATES = [
    "{a}",
    "A#{a}",
    "{a}#{b}",
    "{a}#{b}#",
    "ITEM#{a}#{b}|x{c}",
    "{a}--{b}-{c}",
    "{a}-#{b}#-{c}.",
    "品{a}/品{b} {c}",
    "{a}:{a}|{b}",
]


def read_back(template: str, filled: str) -> tuple[str, ...]:
    """The values in a filled template, read by a regular expression and the standard library's unquoting."""
    pattern = re.sub(r"\\\{\w+\\\}", "(.*?)", re.escape(template))
    found = re.fullmatch(pattern, filled, re.DOTALL)
    assert found
    return tuple(unquote(value, errors="strict") for value in found.groups())


@pytest.mark.parametrize("template", TEMPLATES)
@given(VALUES, VALUES, VALUES)
def test_every_value_can_be_read_back_from_the_key(template, a, b, c):
    key = KeyTemplate("sk", template)
    values = {"a": a, "b": b, "c": c}
    assert read_back(template, compile_template(key)(values)) == tuple(values[name] for name in key.columns)
    assert read_template(key, compile_template(key)(values)) == {name: values[name] for name in key.columns}


@given(st.tuples(VALUES, VALUES), st.tuples(VALUES, VALUES), st.sampled_from(["{a}#{b}", "X{a}##{b}#"]))
def test_two_keys_are_one_exactly_when_the_rows_are(one, other, template):
    fill = compile_template(KeyTemplate("sk", template))
    keys = [fill({"a": a, "b": b}) for a, b in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [(("1#2", "3"), ("1", "2#3")), (("1%232", "3"), ("1#2", "3")), (("", "#"), ("#", "")), (("%", ""), ("%25", ""))],
)
def test_a_delimiter_in_a_value_does_not_make_two_rows_one(one, other):
    fill = compile_template(KeyTemplate("sk", "{a}#{b}"))
    assert fill(dict(zip("ab", one, strict=True))) != fill(dict(zip("ab", other, strict=True)))


def test_plain_values_stay_readable():
    fill = compile_template(KeyTemplate("sk", "ORDER#{a}#LINE#{b}"))
    assert fill({"a": "100001", "b": "東京 1"}) == "ORDER#100001#LINE#東京 1"


@pytest.mark.parametrize("text", ["", "B#1", "A#1#2", "A1"])
def test_a_text_that_the_template_never_gives_holds_no_columns(text):
    assert read_template(KeyTemplate("sk", "A#{a}#"), text) is None
