"""Proof that the code imported in this process is the code in the zip, file by file, function by function."""

from __future__ import annotations

import ast
import sys
import zipfile
from collections.abc import Iterator, Mapping
from hashlib import sha256
from inspect import CO_OPTIMIZED, unwrap
from io import BytesIO
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from dataops.errors import Permanent

_ATOMS = (bool, int, float, str, bytes, type(None))


class FileProof(NamedTuple):
    """One file of a zip: its size in bytes, its digest, and whether what is imported here is `same`, `differs` or is
    `not imported`.

    `differing` names the functions and constants of ours at fault; a third party's file is compared by its bytes.
    """

    file: str
    size: int
    sha256: str
    imported: str
    differing: tuple[str, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether it is the project's or a batch's own, not a third party's."""
        return self.file.split("/")[0] not in ("pymysql", "msgspec")


_LAMBDA = "<lambda>"


def prove_code(content: bytes) -> list[FileProof]:
    """Each file of a zip held against what this process has imported, in order of name."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return [_prove_file(name, archive.read(name)) for name in sorted(archive.namelist())]


def require_same_code(content: bytes) -> list[FileProof]:
    """The proof of a zip. Raises Permanent, which names file and function, where imported code of ours is not in it."""
    proofs = prove_code(content)
    for proof in proofs:
        if proof.is_ours and proof.imported == "differs":
            raise Permanent(
                f"{proof.file}: {', '.join(proof.differing[:3])}: what is imported here is not what the zip holds; the "
                "file has changed since: restart the kernel, or run the command again"
            )
    return proofs


def require_same_zip(given: bytes, built: bytes, where: str) -> None:
    """Raises Permanent, which names the first file, when a zip is not byte for byte what the checkout gives."""
    if given == built:
        return
    try:
        with zipfile.ZipFile(BytesIO(given)) as one, zipfile.ZipFile(BytesIO(built)) as other:
            names, wanted = one.namelist(), other.namelist()
            unequal = [
                name
                for name in sorted({*names, *wanted})
                if name not in names or name not in wanted or one.read(name) != other.read(name)
            ]
    except zipfile.BadZipFile:
        raise Permanent(f"{where}: expected a zip that `dataops package` wrote, found another file") from None
    what = (
        f"{unequal[0]} is"
        if len(unequal) == 1
        else f"{len(unequal)} files are, such as {unequal[0]},"
        if unequal
        else ""
    )
    raise Permanent(
        f"{where}: {what or 'its order or times are'} not as in this checkout; build it again with `dataops package`"
    )


def _prove_file(name: str, source: bytes) -> FileProof:
    module = sys.modules.get(name.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    proof = FileProof(name, len(source), sha256(source).hexdigest(), "not imported")
    file = getattr(module, "__file__", None)
    if module is None or file is None or not name.endswith(".py"):
        return proof
    if not proof.is_ours:
        same = Path(file).read_bytes() == source
        return proof._replace(imported="same" if same else "differs")
    differing = tuple(sorted(_differences(source, module)))
    return proof._replace(imported="differs" if differing else "same", differing=differing)


def _differences(source: bytes, module: ModuleType) -> set[str]:
    """Qualified names of functions and plain constants that are not in a module as its source has them."""
    file = str(module.__file__)
    written: dict[str, set[Any]] = {}
    for code in _written_functions(compile(source, file, "exec", dont_inherit=True)):
        written.setdefault(code.co_qualname, set()).add(_print(code))
    loaded: dict[str, set[Any]] = {}
    for function in _loaded_functions(vars(module), module.__name__):
        if function.__code__.co_filename == file:
            loaded.setdefault(function.__code__.co_qualname, set()).add(_print(function.__code__))
    asked = loaded.keys() | {name for name in written if not name.endswith(_LAMBDA)}  # a lambda may be an argument only
    functions = {name for name in asked if not _fits(written.get(name), loaded.get(name))}
    return functions | {name for name, value in _constants(source) if _differs(vars(module).get(name), value)}


def _fits(written: set[Any] | None, loaded: set[Any] | None) -> bool:
    """A name written twice (a property's setter) may have been loaded once."""
    return bool(written and loaded and loaded <= written)


def _written_functions(code: CodeType) -> Iterator[CodeType]:
    """The functions that a module's or a class's body defines, those of classes in it included."""
    for part in code.co_consts:
        if isinstance(part, CodeType) and (part.co_name == _LAMBDA or not part.co_name.startswith("<")):
            if part.co_flags & CO_OPTIMIZED:
                yield part
            else:
                yield from _written_functions(part)


def _loaded_functions(names: Mapping[str, Any], module: str) -> Iterator[FunctionType]:
    for value in names.values():
        for found in (value, *(getattr(value, part, None) for part in ("__func__", "fget", "fset", "func"))):
            function = unwrap(found) if callable(found) else None
            if isinstance(function, FunctionType) and function.__module__ == module:
                yield function
        if isinstance(value, type) and value.__module__ == module:
            yield from _loaded_functions(vars(value), module)


def _print(code: CodeType) -> Any:
    """What a function does, its place in the file left out."""
    constants = tuple(_print(part) if isinstance(part, CodeType) else _spell(part) for part in code.co_consts)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return code.co_qualname, code.co_code, code.co_flags, code.co_argcount, code.co_kwonlyargcount, constants, names


def _spell(constant: Any) -> str:
    if isinstance(constant, frozenset):
        return f"frozenset {sorted(map(repr, constant))}"
    return repr(constant)


def _constants(source: bytes) -> Iterator[tuple[str, Any]]:
    """The names that a module gives plain values to, each once."""
    found: dict[str, list[Any]] = {}
    for statement in ast.parse(source).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign) and statement.value:
            targets = [statement.target]
        for target in targets:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(statement.value)  # type: ignore[attr-defined]  # narrowed by the test above
    for name, values in found.items():
        try:
            value = ast.literal_eval(values[0])
        except (ValueError, TypeError):
            continue
        if len(values) == 1 and isinstance(value, _ATOMS):
            yield name, value


def _differs(loaded: Any, written: Any) -> bool:
    return type(loaded) is not type(written) or repr(loaded) != repr(written)
