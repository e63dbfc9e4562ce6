# ruff: noqa: N802 - a rule is named as the kind of node that it is for
"""Where a SQL text comes from: every part of what a cursor is given, followed back to where it is written.

A part is proven when it is a constant, a number, a call of a quoting function, or put together of such parts: through
variables, arguments, results, fields and attributes, whatever their names. What cannot be followed is not proven.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tests.sql_tree import (
    COMPREHENSIONS,
    SCOPES,
    Module,
    Pick,
    argument_of,
    bindings,
    default_of,
    first_text,
    grows,
    inside,
    is_cursors,
    place_in,
)

QUOTING = {"dataops.core.mysql": {"quote_name", "quote_table"}}
NUMBERS = {"int", "len", "float", "range", "sum"}
TEXT_METHODS = {"replace", "format", "join", "strip", "upper", "lower"}
CONTAINERS = {"list", "tuple", "sorted", "reversed", "iter", "next", "str", "set"}
SQL_FIELDS = {("dataops.workbook.hazards", "Hazard", "sql")}
"""Fields of values that hold SQL. Any other field of a value, a name above all, is not proven."""
VERB = re.compile(
    r"(SELECT|INSERT|REPLACE|UPDATE|DELETE|CREATE|DROP|ALTER|RENAME|TRUNCATE|SHOW|CHECKSUM|LOAD DATA|GRANT) "
)
NUMERIC = (ast.Sub, ast.LShift, ast.RShift, ast.FloorDiv, ast.Div, ast.Pow)
KEYS, VALUES = -2, -3
"""In a pick: the keys of a mapping, or its values. Without, both: to go over a mapping is to take its keys."""


class Unproven(NamedTuple):
    """A part of a SQL text that could be anything: the file, the line and the expression."""

    module: str
    line: int
    part: str


class Prover:
    """Follows the SQL texts of some sources (module name -> text) back to where they are written."""

    def __init__(self, sources: Mapping[str, str], allowed: Mapping[tuple[str, str], str] | None = None) -> None:
        self.modules = {name: Module(name, source) for name, source in sources.items()}
        self.methods = [
            (module, node)
            for module in self.modules.values()
            for node in module.parents
            if isinstance(node, ast.FunctionDef) and isinstance(module.parents[node], ast.ClassDef)
        ]
        self.allowed, self.used = dict(allowed or {}), set[tuple[str, str]]()
        self.seen: set[tuple[ast.AST, Pick]] = set()
        self.found: list[Unproven] = []
        self.texts = 0

    def prove_all(self) -> list[Unproven]:
        """What is not proven of all that cursors and new sessions are given."""
        for module in self.modules.values():
            for node in module.calls:
                given = [node.args[0]] if node.args and is_cursors(node.func) else []
                given += [of.value for of in node.keywords if of.arg == "init_command"]
                self.texts += len(given)
                self._all(module, given)
        return sorted(set(self.found))

    def unfollowed(self) -> list[Unproven]:
        """Texts that are put together and begin like SQL, but were not reached from any cursor."""
        reached = {node for node, _ in self.seen}
        return sorted(
            Unproven(module.name, node.lineno, ast.unparse(node))
            for module in self.modules.values()
            for node in ast.walk(module.tree)
            if isinstance(node, ast.JoinedStr | ast.BinOp) and VERB.match(first_text(node)) and node not in reached
        )

    def prove(self, module: Module, node: ast.AST | None, pick: Pick = ()) -> None:
        """Prove an expression; of a tuple, the element that `pick` names."""
        if node is None or (node, pick) in self.seen:
            return
        self.seen.add((node, pick))
        key = (module.name, ast.unparse(node))
        if key in self.allowed:
            self.used.add(key)
            return
        rule = getattr(self, f"_{type(node).__name__}", None)
        if rule is None:
            self._fail(module, node)
        else:
            rule(module, node, pick)

    def _fail(self, module: Module, node: ast.AST) -> None:
        self.found.append(Unproven(module.name, getattr(node, "lineno", 0), ast.unparse(node)))

    def _all(self, module: Module, nodes: list[ast.expr], pick: Pick = ()) -> None:
        for node in nodes:
            self.prove(module, node, pick)

    def _Constant(self, module: Module, node: ast.Constant, pick: Pick) -> None:
        pass

    def _Compare(self, module: Module, node: ast.Compare, pick: Pick) -> None:
        pass

    def _UnaryOp(self, module: Module, node: ast.UnaryOp, pick: Pick) -> None:
        pass

    def _JoinedStr(self, module: Module, node: ast.JoinedStr, pick: Pick) -> None:
        for part in node.values:
            if isinstance(part, ast.FormattedValue) and not (
                part.format_spec and ast.unparse(part.format_spec) == "f'd'"
            ):
                self.prove(module, part.value)

    def _BinOp(self, module: Module, node: ast.BinOp, pick: Pick) -> None:
        if not isinstance(node.op, NUMERIC):
            self._all(module, [node.left, node.right], pick if isinstance(node.op, ast.BitOr) else ())

    def _BoolOp(self, module: Module, node: ast.BoolOp, pick: Pick) -> None:
        self._all(module, node.values, pick)

    def _IfExp(self, module: Module, node: ast.IfExp, pick: Pick) -> None:
        self._all(module, [node.body, node.orelse], pick)

    def _NamedExpr(self, module: Module, node: ast.NamedExpr, pick: Pick) -> None:
        self.prove(module, node.value, pick)

    def _Starred(self, module: Module, node: ast.Starred, pick: Pick) -> None:
        self.prove(module, node.value)

    def _Tuple(self, module: Module, node: ast.Tuple | ast.List, pick: Pick) -> None:
        plain = (
            pick
            and pick[0] >= 0
            and not any(isinstance(of, ast.Starred) for of in node.elts)
            and pick[0] < len(node.elts)
        )
        if plain:
            self.prove(module, node.elts[pick[0]], pick[1:])
        else:
            self._all(module, node.elts, pick)

    def _List(self, module: Module, node: ast.List, pick: Pick) -> None:
        self._all(module, node.elts, pick)

    def _Dict(self, module: Module, node: ast.Dict, pick: Pick) -> None:
        asked, rest = (pick[0], pick[1:]) if pick[:1] in ((KEYS,), (VALUES,)) else (0, pick)
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                self.prove(module, value, pick)
                continue
            if asked != VALUES:
                self.prove(module, key, rest)
            if asked != KEYS:
                self.prove(module, value, rest)

    def _ListComp(self, module: Module, node: ast.ListComp | ast.GeneratorExp | ast.SetComp, pick: Pick) -> None:
        self.prove(module, node.elt, pick)

    _GeneratorExp = _SetComp = _ListComp

    def _DictComp(self, module: Module, node: ast.DictComp, pick: Pick) -> None:
        asked, rest = (pick[0], pick[1:]) if pick[:1] in ((KEYS,), (VALUES,)) else (0, pick)
        self._all(module, [*[node.key] * (asked != VALUES), *[node.value] * (asked != KEYS)], rest)

    def _Subscript(self, module: Module, node: ast.Subscript, pick: Pick) -> None:
        at = node.slice
        position = (at.value,) if isinstance(at, ast.Constant) and isinstance(at.value, int) else ()
        self.prove(module, node.value, position + pick if position != (-1,) else pick)

    def _Name(self, module: Module, node: ast.Name, pick: Pick) -> None:
        for scope in module.above(node):
            if isinstance(scope, COMPREHENSIONS):
                for of in scope.generators:
                    at = place_in(of.target, node.id)
                    if at is not None:
                        return self._iterated(module, of.iter, at + pick)
            elif isinstance(scope, (*SCOPES, ast.Module)) and self._bound(module, scope, node.id, pick):
                return None
        origin = module.imports.get(node.id)
        if origin and origin[0] in self.modules:
            there = self.modules[origin[0]]
            if self._bound(there, there.tree, origin[1], pick):
                return None
        return self._fail(module, node)

    def _bound(self, module: Module, scope: ast.AST, name: str, pick: Pick) -> bool:
        """Prove all that a name is bound to in a scope; False when it is not bound there."""
        bound = False
        for node in inside(scope):
            for target, value, loops in bindings(node):
                at = place_in(target, name)
                if at is not None and value is not None:
                    bound = True
                    (self._iterated if loops else self.prove)(module, value, at + pick)
            if grows(node, name):
                self._all(module, node.args, pick)  # type: ignore[attr-defined]
        if isinstance(scope, ast.FunctionDef):
            names = [of.arg for of in (*scope.args.posonlyargs, *scope.args.args, *scope.args.kwonlyargs)]
            if name in names:
                self._argument(module, scope, name, pick)
                return True
        return bound

    def _iterated(self, module: Module, node: ast.expr, pick: Pick) -> None:
        """Prove what one element of an iterable is."""
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if isinstance(node, ast.Call) and called in ("zip", "enumerate") and pick:
            if called == "zip":
                return self._iterated(module, node.args[pick[0]], pick[1:])
            return None if pick[0] == 0 else self._iterated(module, node.args[0], pick[1:])
        if isinstance(node, ast.Tuple | ast.List):
            return self._all(module, node.elts, pick)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "items" and pick:
            return self.prove(module, node.func.value, ((KEYS, VALUES)[pick[0]], *pick[1:]))
        return self.prove(module, node, pick)

    def _argument(self, module: Module, function: ast.FunctionDef, name: str, pick: Pick) -> None:
        """Prove what every call of a function gives for an argument. One that is never called is not proven."""
        names = [of.arg for of in (*function.args.posonlyargs, *function.args.args)]
        owner = module.class_of(function)
        names = names[1:] if owner and names[:1] in (["self"], ["cls"]) else names
        given, default = 0, default_of(function, name)
        for there, call in self._calls(module, function, owner):
            value, at = next((of.value for of in call.keywords if of.arg == name), None), ()
            if value is None and name in names:
                value, at = argument_of(call, names.index(name))
            given += 1
            self.prove(there, value, at + pick) if value else self.prove(module, default)
        if not given:
            self._fail(module, ast.Name(name, lineno=function.lineno))

    def _calls(
        self, module: Module, function: ast.FunctionDef, owner: ast.ClassDef | None
    ) -> Iterator[tuple[Module, ast.Call]]:
        for there in self.modules.values():
            for node in there.calls:
                of = node.func
                if owner and function.name != "__init__":
                    if isinstance(of, ast.Attribute) and of.attr == function.name:
                        yield there, node
                elif isinstance(of, ast.Name) and self._origin(there, of.id) == (
                    module.name, owner.name if owner else function.name
                ):  # fmt: skip
                    yield there, node

    def _origin(self, module: Module, name: str) -> tuple[str, str]:
        return module.imports.get(name, (module.name, name))

    def _Attribute(self, module: Module, node: ast.Attribute, pick: Pick) -> None:
        if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            owner = module.class_of(node)
            if owner is not None and self._of_class(module, owner, node.attr, pick):
                return
        elif self._in_module(module, node, pick) or self._field(node.attr, pick):
            return
        self._fail(module, node)

    def _in_module(self, module: Module, node: ast.Attribute, pick: Pick) -> bool:
        """Prove what a name of an imported module stands for; False when this is none."""
        name = node.value.id if isinstance(node.value, ast.Name) else ""
        there = self.modules.get(".".join(module.imports.get(name, ())))
        return there is not None and self._bound(there, there.tree, node.attr, pick)

    def _of_class(self, module: Module, owner: ast.ClassDef, name: str, pick: Pick) -> bool:
        found = False
        for node in ast.walk(owner):
            if isinstance(node, ast.FunctionDef) and node.name == name:
                found = True
                self._results(module, node, pick)
            for target, value, loops in bindings(node):
                at = place_in(target, f"self.{name}")
                if at is not None and value is not None:
                    found = True
                    (self._iterated if loops else self.prove)(module, value, at + pick)
        return found

    def _field(self, name: str, pick: Pick) -> bool:
        """Prove what values of these sources' classes are made with for a field of this name."""
        found = False
        for where, owner, field in SQL_FIELDS:
            module = self.modules.get(where)
            made = module.top(ast.ClassDef, owner) if module and field == name else None
            if module and isinstance(made, ast.ClassDef):
                found = True
                fields = [
                    of.target.id
                    for of in made.body
                    if isinstance(of, ast.AnnAssign) and isinstance(of.target, ast.Name)
                ]
                self._made(module, made, fields.index(name), name, pick)
        return found

    def _made(self, module: Module, owner: ast.ClassDef, place: int, name: str, pick: Pick) -> None:
        for there in self.modules.values():
            for node in there.calls:
                if isinstance(node.func, ast.Name) and self._origin(there, node.func.id) == (module.name, owner.name):
                    value = next((of.value for of in node.keywords if of.arg == name), None)
                    if any(isinstance(of, ast.Starred) for of in node.args):
                        self._all(there, list(node.args))
                    elif value is None and place < len(node.args):
                        value = node.args[place]
                    self.prove(there, value, pick)

    def _Call(self, module: Module, node: ast.Call, pick: Pick) -> None:
        of = node.func
        if isinstance(of, ast.Name):
            return self._called(module, node, of.id, pick)
        if isinstance(of, ast.Attribute):
            if of.attr in TEXT_METHODS or (of.attr == "encode" and not node.args):
                return self._all(module, [of.value, *node.args, *(each.value for each in node.keywords)])
            if of.attr == "values":
                return self.prove(module, of.value, (VALUES, *pick))
            if of.attr == "mogrify":
                return self.prove(module, node.args[0])
            if of.attr == "escape" or (of.attr == "fromkeys" and not node.args):
                return None
            if isinstance(of.value, ast.Name) and of.value.id in ("self", "cls"):
                owner = module.class_of(node)
                if owner is not None and self._of_class(module, owner, of.attr, pick):
                    return None
            elif methods := [each for each in self.methods if each[1].name == of.attr]:
                for there, function in methods:
                    self._results(there, function, pick)
                return None
        return self._fail(module, node)

    def _called(self, module: Module, node: ast.Call, name: str, pick: Pick) -> None:
        where, function = self._origin(module, name)
        if function in QUOTING.get(where, ()) or name in NUMBERS:
            return None
        if name in CONTAINERS:
            return self._all(module, list(node.args), pick)
        if name == "map" and isinstance(node.args[0], ast.Name):
            return self._called(module, ast.Call(node.args[0], [], []), node.args[0].id, pick)
        if name in ("zip", "enumerate"):
            return self._iterated(module, node, pick)
        there = None if function == "execute" else self.modules.get(where)  # a server's answer is never proven
        found = there.top(ast.FunctionDef, function) if there else None
        if there and isinstance(found, ast.FunctionDef):
            return self._results(there, found, pick)
        return self._fail(module, node)

    def _results(self, module: Module, function: ast.FunctionDef, pick: Pick) -> None:
        for node in inside(function):
            if isinstance(node, ast.Return | ast.Yield):
                self.prove(module, node.value, pick)
            elif isinstance(node, ast.YieldFrom):
                self._iterated(module, node.value, pick)
