"""What happens to a customer on the way."""

from __future__ import annotations

from typing import Any


def enrich(row: dict[str, Any]) -> dict[str, Any] | None:
    """Drop customers who have left; add `age_band`, the decade of birth, from their birthday."""
    if not row["is_active"]:
        return None
    birthday = row["birthday"]
    return {**row, "age_band": f"{birthday[:3]}0s" if birthday else None}
