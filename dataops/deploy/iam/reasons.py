"""The reasons that a template's writer gives for what is wide: comments in the line above it."""

from __future__ import annotations

import re

import yaml

_WORDS = 3
"""Fewer are no reason."""


class Reasons:
    """The comments of a template's text, by the place of what they stand above."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._root = yaml.compose(text)

    def given(self, path: tuple[str | int, ...]) -> bool:
        """Whether a comment of a few words stands above what is there, or above the condition that it is under."""
        node, lines = self._root, list[int]()
        for step in path:
            parts = _parts_of(node)
            if step not in parts:
                return False
            node = parts[step]
            lines = [*lines, node.start_mark.line] if isinstance(step, int) else [node.start_mark.line]
        return any(self._is_reason(line - 1) for line in lines)

    def _is_reason(self, number: int) -> bool:
        line = self._lines[number].lstrip() if number >= 0 else ""
        return line.startswith("#") and len(re.findall(r"[^\W\d_]{2,}", line)) >= _WORDS


def _parts_of(node: yaml.Node | None) -> dict[str | int, yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return dict(enumerate(node.value))
    return {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
