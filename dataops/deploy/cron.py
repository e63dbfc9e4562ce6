"""The cron expressions of EventBridge: six fields, and the days and times that they name. Pure; no AWS.

Grammar and meaning are those of the EventBridge user guide; where it says nothing, the stricter reading is taken.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import NoReturn, TypeAlias

from dataops.errors import BatchFileError

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True)
class Field:
    """One of the six fields: its place (1 to 6), its name, its least and greatest value, names for values, wildcards."""

    place: int
    name: str
    least: int
    greatest: int
    names: tuple[str, ...] = ()
    wildcards: str = ", - * /"


FIELDS = (
    Field(1, "minutes", 0, 59),
    Field(2, "hours", 0, 23),
    Field(3, "day-of-month", 1, 31, wildcards=", - * ? / L W"),
    Field(4, "month", 1, 12, MONTHS),
    Field(5, "day-of-week", 1, 7, WEEKDAYS, ", - * ? L #"),
    Field(6, "year", 1970, 2199),
)
EVERY = tuple(frozenset(range(field.least, field.greatest + 1)) for field in FIELDS)
"""The values that `*` stands for, field by field."""


@dataclass(frozen=True)
class Special:
    """A day that depends on its month. `kind`: last (L, L-n), weekday (nW), last weekday (LW), nth (n#k), last of (nL)."""

    kind: str
    number: int = 0
    nth: int = 0

    def day(self, year: int, month: int) -> int | None:
        """Its day of that month, None when the month has none."""
        first, length = monthrange(year, month)
        if self.kind == "last":
            return length - self.number if self.number < length else None
        if self.kind == "weekday":
            return _nearest_weekday(year, month, self.number) if self.number <= length else None
        if self.kind == "last weekday":
            return _nearest_weekday(year, month, length)
        day = (self.number - 2 - first) % 7 + 1  # Monday is 0 in `calendar` and 2 here
        if self.kind == "last of":
            return day + 7 * ((length - day) // 7)
        day += 7 * (self.nth - 1)
        return day if day <= length else None


def _nearest_weekday(year: int, month: int, day: int) -> int:
    """The working day nearest to a day, never leaving its month."""
    weekday, length = date(year, month, day).weekday(), monthrange(year, month)[1]
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < length else day - 2
    return day


Days: TypeAlias = frozenset[int] | Special | None
"""Values of a day field; None is `?`."""


@dataclass(frozen=True)
class Cron:
    """A cron expression: the values of its fields; one of the two day fields is None (`?`)."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: Days
    months: frozenset[int]
    weekdays: Days
    years: frozenset[int]

    def dates(self, since: date) -> Iterator[date]:
        """The days that it names, from `since` on."""
        for year in sorted(year for year in self.years if year >= since.year):
            for month in sorted(self.months):
                if (year, month) >= (since.year, since.month):
                    found = (date(year, month, day) for day in self._days(year, month))
                    yield from (day for day in found if day >= since)

    def local_times(self, since: datetime) -> Iterator[datetime]:
        """The times that it names, without a time zone, from `since` on."""
        clock = [time(hour, minute) for hour in sorted(self.hours) for minute in sorted(self.minutes)]
        for day in self.dates(since.date()):
            yield from (at for at in (datetime.combine(day, of) for of in clock) if at >= since)

    def _days(self, year: int, month: int) -> list[int]:
        if isinstance(self.days, Special) or isinstance(self.weekdays, Special):
            special = self.days if isinstance(self.days, Special) else self.weekdays
            day = special.day(year, month) if isinstance(special, Special) else None
            return [] if day is None else [day]
        first, length = monthrange(year, month)
        if self.days is not None:
            return sorted(day for day in self.days if day <= length)
        wanted = self.weekdays or frozenset()
        return [day for day in range(1, length + 1) if (first + day) % 7 + 1 in wanted]


def parse_cron(text: str, yearless: bool = False) -> Cron:
    """What the fields of a cron expression mean; the year may be left out where `yearless`. Raises BatchFileError."""
    fields = text.split()
    if len(fields) == 5 and yearless:
        fields.append("*")
    if len(fields) != 6:
        why = {
            5: "; Unix cron has no year: add one (*), and make one day field ?",
            7: "; there is no field for seconds",
        }.get(len(fields), "")
        names = " ".join(field.name for field in FIELDS)
        raise BatchFileError(f"schedule: cron: expected 6 fields ({names}), found {len(fields)}{why}")
    if fields[2] != "?" and fields[4] != "?":
        both = (
            "both are given"
            if "*" not in (fields[2], fields[4])
            else "* there says every day, and the other says which"
        )
        both = "both are *" if fields[2] == fields[4] == "*" else both
        raise BatchFileError(
            f"schedule: cron: one of day-of-month (field 3) and day-of-week (field 5) must be ?; {both}"
        )
    if fields[2] == fields[4] == "?":
        raise BatchFileError("schedule: cron: fields 3 and 5, the days, are both ?: make one of them * for every day")
    values = [_parse_field(field, given) for field, given in zip(FIELDS, fields, strict=True)]
    minutes, hours, days, months, weekdays, years = values
    return Cron(_plain(minutes), _plain(hours), days, _plain(months), weekdays, _plain(years))


def _plain(days: Days) -> frozenset[int]:
    assert isinstance(days, frozenset)  # only the day fields take ? and specials
    return days


def _parse_field(field: Field, text: str) -> Days:
    if text == "?":
        return None if "?" in field.wildcards else _refuse(field, "? stands for a day field only; use *")
    text = text.upper()
    if field.place == 5 and text == "L":
        return frozenset({7})  # the week's last day
    special = _parse_special(field, text)
    if special:
        return special
    values: set[int] = set()
    for part in text.split(","):
        values |= _parse_part(field, part)
    return frozenset(values)


def _parse_special(field: Field, text: str) -> Special | None:
    if field.place == 3 and re.search(r"[LW]", text):
        if text in ("L", "LW"):
            return Special("last" if text == "L" else "last weekday")
        if found := re.fullmatch(r"L-([1-9]|[12][0-9]|30)", text):
            return Special("last", int(found[1]))
        if found := re.fullmatch(r"([0-9]{1,2})W", text):
            return Special("weekday", _number(field, found[1]))
        if re.fullmatch(r"L-[0-9]+", text):
            _refuse(field, "expected L-1 to L-30, days before the month's last; found another number")
        _refuse(field, "L, L-n, LW and nW (such as 15W) stand alone, not in a list or range")
    if field.place == 5 and (text.endswith("L") or "#" in text):
        if found := re.fullmatch(r"(\w+)L", text):
            return Special("last of", _value(field, found[1]))
        if found := re.fullmatch(r"(\w+)#([1-5])", text):
            return Special("nth", _value(field, found[1]), int(found[2]))
        _refuse(
            field, "expected one weekday with L (6L, the last Friday) or with # and 1 to 5 (3#2, the second Tuesday)"
        )
    return None


def _parse_part(field: Field, text: str) -> set[int]:
    """The values of one part of a list: a value, a range, *, or one of them with a step."""
    span, slash, step = text.partition("/")
    if slash and "/" not in field.wildcards:
        _refuse(field, "/ is not known there; list the days instead, such as MON,WED,FRI")
    least, dash, greatest = span.partition("-")
    if span == "*":
        first, last = field.least, field.greatest
    else:
        first = _value(field, least)
        last = _value(field, greatest) if dash else field.greatest if slash else first
    if first > last:
        _refuse(field, "the range ends before it begins; write it as two, joined by a comma")
    every = _step(field, step) if slash else 1
    return set(range(first, last + 1, every))


def _step(field: Field, text: str) -> int:
    if re.fullmatch(r"[0-9]{1,4}", text) and 1 <= int(text) <= field.greatest:
        return int(text)
    return _refuse(field, f"expected a step of 1 to {field.greatest} after /")


def _value(field: Field, text: str) -> int:
    if text in field.names:
        return field.least + field.names.index(text)
    return _number(field, text)


def _number(field: Field, text: str) -> int:
    span = f"{field.least} to {field.greatest}"
    names = f" or {field.names[0]} to {field.names[-1]}" if field.names else ""
    if not re.fullmatch(r"[0-9]{1,4}", text):
        _refuse(field, f"expected {span}{names}, with {field.wildcards}; found another text")
    if not field.least <= int(text) <= field.greatest:
        unix = "; Unix counts from 0, Sunday: here Sunday is 1" if field.place == 5 and int(text) == 0 else ""
        _refuse(field, f"expected {span}{names}, found {int(text)}{unix}")
    return int(text)


def _refuse(field: Field, why: str) -> NoReturn:
    raise BatchFileError(f"schedule: cron: field {field.place}, {field.name}: {why}")
