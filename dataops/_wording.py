"""A declaration as a value, or what is wrong in it in our words: the place first, then what msgspec found there, with a near name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar, get_args

import msgspec

from dataops.errors import BatchFileError

_Declared = TypeVar("_Declared", bound=msgspec.Struct)
Parts: TypeAlias = Mapping[str, type[msgspec.Struct]]
"""The parts that a file is made of, by their place in it."""

_ERROR = re.compile(r"(.*?)(?: - at `(key` in `)?\$([^`]*)`)?", re.DOTALL)
_FORMS = {"read": ", {query: {partition_key: V}} or {index: NAME}", "projection": " or {include: [...]}"}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean X?)`, or nothing where no known name is near."""
    import difflib  # only what is wrong needs it

    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def parse_declared(
    declared: Any, kind: type[_Declared], parts: Parts, contradictions: Callable[[_Declared], Iterable[str]], where: str
) -> _Declared:
    """What a mapping declares, made of `parts`. Raises BatchFileError, after `where`, for the first thing wrong."""
    try:
        found = msgspec.convert(declared, kind)
    except msgspec.ValidationError as error:
        raise BatchFileError(f"{where}: {_describe_error(str(error), declared, parts)}") from None
    for problem in contradictions(found):
        raise BatchFileError(f"{where}: {problem}")
    return found


def _describe_error(error: str, declared: Any, parts: Parts) -> str:
    """msgspec's message on `declared`: `source.tabel: unknown key (did you mean table?)`."""
    said = _ERROR.fullmatch(error)
    message, of_name, path = said.groups() if said else (error, None, None)
    place, found = _follow(path or "", declared, parts)
    if of_name:
        wrong_name = next(name for name in found if not isinstance(name, str))
        return f"{place or 'the file'}: expected str as a name, found {wrong_name}"
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", message, re.DOTALL):
        return _describe_unknown(place, unknown[1], parts)
    if missing := re.fullmatch(r"Object missing required field `(.*)`", message):
        return f"{_join(place, missing[1])}: required, but missing"
    if wrong := re.fullmatch(r"Invalid enum value (.*)", message, re.DOTALL):
        key = (path or "").removesuffix("[...]").rpartition(".")[2]
        return f"{place}: expected {' or '.join(_choices(key, parts))}{_FORMS.get(key, '')}, found {wrong[1]}"
    message = message.replace("`", "").replace("object", "mapping").replace("array", "list")
    return f"{place or 'the file'}: {message[:1].lower()}{message[1:]}"


def _describe_unknown(place: str, name: str, parts: Parts) -> str:
    owners: dict[str, list[str]] = {}
    for owner, part in parts.items():
        for field in msgspec.structs.fields(part):
            owners.setdefault(field.encode_name, []).append(owner)
    if name in owners:
        return f"{_join(place, name)}: unknown key here; '{name}' belongs under {' or '.join(owners[name])}"
    return f"{_join(place, name)}: unknown key{did_you_mean(name, owners)}"


def _follow(path: str, declared: Any, parts: Parts) -> tuple[str, Any]:
    """The place that a path leads to, and what stands there; msgspec's `[...]` becomes the name that is at fault."""
    place, found = "", declared
    for step in re.findall(r"\w+|\[\d+\]|\[\.\.\.\]", path):
        if step == "[...]":
            step = _name_at_fault(place, found, parts)
        elif step.startswith("["):
            place, found = place + step, list(found)[int(step[1:-1])]
            continue
        place, found = _join(place, step), found[step]
    return place, found


def _name_at_fault(place: str, found: dict[str, Any], parts: Parts) -> str:
    """The first name in the mapping at `place` whose value is not of the mapping's type."""
    owner, _, key = place.rpartition(".")
    (kind,) = (get_args(field.type)[1] for field in msgspec.structs.fields(parts[owner]) if field.encode_name == key)
    for name, value in found.items():
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            return name
    raise LookupError(place)


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _choices(key: str, parts: Parts) -> list[str]:
    """The words that a key takes."""
    found: list[str] = []
    for part in parts.values():
        for field in msgspec.structs.fields(part):
            if field.encode_name == key:
                options = [option for of in (field.type, *get_args(field.type)) for option in get_args(of)]
                found += [option for option in options if isinstance(option, str)]
    return list(dict.fromkeys(found)) or ["another word"]
