"""Whether a path, an intrinsic function or a JSONata expression of a state machine is well formed.

Rules of the Amazon States Language specification (states-language.net) and the Step Functions developer guide.
"""

from __future__ import annotations

import re

from dataops._wording import did_you_mean

_NAME = r"[^\W\d][\w]*"
_FIELD = r"""(?:\\.|[^\s.,:?@*$'"()\[\]\\])+"""
_STEP = rf"""\.{_FIELD}|\[(?:-?[0-9]+|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\]"""
_REFERENCE = re.compile(rf"\$\$?(?:{_NAME})?(?:{_STEP})*")
_ROOT = re.compile(rf"\$\$?(?:{_NAME})?")
_SLICE = r"-?[0-9]*:-?[0-9]*(?::-?[0-9]+)?"
_INDEXES = r"-?[0-9]+(?:\s*,\s*-?[0-9]+)*"
_NAMES = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?:\s*,\s*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))*"""
_BRACKET = re.compile(rf"\[\s*(?:\*|{_SLICE}|{_INDEXES}|{_NAMES})\s*\]")
_DOT = re.compile(rf"\.\.?(?:{_FIELD}|\*)|\.\.?(?=\[)")
_CALL = re.compile(r"\.(?:min|max|avg|stddev|length|sum|keys|concat|append|first|last|index)\([^()]*\)")
"""A function of Jayway's JsonPath, whose syntax the specification gives to paths (not to reference paths)."""
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|/\*.*?\*/""", re.DOTALL)
_RESERVED = re.compile(r"\$states\s*\.\s*(result|errorOutput)\b")
_PART = re.compile(r"\[[^\]]*\]|(?:(?!\.\w+\()[^,()\[\]\s])+")
INTRINSICS = {
    "States.Format": (1, 99), "States.StringToJson": (1, 1), "States.JsonToString": (1, 1), "States.Array": (0, 999),
    "States.ArrayPartition": (2, 2), "States.ArrayContains": (2, 2), "States.ArrayRange": (3, 3),
    "States.ArrayGetItem": (2, 2), "States.ArrayLength": (1, 1), "States.ArrayUnique": (1, 1),
    "States.Base64Encode": (1, 1), "States.Base64Decode": (1, 1), "States.Hash": (2, 2), "States.JsonMerge": (3, 3),
    "States.MathRandom": (2, 3), "States.MathAdd": (2, 2), "States.StringSplit": (2, 2), "States.UUID": (0, 0),
}  # fmt: skip
"""Intrinsic functions, with the least and greatest number of arguments."""
DEEPEST = 10
"""How deep intrinsic functions may be nested."""


def find_path_fault(text: str, *, reference: bool = False) -> str:
    """What is wrong with a JSONPath, empty when nothing is; a reference path names exactly one node."""
    if reference:
        if _REFERENCE.fullmatch(text):
            return ""
        return (
            find_path_fault(text)
            or "expected a reference path: no filter, slice, wildcard, function or .. (it names one node)"
        )
    root = _ROOT.match(text)
    if not root:
        return "expected a path, which begins with $"
    at = root.end()
    while at < len(text):
        step = _CALL.match(text, at) or _DOT.match(text, at) or _BRACKET.match(text, at)
        end = step.end() if step else _end_of_filter(text, at)
        if end is None:
            return f"not a JSONPath from character {at + 1} on"
        at = end
    return ""


def find_path_doubt(text: str) -> str:
    """What a path or an intrinsic function may hurt by, though it is well formed.

    The developer guide says of reference paths alone that they have no functions; a run was seen to fail of one in an
    InputPath (github.com/awsdocs/aws-step-functions-developer-guide/pull/5).
    """
    found = _CALL.search(_QUOTED.sub("''", text))
    return f"{found[0]} may fail in a run; an intrinsic function, as States.ArrayLength, will not" if found else ""


def _end_of_filter(text: str, at: int) -> int | None:
    """Where a filter or script in brackets ends; only its brackets and quotes are followed."""
    if not re.match(r"\[\s*\??\s*\(", text[at:]):
        return None
    depth, quote = 0, ""
    for place in range(at, len(text)):
        letter = text[place]
        if quote:
            quote = "" if letter == quote and text[place - 1] != "\\" else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
            if depth == 0:
                return place + 1
    return None


def find_template_fault(text: str) -> str:
    """What is wrong with the value of a key that ends in `.$`: a path or an intrinsic function."""
    if text.startswith("$"):
        return find_path_fault(text)
    if not text.startswith("States."):
        return "expected a path, which begins with $, or an intrinsic function, since its key ends in .$"
    fault, end = _read_call(text, 0, 1)
    return fault or ("" if end == len(text) else f"not an intrinsic function from character {end + 1} on")


def _read_call(text: str, at: int, depth: int) -> tuple[str, int]:
    """The fault in the call at a place, and where it ends."""
    named = re.compile(r"States\.\w+").match(text, at)
    name = named[0] if named else ""
    if name not in INTRINSICS:
        return f"{name or 'this'} is not an intrinsic function{did_you_mean(name, INTRINSICS)}", at
    if depth > DEEPEST:
        return f"intrinsic functions are nested deeper than {DEEPEST}", at
    at += len(name)
    if text[at : at + 1] != "(":
        return f"{name}: expected ( after it", at
    fault, at, count = _read_arguments(text, at + 1, depth)
    least, most = INTRINSICS[name]
    if not fault and not least <= count <= most:
        fault = f"{name}: expected {least if least == most else f'{least} to {most}'} arguments, found {count}"
    return fault, at


def _read_arguments(text: str, at: int, depth: int) -> tuple[str, int, int]:
    count, at = 0, _skip(text, at)
    if text[at : at + 1] == ")":
        return "", at + 1, 0
    while True:
        fault, at = _read_argument(text, _skip(text, at), depth)
        count, at = count + 1, _skip(text, at)
        if fault or text[at : at + 1] not in (",", ")"):
            return fault or f"expected , or ) at character {at + 1}", at, count
        at += 1
        if text[at - 1] == ")":
            return "", at, count


def _read_argument(text: str, at: int, depth: int) -> tuple[str, int]:
    if text.startswith("States.", at):
        return _read_call(text, at, depth + 1)
    literal = re.compile(r"'(?:[^'\\]|\\.)*'|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null").match(text, at)
    if literal:
        return "", literal.end()
    if text.startswith("$", at):
        end = _end_of_path(text, at)
        return find_path_fault(text[at:end]), end
    return f"expected a path, a 'text', a number or a function at character {at + 1}", at


def _end_of_path(text: str, at: int) -> int:
    """Where a path among arguments ends: before a comma, a bracket that closes, or a space."""
    while part := _CALL.match(text, at) or _PART.match(text, at):
        named = _BRACKET.match(text, at)
        at = named.end() if named else _end_of_filter(text, at) or part.end()
    return at


def _skip(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at


def find_jsonata_fault(text: str) -> str:
    """What is wrong with the JSONata in `{% ... %}`; nothing is said where no JSONata parser is installed."""
    inner = text.strip()[2:-2].strip()
    if not inner:
        return "an empty JSONata expression"
    try:
        import jsonata
    except ImportError:
        return ""
    try:
        jsonata.Jsonata(inner)
    except jsonata.JException as error:
        return f"not JSONata: {str(error).splitlines()[0][:120]}"
    except Exception:  # a fault of the parser's own, which says nothing of the text
        return ""
    return ""


def find_reserved_fault(text: str, allowed: str) -> str:
    """What `{% ... %}` reads of $states that is not there; `allowed` is the field that is: result, errorOutput or none.

    AWS refuses such a definition. https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html
    """
    where = {
        "result": "Output and Assign of a Task, Parallel or Map",
        "errorOutput": "Output and Assign of a Catch's entry",
    }
    for found in _RESERVED.finditer(_QUOTED.sub("''", text)):
        if found[1] != allowed:
            return f"$states.{found[1]} is not there yet: it is in {where[found[1]]} only"
    return ""
