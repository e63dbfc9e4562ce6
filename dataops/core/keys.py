"""Key templates: several columns in one key attribute, so that different rows never share a key."""

from __future__ import annotations

from collections.abc import Callable

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
