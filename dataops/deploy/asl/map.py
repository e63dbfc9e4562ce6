"""A Map: how its items are read, batched and processed, and how many may fail.

Where AWS's own refusals are known, they are errors: numbers below zero or over their limit, a number and its path
together, paths that are no reference paths (github.com/floci-io/floci/issues/3733), an ItemReader without Resource and an
empty ResultWriter (developer guide). A warning is what the specification or the guide excludes without saying that it is
refused: an ItemBatcher without a limit, thresholds and a label of an inline map.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dataops.deploy.asl.fields import LONGEST_SECONDS, Fault, check_exclusive, check_whole
from dataops.deploy.asl.resource import is_resource
from dataops.deploy.asl.templates import check_paths

MOST_ITEMS = 100_000_000
_LABEL = re.compile(r"""[^\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,40}""")
_UNHEARD = ("Label", "ToleratedFailurePercentage", "ToleratedFailurePercentagePath",
            "ToleratedFailureCount", "ToleratedFailureCountPath")  # fmt: skip


def check_map(state: dict[str, Any], at: str, language: str, _states: Mapping[str, Any]) -> Iterator[Fault]:
    """Faults of a Map, besides those of the states inside it."""
    yield from check_exclusive(state, ("ItemProcessor", "Iterator"), at, required=True)
    yield from check_exclusive(state, ("Parameters", "ItemSelector"), at, required=False)
    yield from _check_number(state, "MaxConcurrency", at, LONGEST_SECONDS)
    yield from _check_number(state, "ToleratedFailureCount", at)
    yield from _check_percentage(state, at)
    label = state.get("Label", "x")
    if not isinstance(label, str) or not _LABEL.fullmatch(label):
        yield Fault(f"{at}.Label", "expected 1 to 40 characters without spaces, brackets and special characters")
    yield from _check_processor(state, at)
    yield from _check_reader(state, at, language)
    yield from _check_batcher(state, at, language)
    if state.get("ResultWriter", True) == {}:
        yield Fault(f"{at}.ResultWriter", "expected Resource with its parameters, or WriterConfig, or both")


def _check_number(of: Mapping[str, Any], name: str, at: str, most: int | None = None) -> Iterator[Fault]:
    yield from check_exclusive(of, (name, f"{name}Path"), at, required=False)
    yield from check_whole(of, name, f"{at}.", 0, most)


def _check_percentage(state: Mapping[str, Any], at: str) -> Iterator[Fault]:
    name = "ToleratedFailurePercentage"
    yield from check_exclusive(state, (name, f"{name}Path"), at, required=False)
    value = state.get(name, 0)
    if isinstance(value, str) and value.startswith(("{%", "${")):
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        yield Fault(f"{at}.{name}", "expected a number of 0 to 100")


def _check_processor(state: Mapping[str, Any], at: str) -> Iterator[Fault]:
    name = "ItemProcessor" if "ItemProcessor" in state else "Iterator"
    processor = state.get(name)
    if processor is not None and not isinstance(processor, dict):
        yield Fault(f"{at}.{name}", "expected an object with StartAt and States")
    config = processor.get("ProcessorConfig", {}) if isinstance(processor, dict) else {}
    mode = config.get("Mode", "INLINE") if isinstance(config, dict) else None
    if mode not in ("INLINE", "DISTRIBUTED"):
        yield Fault(f"{at}.{name}.ProcessorConfig.Mode", "expected INLINE or DISTRIBUTED")
    if mode == "DISTRIBUTED" and config.get("ExecutionType") not in ("STANDARD", "EXPRESS"):
        yield Fault(f"{at}.{name}.ProcessorConfig.ExecutionType", "required in a distributed map: STANDARD or EXPRESS")
    for only in ("ItemReader", "ItemBatcher", "ResultWriter", *_UNHEARD):
        if mode == "INLINE" and only in state:
            level = "warning" if only in _UNHEARD else "error"
            yield Fault(f"{at}.{only}", "is for a distributed map only", level)


def _check_reader(state: Mapping[str, Any], at: str, language: str) -> Iterator[Fault]:
    reader, place = state.get("ItemReader"), f"{at}.ItemReader"
    if not isinstance(reader, dict):
        if "ItemReader" in state:
            yield Fault(place, "expected an object with Resource")
        return
    if not isinstance(reader.get("Resource"), str) or not is_resource(reader["Resource"]):
        yield Fault(f"{place}.Resource", "required: an ARN, or a ${Placeholder} that stands for one")
    config = reader.get("ReaderConfig", {})
    if isinstance(config, dict):
        yield from _check_number(config, "MaxItems", f"{place}.ReaderConfig", MOST_ITEMS)
        yield from _check_paths(config, f"{place}.ReaderConfig", language)
    else:
        yield Fault(f"{place}.ReaderConfig", "expected an object")


def _check_batcher(state: Mapping[str, Any], at: str, language: str) -> Iterator[Fault]:
    batcher, place = state.get("ItemBatcher"), f"{at}.ItemBatcher"
    if not isinstance(batcher, dict):
        if "ItemBatcher" in state:
            yield Fault(place, "expected an object with MaxItemsPerBatch or MaxInputBytesPerBatch")
        return
    yield from _check_number(batcher, "MaxItemsPerBatch", place)
    yield from _check_number(batcher, "MaxInputBytesPerBatch", place)
    yield from _check_paths(batcher, place, language)
    if not any(name.startswith("Max") for name in batcher):
        yield Fault(
            place, "has neither MaxItemsPerBatch nor MaxInputBytesPerBatch, so nothing bounds a batch", "warning"
        )


def _check_paths(config: Mapping[str, Any], at: str, language: str) -> Iterator[Fault]:
    given = {name: value for name, value in config.items() if name.endswith("Path")}
    if language == "JSONPath":
        yield from check_paths(given, at)
        return
    for name in given:
        yield Fault(f"{at}.{name}", f"is not for a state whose query language is {language}")
