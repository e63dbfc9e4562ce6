"""Which rule a proxy applies to what comes by: the first that picks it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Rules(Generic[Asked, Answer]):
    """Rules, and in `seen` what came by, in order."""

    def __init__(self, otherwise: Callable[[Asked], Answer]) -> None:
        self._otherwise, self._lock = otherwise, threading.Lock()
        self._rules: list[tuple[Callable[[Asked], bool], Callable[[Asked], Answer]]] = []
        self.seen: list[str] = []

    def clear(self) -> None:
        """Forget all rules and what was seen."""
        with self._lock:
            self._rules.clear()
            self.seen.clear()

    def add(
        self, rule: Callable[[Asked], Answer], when: Callable[[Asked], bool], times: Iterable[int] | None = None
    ) -> list[int]:
        """Let `rule` answer what `when` picks; with `times` only those of these numbers (0..).

        Gives a list that grows by one number for each answer that the rule has given.
        """
        wanted = None if times is None else frozenset(times)
        count, done = itertools.count(), list[int]()

        def picked(asked: Asked) -> bool:
            if not when(asked):
                return False
            number = next(count)
            if wanted is not None and number not in wanted:
                return False
            done.append(number)
            return True

        self._rules.append((picked, rule))
        return done

    def choose(self, asked: Asked, name: str) -> Callable[[Asked], Answer]:
        """The rule for what comes by under this name."""
        with self._lock:
            self.seen.append(name)
            return next((rule for picked, rule in self._rules if picked(asked)), self._otherwise)


def late(rule: Callable[[Asked], Answer], seconds: float) -> Callable[[Asked], Answer]:
    """What a rule gives, so much later."""

    def answer(asked: Asked) -> Answer:
        time.sleep(seconds)
        return rule(asked)

    return answer
