"""The state machine's definition with its functions' ARNs filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from dataops.errors import Permanent

DEFINITION = Path(__file__).parent.parent.parent / "stepfunctions" / "batch.asl.json"


def placeholder_of(function: str) -> str:
    """The placeholder that stands for a function: `dataops-rds-to-dynamodb` is `RdsToDynamodbArn`."""
    words = function.removeprefix("dataops-").split("-")
    return "".join(word.capitalize() for word in words) + "Arn"


def definition(arns: Mapping[str, str], path: Path = DEFINITION) -> str:
    """The definition with each `${...Arn}` replaced; `arns` maps function names to ARNs.

    Raises Permanent for a placeholder that no function fills.
    """
    values = {placeholder_of(function): arn for function, arn in arns.items()}
    text = path.read_text(encoding="utf-8")
    unknown = sorted(set(re.findall(r"\$\{([^}]*)\}", text)) - values.keys())
    if unknown:
        raise Permanent(f"{path.name}: no function for {unknown[0]}")
    return re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], text)
