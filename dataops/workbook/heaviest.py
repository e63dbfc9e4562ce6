"""The heaviest of very many keys, in bounded memory: exact while there are few, and never too low afterwards."""

from __future__ import annotations

from typing import NamedTuple

from dataops.core.item import Attribute

ROOM = 10_000


class Load(NamedTuple):
    """What falls on a key: write units, bytes and items."""

    units: float
    size: float
    items: float

    def plus(self, other: Load) -> Load:
        """The sum of both."""
        return Load(self.units + other.units, self.size + other.size, self.items + other.items)


class Heavy(NamedTuple):
    """A key with its load, which is at least the true one."""

    attribute: Attribute
    load: Load


class Heaviest:
    """Sums of `Load` by key. Beyond 20,000 keys the lighter half is forgotten (Misra and Gries, 1982).

    What was forgotten of a key is at most `_missed`, which is added to what is told: a share is never told too low.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room, self._loads, self._missed = room, dict[bytes, Heavy](), Load(0, 0, 0)

    def add(self, key: bytes, load: Load, attribute: Attribute) -> None:
        """Add a load to a key, whose `attribute` is kept to show it."""
        held = self._loads.get(key)
        self._loads[key] = Heavy(attribute, held.load.plus(load) if held else load)
        if len(self._loads) > 2 * self._room:
            self._forget()

    def hottest(self) -> Heavy | None:
        """The key with the most units and, at most, its load."""
        if not self._loads:
            return None
        heavy = max(self._loads.values(), key=lambda of: of.load.units)
        return Heavy(heavy.attribute, heavy.load.plus(self._missed))

    @property
    def exact(self) -> bool:
        """Whether nothing was forgotten."""
        return not self._missed.units

    @property
    def distinct(self) -> int:
        """How many keys there are; at least so many when not exact."""
        return len(self._loads)

    def _forget(self) -> None:
        ordered = sorted(self._loads.items(), key=lambda entry: -entry[1].load.units)
        lighter = [of.load for _, of in ordered[self._room :]]
        most = Load(max(of.units for of in lighter), max(of.size for of in lighter), max(of.items for of in lighter))
        self._loads, self._missed = dict(ordered[: self._room]), self._missed.plus(most)
