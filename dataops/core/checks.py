"""Findings of a preflight: one value for each check, and where they are kept while they come in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypeAlias

import msgspec
import pymysql

from dataops.core.mysql import located_error
from dataops.errors import DataOpsError

Status: TypeAlias = Literal["ok", "warning", "failed", "not tried"]


class Check(msgspec.Struct, frozen=True):
    """One line of a preflight: what was checked on which side, what was found and what to do. No secret, no row value.

    `not tried` stands where an earlier check failed, or the service would not say.
    """

    side: str
    check: str
    status: Status
    found: str = ""
    remedy: str = ""


class Side:
    """The checks of one side; those in `names` that nothing was found of were not tried."""

    def __init__(self, name: str, names: Sequence[str]) -> None:
        self.name, self._names = name, names
        self._found: dict[str, Check] = {}

    def add(self, check: str, status: Status, found: str = "", remedy: str = "") -> bool:
        """Keep a finding; whether it is good enough to go on."""
        self._found[check] = Check(self.name, check, status, found, remedy if status != "ok" else "")
        return status in ("ok", "warning")

    @contextmanager
    def trying(self, check: str, remedy: str) -> Iterator[None]:
        """Within it an error of ours, or the driver's, is this check's failure."""
        try:
            yield
        except DataOpsError as error:
            self.add(check, "failed", str(error), remedy)
        except pymysql.MySQLError as error:
            self.add(check, "failed", str(located_error(self.name, error)), remedy)

    def checks(self) -> list[Check]:
        """All checks, in their order."""
        return [self._found.get(name) or Check(self.name, name, "not tried") for name in self._names]
