"""A page of a source table as item texts, and the plain way to one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from dataops.core.digest import add_digest, canonical_item
from dataops.core.item import Item, parse_item
from dataops.core.normalize import Codec, Row
from dataops.core.records import Rejection

if TYPE_CHECKING:
    from dataops.core.mysql import PlainReader


@dataclass
class EncodedPage:
    """What a page of rows gave: the texts of its items (see `item_text`) in order, and what became of other rows.

    `digest` is that of the texts which `add_up` has seen. `unusual` rows did not go through the row function. `key` is that
    of the last row, None where there was none. `row_of` finds the row of a text by its place; `items` are there where they
    were made on the way.
    """

    rows: int = 0
    texts: list[bytes] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    digest: str = "0"
    dropped: int = 0
    unusual: int = 0
    emptied: Counter[str] = field(default_factory=Counter)
    key: tuple[Any, ...] | None = None
    row_of: Callable[[int], Row] = lambda place: ()
    items: list[Item] | None = None
    _added: int = field(default=0, init=False, repr=False)

    def add_up(self) -> None:
        """Have the texts that are new in the digest: best at once, while the processor has them at hand."""
        self.digest = add_digest(self.digest, self.texts[self._added :])
        self._added = len(self.texts)

    def all_items(self) -> list[Item]:
        """The items of all texts."""
        return self.items if self.items is not None else list(map(parse_item, self.texts))


class Source(Protocol):
    """Gives the pages of a table. Up to `most_rows` are not too many for a page, 0 where that is for others to say."""

    most_rows: int

    def read(self, after: Sequence[Any] | None, upto: Sequence[Any] | None, limit: int) -> EncodedPage:
        """The next page: at most `limit` rows in key order, with keys over `after` and not over `upto`."""


class PlainSource:
    """Pages by the plain reader and the plain codec: the oracle of `WireSource`, and its stand-in."""

    most_rows = 0

    def __init__(self, reader: PlainReader, codec: Codec) -> None:
        self._reader, self._codec = reader, codec

    def read(self, after: Sequence[Any] | None, upto: Sequence[Any] | None, limit: int) -> EncodedPage:
        """The next page."""
        codec, page = self._codec, EncodedPage()
        rows = self._reader.read(after, upto, limit)
        results = [codec.encode(row, page.emptied) for row in rows]
        stored = [row for row, result in zip(rows, results, strict=True) if isinstance(result, dict)]
        page.items = [result for result in results if isinstance(result, dict)]
        page.texts = [canonical_item(item, codec.attributes) for item in page.items]
        page.rejections = [result for result in results if isinstance(result, Rejection)]
        page.rows, page.dropped, page.row_of = len(rows), results.count(None), stored.__getitem__
        page.key = self._reader.key_of(rows[-1]) if rows else None
        page.add_up()
        return page
