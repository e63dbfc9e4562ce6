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
from dataops.deploy.schedule import At, Rate, find_instant, find_zone, parse_schedule
from dataops.errors import BatchFileError

START = date(FIELDS[5].least, 1, 1)
INSIDE = (date(FIELDS[5].least, 1, 2), date(FIELDS[5].greatest, 12, 30))
"""The days on which expressions are compared: at the ends, a day moved may be one that EventBridge does not know."""


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
        return UtcRule(schedule.spell())
    if isinstance(schedule, At):
        return UtcRule("", "at() is Scheduler's; an EventBridge rule knows cron and rate only")
    offsets, skipped = _offsets(schedule, zone, today or datetime.now(UTC).date())
    if len(offsets) > 1:
        spelt = " and ".join(map(spell_offset, sorted(offsets)))
        return UtcRule("", f"{timezone} is at UTC{spelt} when it fires, so a rule would be off for part of the year")
    gap = f"the clocks of {timezone} skip {skipped:%H:%M} on {skipped:%Y-%m-%d}" if skipped else ""
    if not offsets:
        return UtcRule("", "it never fires" + (f": {gap}" if gap else ""))
    return UtcRule("", f"{gap}, and a rule would fire then") if gap else _shift(schedule, offsets.pop())


def spell_offset(minutes: int) -> str:
    """An offset from UTC in minutes as `+09:00`."""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def _offsets(cron: Cron, zone: ZoneInfo, today: date) -> tuple[set[int], datetime | None]:
    """The zone's offsets from UTC at the firings to come, in minutes, two at most; and a local time that is skipped."""
    found: set[int] = set()
    skipped = None
    for local in _telling_times(cron, zone, today):
        at = find_instant(local, zone)
        if at is None:
            skipped = skipped or local
            continue
        found.add((local - at.replace(tzinfo=None)) // timedelta(minutes=1))
        if len(found) > 1:
            break
    return found, skipped


def _telling_times(cron: Cron, zone: ZoneInfo, today: date) -> Iterator[datetime]:
    """Local times that tell of all: the first of each day, and every one of a day on which the clocks change."""
    clock = [time(hour, minute) for hour in sorted(cron.hours) for minute in sorted(cron.minutes)]
    for day in cron.dates(today):
        begins, ends = (datetime.combine(of, time(), zone).utcoffset() for of in (day, day + timedelta(days=1)))
        yield from (datetime.combine(day, of) for of in (clock[:1] if begins == ends else clock))


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
        return _offer(timed)
    wanted = {day + timedelta(days=shift) for day in cron.dates(START)}
    for candidate in _candidates(timed, wanted):
        if not {day for day in wanted ^ set(candidate.dates(START)) if INSIDE[0] <= day <= INSIDE[1]}:
            return _offer(candidate)
    where = "previous" if shift < 0 else "next"
    return UtcRule(
        "", f"it falls on the {where} UTC day, and no list of days, weekdays and years was found for the days moved so"
    )


def _offer(cron: Cron) -> UtcRule:
    """The rule of an expression that is right, unless its spelling is more than a rule takes."""
    text = spell_cron(cron)
    try:
        parse_schedule(text)
    except BatchFileError as error:
        return UtcRule("", f"a rule does not take what it comes to in UTC: {error}")
    return UtcRule(text)


def _candidates(cron: Cron, wanted: set[date]) -> Iterator[Cron]:
    """Expressions that may name these days: by their day of the month, counted from its end, or their weekday."""
    weekdays, days = frozenset(day.isoweekday() % 7 + 1 for day in wanted), frozenset(day.day for day in wanted)
    left = {((day.replace(day=28) + timedelta(days=4)).replace(day=1) - day).days - 1 for day in wanted}
    every_year = [EVERY[5]] if cron.years == EVERY[5] else []
    for years in (*every_year, frozenset(day.year for day in wanted if day >= START)):
        timed = replace(cron, months=frozenset(day.month for day in wanted), years=years)
        yield replace(timed, days=None, weekdays=weekdays)
        yield replace(timed, days=days, weekdays=None)
        if len(left) == 1:
            yield replace(timed, days=Special("last", min(left)), weekdays=None)


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


def _runs(values: list[int]) -> Iterator[range]:
    """Runs of three numbers or more, each as much after the one before, and what is left, one by one."""
    while values:
        step = values[1] - values[0] if len(values) > 1 else 1
        length = next((at for at, of in enumerate(values) if of != values[0] + at * step), len(values))
        length = length if length > 2 else 1
        yield range(values[0], values[length - 1] + 1, step)
        values = values[length:]


def _spell_run(run: range, names: tuple[str, ...]) -> str:
    words = [names[value - 1] if names else str(value) for value in run]
    listed, span = ",".join(words), f"{words[0]}-{words[-1]}" + (f"/{run.step}" if run.step > 1 else "")
    # day names take no step, and of month names no guide says that they do
    return listed if (names and run.step > 1) or len(listed) <= len(span) else span
