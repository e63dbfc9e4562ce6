"""From local time to UTC: the one cron expression of an EventBridge rule that fires as a local one does, if there is one.

A candidate is only given when it names, over all years that EventBridge knows, exactly the days that the local
expression names, moved to UTC. So what is given is right, whatever way it was found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dataops.deploy.cron import EVERY, FIELDS, MONTHS, WEEKDAYS, Cron, Days, Special
from dataops.deploy.schedule import At, Rate, find_zone, parse_schedule

START = date(FIELDS[5].least, 1, 1)
INSIDE = (date(FIELDS[5].least, 1, 2), date(FIELDS[5].greatest, 12, 30))
"""The days on which expressions are compared: at the ends, a day moved may be one that EventBridge does not know."""
KNOWN_YEARS = 28
"""Years ahead in which a zone's offset is looked up at each firing: the calendar's weekdays repeat after them."""


@dataclass(frozen=True)
class UtcRule:
    """The UTC expression, empty where there is none; then `reason` says why."""

    expression: str
    reason: str = ""


def convert_to_utc(expression: str, timezone: str, today: date | None = None) -> UtcRule:
    """The expression of a UTC rule that fires as `expression` does in `timezone`, from `today` on.

    Raises BatchFileError when the expression or the time zone is wrong.
    """
    zone = find_zone(timezone)
    schedule = parse_schedule(expression, timezone)
    if isinstance(schedule, Rate):
        return UtcRule(expression.strip())
    if isinstance(schedule, At):
        return UtcRule("", "at() is Scheduler's; an EventBridge rule knows cron and rate only")
    today = today or datetime.now(UTC).date()
    offsets = _offsets(schedule, zone, today)
    if not offsets:
        return UtcRule("", "it never fires")
    if len(offsets) > 1:
        spelt = " and ".join(map(spell_offset, sorted(offsets)))
        return UtcRule("", f"{timezone} is at UTC{spelt} when it fires, so a rule would be off for part of the year")
    return _shift(schedule, offsets.pop())


def spell_offset(minutes: int) -> str:
    """An offset from UTC in minutes as `+09:00`."""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def _offsets(cron: Cron, zone: ZoneInfo, today: date) -> set[int]:
    """The zone's offsets from UTC, in minutes, at the local times of the coming years."""
    found: set[int] = set()
    clock = [time(hour, minute) for hour in cron.hours for minute in {min(cron.minutes), max(cron.minutes)}]
    for day in cron.dates(today):
        if day.year > today.year + KNOWN_YEARS and found:
            break
        for of in clock:
            offset = datetime.combine(day, of, zone).utcoffset() or timedelta()
            found.add(offset // timedelta(minutes=1))
    return found


def _shift(cron: Cron, offset: int) -> UtcRule:
    moved = {hour * 60 + minute - offset for hour in cron.hours for minute in cron.minutes}
    shifts = {at // 1440 for at in moved}
    minutes, hours = frozenset(at % 60 for at in moved), frozenset(at % 1440 // 60 for at in moved)
    every_day = (cron.days, cron.months, cron.weekdays, cron.years) in (
        (EVERY[2], EVERY[3], None, EVERY[5]),
        (None, EVERY[3], EVERY[4], EVERY[5]),
    )
    if len(shifts) > 1 and not every_day:
        return UtcRule("", "some of its times fall on another UTC day and some do not, and the days are not every day")
    if len({at % 1440 for at in moved}) != len(minutes) * len(hours):
        return UtcRule("", "its times in UTC are not the same minutes of each hour")
    timed = replace(cron, minutes=minutes, hours=hours)
    shift = 0 if every_day else shifts.pop()
    if shift == 0:
        return UtcRule(spell_cron(timed))
    wanted = {day + timedelta(days=shift) for day in cron.dates(START)}
    for candidate in _candidates(timed, wanted):
        if not {day for day in wanted ^ set(candidate.dates(START)) if INSIDE[0] <= day <= INSIDE[1]}:
            return UtcRule(spell_cron(candidate))
    where = "previous" if shift < 0 else "next"
    return UtcRule(
        "", f"it falls on the {where} UTC day, and no day fields of one cron expression name the days moved so"
    )


def _candidates(cron: Cron, wanted: set[date]) -> Iterator[Cron]:
    """Expressions that may name these days: by their day of the month, counted from its end, or their weekday."""
    months = frozenset(day.month for day in wanted)
    years = frozenset(day.year for day in wanted if day >= START)
    if cron.years == EVERY[5]:
        years = EVERY[5]
    cron = replace(cron, months=months, years=years)
    yield replace(cron, days=None, weekdays=frozenset(day.isoweekday() % 7 + 1 for day in wanted))
    yield replace(cron, days=frozenset(day.day for day in wanted), weekdays=None)
    left = {((day.replace(day=28) + timedelta(days=4)).replace(day=1) - day).days - 1 for day in wanted}
    if len(left) == 1:
        yield replace(cron, days=Special("last", left.pop()), weekdays=None)


def spell_cron(cron: Cron) -> str:
    """A cron expression that means the same, each field as short as may be."""
    values: list[Days] = [cron.minutes, cron.hours, cron.days, cron.months, cron.weekdays, cron.years]
    return f"cron({' '.join(_spell_field(place, of) for place, of in enumerate(values))})"


def _spell_field(place: int, values: Days) -> str:
    if values is None:
        return "?"
    names = {3: MONTHS, 4: WEEKDAYS}.get(place, ())
    if isinstance(values, Special):
        weekday = WEEKDAYS[values.number - 1] if values.kind in ("nth", "last of") else ""
        return {
            "last": f"L-{values.number}" if values.number else "L",
            "weekday": f"{values.number}W",
            "last weekday": "LW",
            "nth": f"{weekday}#{values.nth}",
            "last of": f"{weekday}L",
        }[values.kind]
    if values == EVERY[place]:
        return "*"
    first, *others = sorted(values)
    step = others[0] - first if len(others) > 1 else 0
    if place != 4 and step > 1 and [first, *others] == list(range(first, FIELDS[place].greatest + 1, step)):
        return f"{first}/{step}"
    return ",".join(_spell_run(run, names) for run in _runs([first, *others]))


def _runs(values: list[int]) -> Iterator[tuple[int, int]]:
    """Runs of numbers that follow each other, as (first, last)."""
    first = last = values[0]
    for value in values[1:]:
        if value != last + 1:
            yield first, last
            first = value
        last = value
    yield first, last


def _spell_run(run: tuple[int, int], names: tuple[str, ...]) -> str:
    first, last = (names[value - 1] if names else str(value) for value in run)
    if first == last:
        return first
    return f"{first},{last}" if run[1] == run[0] + 1 else f"{first}-{last}"
