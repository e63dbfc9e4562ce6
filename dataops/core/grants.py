"""What a MySQL user may do on a database, from SHOW GRANTS, and what the batch needs of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dataops.core.mysql import execute

if TYPE_CHECKING:
    from pymysql.connections import Connection

READ = frozenset({"SELECT"})
HARMLESS = frozenset(
    {"USAGE", "SHOW VIEW", "SHOW DATABASES", "PROCESS", "REPLICATION CLIENT", "TRIGGER", "SLAVE MONITOR"}
)
"""What a source user may have beside SELECT without being able to change anything."""
CHANGING = ("ALL PRIVILEGES", "INSERT", "UPDATE", "DELETE", "DROP", "ALTER", "CREATE")
"""Those that a person should hear of first."""
WRITE = {
    "swap": frozenset({"SELECT", "INSERT", "DELETE", "CREATE", "DROP", "ALTER"}),
    "upsert": frozenset({"SELECT", "INSERT", "DELETE", "UPDATE", "CREATE", "DROP"}),
}
"""By mode. Staging is made with CREATE, filled by REPLACE (INSERT, DELETE), and put in place by RENAME (ALTER, DROP) or merged.

A target that is yet to be made is put in place by RENAME in either mode.
"""

_GRANT = re.compile(
    r"GRANT (?P<what>.+?) ON (?:TABLE )?(?P<database>`(?:[^`]|``)*`|\*)\.(?P<table>`(?:[^`]|``)*`|\*) TO "
)


def show_grants(connection: Connection) -> list[str]:
    """The grants of this session's user, those of its active roles among them."""
    ((version,),) = execute(connection, "SELECT VERSION()")
    of = ""
    if "mariadb" not in version.lower() and not version.startswith("5."):  # MariaDB shows a role's by itself
        ((roles,),) = execute(connection, "SELECT CURRENT_ROLE()")
        of = "" if roles == "NONE" else f" FOR CURRENT_USER() USING {roles.replace('%', '%%')}"
    return [row[0] for row in execute(connection, f"SHOW GRANTS{of}")]


def privileges(grants: Iterable[str], database: str, table: str | None = None) -> frozenset[str]:
    """The privileges that these grants give on a whole database, or on one table; `ALL PRIVILEGES` is one of them.

    A privilege on some columns of a table only counts for none.
    """
    found: set[str] = set()
    for grant in grants:
        match = _GRANT.match(grant)
        if match and _covers(match["database"], match["table"], database, table):
            found |= {what for what in re.split(r", ?(?![^(]*\))", match["what"]) if "(" not in what}
    return frozenset(found)


def wider(held: frozenset[str]) -> list[str]:
    """What is held beyond what reading takes, those that change data first."""
    extra = held - READ - HARMLESS
    return [*(name for name in CHANGING if name in extra), *sorted(extra.difference(CHANGING))]


def missing(held: frozenset[str], needed: frozenset[str]) -> list[str]:
    """The privileges that are needed and not held, in alphabetical order."""
    return [] if "ALL PRIVILEGES" in held else sorted(needed - held)


def _covers(granted: str, on: str, database: str, table: str | None) -> bool:
    if granted != "*" and not _matches(_unquote(granted), database, pattern=on == "*"):
        return False
    return on == "*" or (table is not None and _unquote(on).lower() == table.lower())


def _matches(granted: str, database: str, pattern: bool) -> bool:
    """A grant on a database takes `_` and `%` as wildcards, unless a backslash stands before them."""
    if not pattern:
        return granted.lower() == database.lower()
    signs = {"_": ".", "%": ".*"}
    parts = re.findall(r"\\[_%\\]|.", granted, re.DOTALL)
    text = "".join(signs.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(text, database, re.IGNORECASE | re.DOTALL) is not None


def _unquote(name: str) -> str:
    return name[1:-1].replace("``", "`")
