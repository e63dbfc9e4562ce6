"""What a comparison of the three stores gives: differences, and their counts."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import msgspec

from dataops.core.convert import Raw
from dataops.core.item import Attribute, Item
from dataops.core.normalize import Row

Store: TypeAlias = Literal["dynamodb", "target"]
Kind: TypeAlias = Literal["missing", "extra", "different"]
STORES: tuple[Store, ...] = ("dynamodb", "target")
KINDS: tuple[Kind, ...] = ("missing", "extra", "different")


class Difference(NamedTuple):
    """One key under which a store does not hold what the source says, and the columns that differ.

    `expected` is the item or target row that should be there; `found` the item that is there, or the key values of
    the target row that is there; `cells` are what is expected and what is found in each of `columns`.
    """

    store: Store
    kind: Kind
    key: dict[str, str | None]
    columns: tuple[str, ...] = ()
    expected: Item | Row | None = None
    found: Item | Row | None = None
    cells: tuple[tuple[Attribute | Raw, Attribute | Raw], ...] = ()


class Tally(msgspec.Struct):
    """How many rows and items there are, and how many keys differ, by store and kind.

    `expected` are the items and target rows that the source's rows stand for; `outside` rows lie outside the
    partition that the target reads.
    """

    source_rows: int = 0
    dynamodb_items: int = 0
    target_rows: int = 0
    dropped: int = 0
    rejected: int = 0
    outside: int = 0
    expected: dict[Store, int] = msgspec.field(default_factory=lambda: dict.fromkeys(STORES, 0))
    counts: dict[Store, dict[Kind, int]] = msgspec.field(
        default_factory=lambda: {store: dict.fromkeys(KINDS, 0) for store in STORES}
    )

    @property
    def differences(self) -> int:
        """How many keys differ in all."""
        return sum(count for kinds in self.counts.values() for count in kinds.values())
