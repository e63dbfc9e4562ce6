"""The DynamoDB table and its indexes as they will show a batch's items, with what that takes."""

from __future__ import annotations

from dataops.batch import Batch, Include, Index, key_name
from dataops.core.item import Item, canonical_attribute, item_size
from dataops.workbook.cost import read_units_of, write_units_of
from dataops.workbook.heaviest import Heaviest, Load


class View:
    """The table, or an index as it shows the items: what it holds, and the units and bytes of that."""

    def __init__(self, batch: Batch, index: Index | None) -> None:
        self.name = index.name if index else batch.dynamodb.table
        self.index, self._stamp = index, batch.stamp
        self.keys = tuple(key_name(key) for key in (index or batch.dynamodb).keys)
        self.projection = index.projection if index else "ALL"
        table_keys = tuple(key_name(key) for key in batch.dynamodb.keys)
        more = self.projection.include if isinstance(self.projection, Include) else ()
        self._shown = None if self.projection == "ALL" else {*self.keys, *table_keys, *more}
        self.items = self.bytes = self.load_units = 0
        self.read_units = 0.0
        self.partitions = Heaviest()

    def show(self, item: Item) -> Item | None:
        """The item as it is seen here; None where it lacks a key of the index."""
        if any(name not in item for name in self.keys):
            return None
        return item if self._shown is None else {name: of for name, of in item.items() if name in self._shown}

    def add(self, item: Item) -> None:
        """Count an item."""
        shown = self.show(item)
        if shown is None:
            return
        size = item_size(shown)
        units = write_units_of(size)
        self.items += 1
        self.bytes += size
        self.load_units += units
        self.read_units += read_units_of(size)
        self.partitions.add(canonical_attribute(item[self.keys[0]]), Load(units, size, 1), item[self.keys[0]])

    @property
    def refresh_units(self) -> int:
        """Write units of a full refresh that changes no value: an index is written only where it shows the stamp."""
        rewritten = self.index is None or self.projection == "ALL" or self._shown is None
        return self.load_units if rewritten or self._stamp in (self._shown or ()) else 0

    @property
    def stamp_units(self) -> int:
        """Those of them that only the new stamp causes: a put of the same item would not touch an index."""
        return self.refresh_units if self.index else 0

    @property
    def what(self) -> str:
        """The projection in words."""
        if self.index is None:
            return "table"
        return f"INCLUDE {', '.join(of.include)}" if isinstance(of := self.projection, Include) else of
