"""The columns, keys and ties of a MySQL table, as values. Pure; `dataops.core.describe` reads them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Literal, TypeAlias

import msgspec

from dataops.batch import did_you_mean
from dataops.errors import SchemaMismatch

Kind: TypeAlias = Literal[
    "integer", "bit", "decimal", "float", "double", "text", "json", "temporal", "binary", "geometry"
]

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), "integer"),
    **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"), "text"),
    **dict.fromkeys(("date", "datetime", "timestamp", "time"), "temporal"),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), "binary"),
    **dict.fromkeys(("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring"), "geometry"),
    **dict.fromkeys(("multipolygon", "geometrycollection", "geomcollection"), "geometry"),
    **dict.fromkeys(("uuid", "inet4", "inet6"), "text"),
    "bit": "bit", "decimal": "decimal", "float": "float", "double": "double", "json": "json",
}  # fmt: skip


class Column(msgspec.Struct, frozen=True):
    """One column. `column_type` is MySQL's own text, such as `decimal(12,2) unsigned`.

    `charset` is the character set of a text, `length` the most characters or bytes that a text or binary holds.
    `by_bytes` marks a key column whose collation does not tell all rows apart: it is ordered by its bytes.
    """

    name: str
    data_type: str
    column_type: str
    nullable: bool = True
    generated: bool = False
    has_default: bool = False
    auto_increment: bool = False
    is_json: bool = False
    charset: str | None = None
    length: int | None = None
    by_bytes: bool = False

    @property
    def kind(self) -> Kind:
        """The family that decides how a value is stored. Raises SchemaMismatch for a type nobody knows."""
        if self.is_json:
            return "json"
        kind = _KINDS.get(self.data_type)
        if kind is None:
            raise SchemaMismatch(f"column {self.name}: type {self.column_type} is not supported")
        return kind

    @property
    def members(self) -> tuple[str, ...]:
        """The texts that an ENUM or SET may hold, in the order of its definition."""
        quoted = re.findall(r"'((?:[^']|'')*)'", self.column_type) if self.data_type in ("enum", "set") else []
        return tuple(name.replace("''", "'") for name in quoted)

    @property
    def fraction(self) -> int:
        """Digits of a fraction of a second in a temporal value."""
        digits = re.search(r"\((\d)\)", self.column_type)
        return int(digits[1]) if digits else 0

    @property
    def spelled(self) -> str:
        """The type for a message, cut where the members of an ENUM or SET make it long."""
        text = self.column_type if len(self.column_type) <= 100 else f"{self.column_type[:97]}..."
        return f"{text} (JSON)" if self.is_json and self.data_type != "json" else text

    @property
    def can_key(self) -> bool:
        """Whether the column can be part of a DynamoDB key."""
        return self.kind not in ("json", "geometry")

    @property
    def precision(self) -> int:
        """Digits of a DECIMAL in all (65 where the type does not say)."""
        digits = re.search(r"\((\d+)", self.column_type)
        return int(digits[1]) if digits else 65


class UniqueKey(msgspec.Struct, frozen=True):
    """A primary or unique key."""

    name: str
    columns: tuple[str, ...]


class ForeignKey(msgspec.Struct, frozen=True):
    """A foreign key of `table` to `references`, with its referential actions.

    An outgoing one also has its `columns`, each with the one it refers to, and the `database` of the table referred to.
    """

    name: str
    table: str
    references: str
    on_delete: str
    on_update: str
    columns: tuple[tuple[str, str], ...] = ()
    database: str = ""


class Table(msgspec.Struct, frozen=True):
    """A table's definition: `keys` holds the primary key first, then unique keys; prefix keys are left out."""

    database: str
    name: str
    columns: tuple[Column, ...]
    keys: tuple[UniqueKey, ...] = ()
    outgoing: tuple[ForeignKey, ...] = ()
    incoming: tuple[ForeignKey, ...] = ()
    triggers: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        """The column called `name`. Raises SchemaMismatch with a near name."""
        for column in self.columns:
            if column.name == name:
                return column
        near = did_you_mean(name, [column.name for column in self.columns])
        raise SchemaMismatch(f"column '{name}' is not in table {self.name}{near}")

    def has(self, name: str) -> bool:
        """Whether the table has a column called `name`."""
        return any(column.name == name for column in self.columns)

    @property
    def row_key(self) -> UniqueKey | None:
        """The first key that tells all rows apart: the primary key, else a unique key without NULLs."""
        return next(self._sound_keys(), None)

    def key_within(self, columns: Collection[str]) -> UniqueKey | None:
        """The first key that tells all rows apart by these columns, and by what the table generates from them."""
        found = (
            key for key in self._sound_keys() if all(of in columns or self.column(of).generated for of in key.columns)
        )
        return next(found, None)

    def tells_apart(self, columns: Iterable[str]) -> bool:
        """Whether a unique key says that no two rows are alike in these columns."""
        return any(set(key.columns) <= set(columns) for key in self._sound_keys())

    def _sound_keys(self) -> Iterator[UniqueKey]:
        return (key for key in self.keys if not any(self.column(name).nullable for name in key.columns))


def declared_column(name: str, mysql_type: str, nullable: bool = True) -> Column:
    """The column of that name and MySQL type, such as `varchar(20)`, that no table holds yet."""
    parts = re.split(r"('(?:[^']|'')*')", mysql_type.strip())
    column_type = "".join(part if part.startswith("'") else part.lower() for part in parts)
    data_type = re.split(r"[ (]", column_type, maxsplit=1)[0]
    aliases = {
        "integer": "int",
        "bool": "tinyint",
        "boolean": "tinyint",
        "numeric": "decimal",
        "dec": "decimal",
        "real": "double",
    }
    return Column(name, aliases.get(data_type, data_type), column_type, nullable)
