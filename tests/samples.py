"""Values that several tests start from."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from dataops.batch import Batch, parse_batch
from dataops.core.item import Attribute
from dataops.core.normalize import Codec
from dataops.core.records import Rejection
from dataops.core.schema import Column, Table, UniqueKey

ORDERS: dict[str, Any] = {
    "batch": "orders",
    "source": {"secret": "dataops/source", "table": "orders"},
    "dynamodb": {"table": "orders", "partition_key": "id"},
    "target": {"secret": "dataops/target", "table": "orders"},
}


def declared(**changes: Any) -> dict[str, Any]:
    """The orders batch as a mapping; `dynamodb__sort_key="b"` sets a nested key, None removes it."""
    batch = deepcopy(ORDERS)
    for path, value in changes.items():
        *parents, last = path.split("__")
        part = batch
        for parent in parents:
            part = part.setdefault(parent, {})
        if value is None:
            part.pop(last)
        else:
            part[last] = value
    return batch


def batch_of(**changes: Any) -> Batch:
    """The orders batch with changes."""
    return parse_batch(declared(**changes))


def column(name: str, mysql_type: str, nullable: bool = True) -> Column:
    """A column of a MySQL type."""
    return Column(name, mysql_type.split("(")[0].split(" ")[0], mysql_type, nullable)


def table_of(*columns: Column, key: tuple[str, ...] = ("id",), name: str = "orders") -> Table:
    """A table with an `id` column (unless there is one) and a primary key."""
    first = () if any(of.name == "id" for of in columns) else (column("id", "int(11)", nullable=False),)
    return Table("shop", name, (*first, *columns), (UniqueKey("PRIMARY", key),))


def codec_of(
    mysql_type: str, nullable: bool = True, transform: Any = None, target: Table | None = None, **changes: Any
) -> Codec:
    """The codec of a table with a column `v`, for the orders batch with changes."""
    return Codec(batch_of(**changes), table_of(column("v", mysql_type, nullable)), target, transform)


def stored(mysql_type: str, raw: Any, nullable: bool = True, **changes: Any) -> Attribute | Rejection | None:
    """The attribute that a raw value of a column `v` becomes, or the rejection."""
    item = codec_of(mysql_type, nullable, **changes).encode(("1", raw))
    return item.get("v") if isinstance(item, dict) else item
