"""Schedule expressions of EventBridge: what `cron`, `rate` and `at` mean, and when they fire. Pure; no AWS.

Grammar and meaning are those of the EventBridge and EventBridge Scheduler user guides. A rule runs in UTC; a time zone
makes an expression one of Scheduler, which alone knows `at`, may leave out the year and takes `rate(1 days)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from typing import TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from dataops._wording import did_you_mean
from dataops.deploy.cron import EVERY, FIELDS, WEEKDAYS, Cron, Days, Special, parse_cron
from dataops.errors import BatchFileError

LONGEST = 256
"""Characters of an expression, as EventBridge limits them."""
NTH = ("first", "second", "third", "fourth", "fifth")
ABBREVIATIONS = {
    "JST": "Asia/Tokyo", "KST": "Asia/Seoul", "IST": "Asia/Kolkata", "BST": "Europe/London", "CEST": "Europe/Berlin",
    "PST": "America/Los_Angeles",
}  # fmt: skip
"""What people write for a time zone, where IANA has no such name."""


@dataclass(frozen=True)
class Rate:
    """So much time after the schedule was made, and again and again."""

    count: int
    unit: str

    @property
    def every(self) -> timedelta:
        """The time between two firings."""
        return timedelta(**{f"{self.unit}s": self.count})

    def spell(self) -> str:
        """The expression as a rule takes it: the singular for 1, else the plural."""
        return f"rate({self.count} {self.unit}{'' if self.count == 1 else 's'})"


@dataclass(frozen=True)
class At:
    """Once, at a local time."""

    moment: datetime


Schedule: TypeAlias = Cron | Rate | At


def parse_schedule(expression: str, timezone: str = "") -> Schedule:
    """What an expression means. Raises BatchFileError, which says which field is wrong and why."""
    find_zone(timezone)
    text = expression.strip()
    if len(text) > LONGEST:
        raise BatchFileError(f"schedule: expected at most {LONGEST} characters, found {len(text)}")
    found = re.fullmatch(r"(cron|rate|at)\((.*)\)", text, re.DOTALL)
    if not found:
        lone = " (wrap the fields: cron(...))" if len(text.split()) in (5, 6) and "(" not in text else ""
        raise BatchFileError(f"schedule: expected cron(...), rate(...) or at(...), found another text{lone}")
    if found[1] == "cron":
        return parse_cron(found[2], bool(timezone))
    return _parse_rate(found[2], bool(timezone)) if found[1] == "rate" else _parse_at(found[2], bool(timezone))


def list_hints(expression: str, timezone: str = "") -> list[str]:
    """What a valid expression may not mean as its writer thinks: weekdays as Unix counts them, and UTC."""
    schedule = parse_schedule(expression, timezone)
    hints: list[str] = []
    if not isinstance(schedule, Cron):
        return hints
    weekdays = expression.strip()[5:-1].split()[4]
    if re.search(r"[0-9]", weekdays.partition("#")[0]):
        names = _name_weekdays(schedule.weekdays)
        hints.append(f"day-of-week {weekdays} is {names}: 1 is Sunday here, not Monday as in Unix cron")
    if not timezone and schedule.hours != EVERY[1]:
        hints.append("the hours are UTC, not local time; --timezone makes them local (EventBridge Scheduler)")
    return hints


def _name_weekdays(days: Days) -> str:
    if isinstance(days, Special):
        return f"the {NTH[days.nth - 1] if days.kind == 'nth' else 'last'} {WEEKDAYS[days.number - 1]}"
    return ", ".join(WEEKDAYS[day - 1] for day in sorted(days or ()))


def find_zone(timezone: str) -> ZoneInfo:
    """The time zone of an IANA name; UTC for none. Raises BatchFileError."""
    if not timezone or timezone in _zones():
        return ZoneInfo(timezone or "UTC")
    meant = ABBREVIATIONS.get(timezone.upper())
    known = f" (did you mean {meant}?)" if meant else did_you_mean(timezone, sorted(_zones())) or ", such as Asia/Tokyo"
    raise BatchFileError(f"schedule: timezone: {timezone[:64]!r} is no IANA time zone{known}")


@cache
def _zones() -> frozenset[str]:
    """The names of IANA; a machine's database also has files that are none, and copies of all under posix/ and right/."""
    own = re.compile(r"localtime|posixrules|Factory|(posix|right)/.*")
    return frozenset(name for name in available_timezones() if not own.fullmatch(name))


def find_instant(local: datetime, zone: ZoneInfo) -> datetime | None:
    """The instant of a local time, in UTC: the first where the clock repeats it, None where it skips it."""
    at = local.replace(tzinfo=zone).astimezone(UTC)
    return at if at.astimezone(zone).replace(tzinfo=None) == local else None


def list_firings(schedule: Schedule, since: datetime, timezone: str = "", count: int = 10) -> list[datetime]:
    """The first `count` instants after `since` at which a schedule fires, in UTC; fewer where it ends.

    A local time that the clock skips in spring does not fire; one that it repeats in autumn fires once, the first time.
    A rate is counted from `since`. Raises BatchFileError where `since` is not in the years that EventBridge knows.
    """
    first, last = FIELDS[5].least, FIELDS[5].greatest
    if not first <= since.year <= last:
        raise BatchFileError(f"schedule: expected an instant in the years {first} to {last}, found {since.year}")
    return list(islice(_walk_firings(schedule, since.astimezone(UTC), find_zone(timezone)), count))


def _walk_firings(schedule: Schedule, since: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    if isinstance(schedule, Rate):
        for count in range(1, 1 + (datetime(FIELDS[5].greatest + 1, 1, 1, tzinfo=UTC) - since) // schedule.every):
            yield since + count * schedule.every
        return
    before = (since - timedelta(days=1)).astimezone(zone).replace(tzinfo=None)
    times = iter([schedule.moment]) if isinstance(schedule, At) else schedule.local_times(before)
    for local in times:
        at = find_instant(local, zone)
        if at and at > since:
            yield at


def _parse_rate(text: str, scheduler: bool) -> Rate:
    found = re.fullmatch(r"([0-9]{1,9})\s+(minute|hour|day)(s?)", text.strip())
    if not found or int(found[1]) == 0:
        raise BatchFileError(
            "schedule: rate: expected a number above 0 and minutes, hours or days, such as rate(5 minutes)"
        )
    rate = Rate(int(found[1]), found[2])
    if not scheduler and (rate.count == 1) != (found[3] == ""):
        raise BatchFileError(f"schedule: rate: expected {rate.spell()}: 1 takes the singular, more the plural")
    return rate


def _parse_at(text: str, scheduler: bool) -> At:
    problem = BatchFileError("schedule: at: expected a date and time such as at(2026-11-24T09:00:00)")
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}", text):
        raise problem
    try:
        at = At(datetime.fromisoformat(text))
    except ValueError as error:
        raise problem from error
    if not scheduler:
        raise BatchFileError("schedule: at() is Scheduler's; give timezone: UTC")
    return at
