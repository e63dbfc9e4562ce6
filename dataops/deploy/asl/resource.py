"""What a Task or an ItemReader calls."""

from __future__ import annotations

import re

_PLACEHOLDER = re.compile(r"\$\{[^${}]+\}")
_ARN = re.compile(r"arn:[\w-]+:([\w-]+):[\w-]*:[\w-]*:(\S+)")
_FUNCTION = re.compile(r"function:[\w-]+(?::(?:\$LATEST|[\w-]+))?")


def is_resource(text: str) -> bool:
    """Whether a text is an ARN; of a function its name, and its version or alias if any, must be well formed.

    A ${Placeholder} may stand for several parts of it, so where parts are missing only the letters are looked at.
    """
    plain = _PLACEHOLDER.sub("x", text)
    found = _ARN.fullmatch(plain)
    if found and found[1] == "lambda" and (plain == text or found[2].startswith("function:")):
        return _FUNCTION.fullmatch(found[2]) is not None
    if found or plain == text:
        return found is not None
    return text.startswith(("arn:", "${")) and re.fullmatch(r"[^\s{}]*[^\s{}:]", plain) is not None
