"""Key templates: several columns in one key attribute, so that different rows never share a key."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from dataops.batch import PLACEHOLDER, KeyTemplate


def compile_template(key: KeyTemplate) -> Callable[[dict[str, str]], str]:
    """A function from column texts to the key attribute's text; it is injective.

    In each value `%` and every character that begins the text after a placeholder are percent-escaped, so a
    value never holds what ends it and the template can be read back in one way only.
    """
    parts = PLACEHOLDER.split(key.template)
    literals, names = parts[::2], parts[1::2]
    escapes = {"%": "%25"} | {text[0]: f"%{ord(text[0]):02X}" for text in literals[1:] if text}
    table = str.maketrans(escapes)

    def fill(texts: dict[str, str]) -> str:
        pieces = [literals[0]]
        for name, literal in zip(names, literals[1:], strict=True):
            pieces += texts[name].translate(table), literal
        return "".join(pieces)

    return fill


def read_template(key: KeyTemplate, text: str) -> dict[str, str] | None:
    """The column texts in a key attribute's text; None for a text that the template never gives."""
    parts = PLACEHOLDER.split(key.template)
    literals, names = parts[::2], parts[1::2]
    ends = re.escape("".join(literal[0] for literal in literals[1:] if literal))
    value = f"([^{ends}]*)" if ends else "(.*)"
    found = re.fullmatch(value.join(map(re.escape, literals)), text, re.DOTALL)
    return dict(zip(names, map(unquote, found.groups()), strict=True)) if found else None
