"""Pace: how fast DynamoDB is used, and how long a call that it turns away is repeated. Pure: clocks come in."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from dataops.core.stopwatch import Wait

BASE_SECONDS, CAP_SECONDS, ATTEMPTS, PATIENCE_SECONDS = 0.05, 5.0, 9, 20.0
"""Nine attempts wait 11 s at most and half of it on average; after 20 s, with slow replies, no other is made."""

LESS, STEP, SPAN_SECONDS, LEAST, PARTITION = 0.7, 0.05, 1.0, 1.0, 1000.0
"""A throttled limiter goes on with 0.7 of its rate, at most once a second, and gains 0.05 of its ceiling each second.

It never goes below one unit a second, so that what is spent always comes through. A partition serves 1,000 write units
a second (AWS, "Best practices for designing and using partition keys"): the least ceiling where none was set.
"""

QUICK_SECONDS, SLOW_SECONDS = 1.0, 4.0


class Limiter:
    """A token bucket of read or write units: `spend` waits while it is in debt. It holds one second's worth.

    `most` is in units a second; None never waits unless DynamoDB throttles. Throttled, the rate decreases by a factor
    and increases by steps ("AIMD") until it is back at its ceiling: `most`, or what passed before the throttling.
    """

    def __init__(
        self,
        most: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.most, self.rate, self._clock, self._sleep = most, most, clock, sleep
        self._tokens = self._ceiling = most or 0.0
        self._filled = self._since = clock()
        self._slowed, self._spent = -SPAN_SECONDS, 0.0

    def spend(self, units: float) -> None:
        """Take units from the bucket, before or after their use, and wait until none are owed."""
        self._fill()
        self._spent += units
        self._tokens -= units
        while self.rate is not None and self._tokens < -1e-9:
            with Wait("limit" if self.rate == self.most else "throttling"):
                self._sleep(min(-self._tokens / self.rate, SPAN_SECONDS))
            self._fill()

    def slow_down(self) -> None:
        """DynamoDB has throttled: go on at a lower rate."""
        self._fill()
        if self._filled - self._slowed < SPAN_SECONDS:
            return
        if self.rate is None:
            passed = self._spent / max(self._filled - self._since, SPAN_SECONDS)
            self.rate = self._ceiling = max(passed, PARTITION)
        self.rate = max(self.rate * LESS, min(LEAST, self.most or LEAST))
        self._slowed, self._tokens = self._filled, min(self._tokens, 0.0)

    def _fill(self) -> None:
        """What has passed since the last time: tokens, and a throttled rate's recovery."""
        now = self._clock()
        passed, self._filled = now - self._filled, now
        if self.rate is not None:
            self._tokens = min(self.rate, self._tokens + passed * self.rate)
            rate = self.rate + passed * STEP * self._ceiling
            self.rate = rate if rate < self._ceiling else self.most
        if self.rate is None:
            self._tokens = 0.0
            if now - self._since > SPAN_SECONDS:
                self._since, self._spent = now, 0.0


class Patience:
    """Waits between the attempts of one call: a random time from none up to a limit that doubles ("full jitter").

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._clock, self._sleep, self._uniform = clock, sleep, uniform
        self.begin_again()

    def begin_again(self) -> None:
        """Something came through: what is left has all its attempts before it."""
        self.attempts, self._began = 1, self._clock()

    def wait(self) -> bool:
        """Wait before the next attempt; False, at once, when there is to be none."""
        if self.attempts >= ATTEMPTS or self._clock() - self._began >= PATIENCE_SECONDS:
            return False
        with Wait("throttling"):
            self._sleep(self._uniform(0.0, min(CAP_SECONDS, BASE_SECONDS * 2.0 ** (self.attempts - 1))))
        self.attempts += 1
        return True


class PageSize:
    """How many rows a page holds: twice as many after a page that took less than a second, four times as many after one
    of less than a quarter, half after a slow one.

    Large pages save what each page costs besides its rows; a page is done again where it is interrupted, so none takes long.
    """

    def __init__(self, least: int, most: int) -> None:
        self.rows, self._least, self._most = least, least, max(least, most)

    def learn(self, seconds: float) -> None:
        """A page has taken so long."""
        if seconds < QUICK_SECONDS:
            self.rows = min((4 if seconds < QUICK_SECONDS / 4 else 2) * self.rows, self._most)
        elif seconds > SLOW_SECONDS:
            self.rows = max(self.rows // 2, self._least)
