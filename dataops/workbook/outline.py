"""A long text in titled parts that unfold: all of it is there, and only what is to be read first takes room."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_SUMMARY = "cursor:pointer;padding:3px 0"
_TEXT = (
    "font:12px/1.45 ui-monospace,monospace;white-space:pre;overflow:auto;max-height:30em;margin:2px 0 8px 1em;"
    "padding:6px 10px;border-left:2px solid rgba(138,147,160,.6)"
)


class Part(NamedTuple):
    """A part of a text; `is_open` when it is shown unfolded."""

    title: str
    text: str
    is_open: bool = False

    @property
    def heading(self) -> str:
        """The title with the number of lines."""
        lines = len(self.text.splitlines())
        return f"{self.title} ({lines:,} line{'s' if lines != 1 else ''})"


class Outline:
    """Parts under a caption; in a notebook each unfolds by a click, as plain text only the open ones are told."""

    def __init__(self, caption: str, parts: Sequence[Part]) -> None:
        self.caption, self.parts = caption, tuple(parts)

    def _repr_html_(self) -> str:
        body = "\n".join(map(_unfolding, self.parts))
        return f'<div style="font:13px system-ui,sans-serif;margin:4px 0">{escape(self.caption)}\n{body}</div>'

    def __repr__(self) -> str:
        lines = [self.caption]
        for part in self.parts:
            lines.append(f"{'▾' if part.is_open else '▸'} {part.heading}")
            lines += [f"    {line}" for line in part.text.splitlines()] if part.is_open else []
        return "\n".join(lines)


def _unfolding(part: Part) -> str:
    return (
        f"<details{' open' if part.is_open else ''}>"
        f'<summary style="{_SUMMARY}">{escape(part.heading)}</summary>\n'
        f'<pre style="{_TEXT}">{escape(part.text)}</pre></details>'
    )
