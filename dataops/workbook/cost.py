"""What AWS bills: DynamoDB's units for items of a size, and list prices in dollars. Pure; on-demand tables, standard class.

Sources: AWS, "DynamoDB read and write operations", and the pricing pages of DynamoDB (since November 2024), Lambda (first
tier) and Step Functions (Standard), all for us-east-1 and without what is free.
"""

from __future__ import annotations

import msgspec

WRITE_BYTES, READ_BYTES, STORED_BYTES = 1024, 4096, 100
"""Bytes of a write unit and of a consistent read unit; bytes that storage and each index add to every item."""
GIGABYTE, MILLION, DAYS = 10**9, 1_000_000, 30


class Prices(msgspec.Struct, frozen=True):
    """Dollars: a million write units, a million read units, a GB stored for a month; a million transitions; a million
    invocations, a million GB-seconds by processor. `factor` is a region's."""

    write: float = 0.625
    read: float = 0.125
    storage: float = 0.25
    transition: float = 25.0
    invocation: float = 0.20
    gb_second: float = 16.6667
    gb_second_arm: float = 13.3334
    factor: float = 1.0

    def writes(self, units: float) -> float:
        """Dollars for write units."""
        return self.factor * self.write * units / MILLION

    def reads(self, units: float) -> float:
        """Dollars for read units."""
        return self.factor * self.read * units / MILLION

    def stored(self, size: float) -> float:
        """Dollars a month for bytes stored."""
        return self.factor * self.storage * size / GIGABYTE

    def transitions(self, count: int) -> float:
        """Dollars for state transitions."""
        return self.factor * self.transition * count / MILLION

    def invocations(self, count: int) -> float:
        """Dollars for calls of functions, without their time."""
        return self.factor * self.invocation * count / MILLION

    def functions(self, gb_seconds: float, architecture: str = "x86_64") -> float:
        """Dollars for the time of functions."""
        price = self.gb_second_arm if architecture == "arm64" else self.gb_second
        return self.factor * price * gb_seconds / MILLION


def write_units_of(size: int) -> int:
    """Write units of an item of `size` bytes: one for each KB begun."""
    return max(1, -(-size // WRITE_BYTES))


def read_units_of(size: float, consistent: bool = False) -> float:
    """Read units of `size` bytes read together: half a unit for each 4 KB begun, a whole one when consistent."""
    return max(1.0, float(-(-int(size) // READ_BYTES))) * (1.0 if consistent else 0.5)


def dollars(amount: float) -> str:
    """An amount to read: cents where they say something, else as many digits as it takes."""
    if not amount:
        return "0"
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.2g}" if amount >= 0.0001 else "< 0.0001"
