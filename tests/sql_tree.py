"""What a module's syntax tree says: its names and imports, what a statement binds, what a call is given."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeAlias

CURSOR_METHODS = {"execute", "executemany", "mogrify"}
SCOPES = (ast.FunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
Pick: TypeAlias = tuple[int, ...]
"""Which element of a value is meant: () for the value itself, (1,) for the second of a tuple, and so on inwards."""


class Module:
    """One source text, with what its names stand for."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.tree = name, ast.parse(source)
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self.calls = [node for node in self.parents if isinstance(node, ast.Call)]
        self.imports = {
            alias.asname or alias.name: (node.module or "", alias.name)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """What a node stands in, from the inside out."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        return next((of for of in self.above(node) if isinstance(of, ast.ClassDef)), None)

    def top(self, kind: type[ast.AST], name: str) -> ast.AST | None:
        return next((of for of in self.tree.body if isinstance(of, kind) and of.name == name), None)  # type: ignore[attr-defined]


def is_cursors(method: ast.expr) -> bool:
    """Whether it is a cursor's method that takes SQL, or a connection's."""
    if not isinstance(method, ast.Attribute):
        return False
    owner = ast.unparse(method.value)
    return owner != "self" and (
        method.attr in CURSOR_METHODS or (method.attr == "query" and owner.endswith("connection"))
    )


def argument_of(call: ast.Call, place: int) -> tuple[ast.expr | None, Pick]:
    """The argument at a place, and which element of it where it is one of several that a `*` gives."""
    for at, value in enumerate(call.args[: place + 1]):
        if isinstance(value, ast.Starred):
            return value.value, (place - at,)
    return (call.args[place], ()) if place < len(call.args) else (None, ())


def first_text(node: ast.expr) -> str:
    """The constant that a text which is put together begins with."""
    while isinstance(node, ast.BinOp):
        node = node.left
    first = node.values[0] if isinstance(node, ast.JoinedStr) and node.values else node
    return first.value.lstrip() if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def default_of(function: ast.FunctionDef, name: str) -> ast.expr | None:
    """An argument's default, if it has one."""
    plain, only = [*function.args.posonlyargs, *function.args.args], function.args.kwonlyargs
    values = [None] * (len(plain) - len(function.args.defaults)) + function.args.defaults + function.args.kw_defaults
    return next((value for of, value in zip((*plain, *only), values, strict=True) if of.arg == name), None)


def inside(scope: ast.AST) -> Iterator[ast.AST]:
    """Every node of a scope, but not of the functions in it."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (*SCOPES, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)


def bindings(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None, bool]]:
    """What a statement binds: the target, the value, and whether the target is an element of it."""
    if isinstance(node, ast.Assign):
        yield from ((target, node.value, False) for target in node.targets)
    elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
        yield node.target, node.value, False
    elif isinstance(node, ast.For):
        yield node.target, node.iter, True
    elif isinstance(node, ast.withitem) and node.optional_vars:
        yield node.optional_vars, node.context_expr, False


def place_in(target: ast.expr, name: str) -> Pick | None:
    """Where a name stands in a target: () for the target itself, (1,) for the second of a tuple."""
    if isinstance(target, ast.Tuple | ast.List):
        for at, each in enumerate(target.elts):
            inner = place_in(each, name)
            if inner is not None:
                return (at, *inner)
        return None
    return () if isinstance(target, ast.Name | ast.Attribute) and ast.unparse(target) == name else None


def grows(node: ast.AST, name: str) -> bool:
    """Whether something is added to the list of this name."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("append", "extend", "insert")
        and ast.unparse(node.func.value) == name
    )
