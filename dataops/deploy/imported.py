"""What this process has imported: the code that ran, kept from the moment that `dataops` itself is imported."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType

_EXECUTED: dict[str, list[CodeType]] = {}


def executed_code(module: str) -> tuple[CodeType, ...]:
    """Every code that an import or a reload of a module ran here; empty where it was imported before `dataops`."""
    return tuple(_EXECUTED.get(module, ()))


def record_imports() -> None:
    """Keep the code of whatever is imported from here on, and that of the module which calls this."""
    caller = sys._getframe(1)
    _EXECUTED.setdefault(caller.f_globals["__name__"], []).append(caller.f_code)
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


class _Loader(SourceFileLoader):
    """Loads a module as Python does; afterwards neither its file nor the .pyc beside it tells for sure what ran."""

    def get_code(self, fullname: str) -> CodeType | None:
        code = super().get_code(fullname)
        if code:
            _EXECUTED.setdefault(fullname, []).append(code)
        return code


class _Finder:
    """Finds what the finders after it find."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        others = (of for of in sys.meta_path if of is not _Finder and hasattr(of, "find_spec"))
        spec = next(filter(None, (of.find_spec(name, path, target) for of in others)), None)
        if spec and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec
