"""Schedule expressions: valid ones fire when a second, slow reading says so; wrong ones say which field and why."""

from __future__ import annotations

import json
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import islice

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from dataops.cli.schedules import schedule
from dataops.deploy.schedule import _zones, list_firings, list_hints, parse_schedule
from dataops.errors import BatchFileError

NOW = datetime(2026, 11, 24, tzinfo=UTC)
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def fired(expression: str, count: int = 3, timezone: str = "", since: datetime = NOW) -> list[str]:
    found = list_firings(parse_schedule(expression, timezone), since, timezone, count)
    return [f"{at:%Y-%m-%dT%H:%M}" for at in found]


@pytest.mark.parametrize(
    ("expression", "first"),
    [  # the first seven are examples of the EventBridge user guide
        ("cron(0 10 * * ? *)", ["2026-11-24T10:00", "2026-11-25T10:00", "2026-11-26T10:00"]),
        ("cron(0 18 ? * MON-FRI *)", ["2026-11-24T18:00", "2026-11-25T18:00", "2026-11-26T18:00"]),
        ("cron(0 8 1 * ? *)", ["2026-12-01T08:00", "2027-01-01T08:00", "2027-02-01T08:00"]),
        ("cron(0/15 * * * ? *)", ["2026-11-24T00:15", "2026-11-24T00:30", "2026-11-24T00:45"]),
        ("cron(0/5 8-17 ? * MON-FRI *)", ["2026-11-24T08:00", "2026-11-24T08:05", "2026-11-24T08:10"]),
        ("cron(0 9 ? * 2#1 *)", ["2026-12-07T09:00", "2027-01-04T09:00", "2027-02-01T09:00"]),
        ("rate(5 minutes)", ["2026-11-24T00:05", "2026-11-24T00:10", "2026-11-24T00:15"]),
        ("cron(0 0 31 * ? *)", ["2026-12-31T00:00", "2027-01-31T00:00", "2027-03-31T00:00"]),
        ("cron(0 0 LW * ? *)", ["2026-11-30T00:00", "2026-12-31T00:00", "2027-01-29T00:00"]),
        ("cron(0 0 L-2 * ? *)", ["2026-11-28T00:00", "2026-12-29T00:00", "2027-01-29T00:00"]),
        ("cron(0 0 1W * ? *)", ["2026-12-01T00:00", "2027-01-01T00:00", "2027-02-01T00:00"]),
        ("cron(0 0 1W may ? *)", ["2027-05-03T00:00", "2028-05-01T00:00", "2029-05-01T00:00"]),
        ("cron(0 0 31W * ? 2027)", ["2027-01-29T00:00", "2027-03-31T00:00", "2027-05-31T00:00"]),
        ("cron(0 0 ? * L *)", ["2026-11-28T00:00", "2026-12-05T00:00", "2026-12-12T00:00"]),
        ("cron(0 0 29 2 ? *)", ["2028-02-29T00:00", "2032-02-29T00:00", "2036-02-29T00:00"]),
        ("cron(0 0 ? * 5#5 *)", ["2026-12-31T00:00", "2027-04-29T00:00", "2027-07-29T00:00"]),
        ("cron(0 0 30 2 ? *)", []),
        ("cron(0 0 1 1 ? 2026)", []),
        ("rate(1 day)", ["2026-11-25T00:00", "2026-11-26T00:00", "2026-11-27T00:00"]),
    ],
)
def test_it_fires_when_its_fields_say(expression, first):
    assert fired(expression) == first


def test_the_last_friday_of_the_scheduler_guide_s_example():
    found = fired("cron(15 10 ? * 6L 2022-2023)", 99, since=datetime(2022, 1, 1, tzinfo=UTC))
    assert len(found) == 24
    assert found[:2] + found[-1:] == ["2022-01-28T10:15", "2022-02-25T10:15", "2023-12-29T10:15"]


@pytest.mark.parametrize(
    ("expression", "timezone", "since", "first"),
    [
        ("cron(0 9 * * ? *)", "Asia/Tokyo", "2026-11-24", ["2026-11-25T00:00", "2026-11-26T00:00"]),
        ("cron(30 2 * * ? *)", "Asia/Tokyo", "2026-11-24", ["2026-11-24T17:30", "2026-11-25T17:30"]),
        ("cron(30 2 * * ?)", "Asia/Tokyo", "2026-11-24", ["2026-11-24T17:30", "2026-11-25T17:30"]),
        ("cron(30 2 * * ? *)", "America/New_York", "2026-03-07T08:00", ["2026-03-09T06:30", "2026-03-10T06:30"]),
        ("cron(30 1 * * ? *)", "America/New_York", "2026-11-01T00:00", ["2026-11-01T05:30", "2026-11-02T06:30"]),
        ("rate(1 days)", "America/New_York", "2026-03-07T12:00", ["2026-03-08T12:00", "2026-03-09T12:00"]),
        ("at(2026-12-01T09:00:00)", "Asia/Tokyo", "2026-11-24", ["2026-12-01T00:00"]),
        ("at(2026-11-01T09:00:00)", "UTC", "2026-11-24", []),
        ("at(2026-03-08T02:30:00)", "America/New_York", "2026-01-01", []),
    ],
)
def test_local_times_skip_the_gap_of_spring_and_fire_once_in_autumn(expression, timezone, since, first):
    assert fired(expression, 2, timezone, datetime.fromisoformat(since).replace(tzinfo=UTC)) == first


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("cron(0 3 * * * *)", "one of day-of-month (field 3) and day-of-week (field 5) must be ?; both are *"),
        ("cron(0 3 1 * MON *)", "must be ?; both are given"),
        ("cron(0 3 * * MON *)", "* there says every day, and the other says which"),
        ("cron(0 3 ? * ? *)", "are both ?"),
        (
            "cron(0 3 * * ?)",
            "expected 6 fields (minutes hours day-of-month month day-of-week year), found 5; Unix cron",
        ),
        ("cron(0 0 3 * * ? *)", "found 7; there is no field for seconds"),
        ("0 3 * * ? *", "expected cron(...), rate(...) or at(...), found another text (wrap the fields: cron(...))"),
        ("", "expected cron(...), rate(...) or at(...)"),
        ("cron(0 3 ? * 0 *)", "field 5, day-of-week: expected 1 to 7 or SUN to SAT, found 0; Unix counts from 0"),
        ("cron(60 3 * * ? *)", "field 1, minutes: expected 0 to 59, found 60"),
        ("cron(0 24 * * ? *)", "field 2, hours: expected 0 to 23, found 24"),
        ("cron(0 3 L-31 * ? *)", "field 3, day-of-month: expected L-1 to L-30"),
        ("cron(0 3 0 * ? *)", "field 3, day-of-month: expected 1 to 31, found 0"),
        ("cron(0 3 * 13 ? *)", "field 4, month: expected 1 to 12 or JAN to DEC, found 13"),
        ("cron(0 3 * * ? 1969)", "field 6, year: expected 1970 to 2199, found 1969"),
        ("cron(0 3 * MON ? *)", "field 4, month: expected 1 to 12 or JAN to DEC, with , - * /; found another text"),
        ("cron(0 3 ? * MON/2 *)", "field 5, day-of-week: / is not known there"),
        ("cron(0 3 ? * 3#1,5#2 *)", "field 5, day-of-week: expected one weekday with L"),
        ("cron(0 3 ? * 3#6 *)", "field 5, day-of-week: expected one weekday with L"),
        ("cron(0 3 1,L * ? *)", "field 3, day-of-month: L, L-n, LW and nW (such as 15W) stand alone"),
        ("cron(0 3 W * ? *)", "field 3, day-of-month: L, L-n"),
        ("cron(0 3 32W * ? *)", "field 3, day-of-month: expected 1 to 31, found 32"),
        ("cron(0 22-2 * * ? *)", "field 2, hours: the range ends before it begins"),
        ("cron(? 3 * * ? *)", "field 1, minutes: ? stands for a day field only"),
        ("cron(0/0 3 * * ? *)", "field 1, minutes: expected a step of 1 to 59 after /"),
        ("cron(0 3,, * * ? *)", "field 2, hours: expected 0 to 23"),
        ("cron(-1 3 * * ? *)", "field 1, minutes: expected 0 to 59"),
        ("cron(٣ 3 * * ? *)", "field 1, minutes: expected 0 to 59"),
        ("rate(1 minutes)", "expected rate(1 minute): 1 takes the singular, more the plural"),
        ("rate(5 minute)", "expected rate(5 minutes)"),
        ("rate(0 minutes)", "expected a number above 0"),
        ("rate(5 weeks)", "expected a number above 0 and minutes, hours or days"),
        ("at(2026-02-30T00:00:00)", "at: expected a date and time"),
        ("at(2026-12-01)", "at: expected a date and time"),
        ("at(2026-12-01T09:00:00)", "schedule: at() is Scheduler's; give timezone: UTC"),
        ("cron(" + "0," * 200 + "0 3 * * ? *)", "expected at most 256 characters"),
    ],
)
def test_a_wrong_one_says_which_field_and_why(expression, words):
    with pytest.raises(BatchFileError) as error:
        parse_schedule(expression)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "zone", ["Asia/../Tokio", "localtime", "posixrules", "posix/Asia/Tokyo", "right/Asia/Tokyo", "Factory"]
)
def test_a_time_zone_that_is_not_iana_s_is_refused(zone):
    with pytest.raises(BatchFileError, match="no IANA time zone"):
        parse_schedule("rate(1 day)", zone)


def test_files_of_the_machine_s_own_are_no_time_zones(monkeypatch):
    names = {"Asia/Tokyo", "localtime", "posixrules", "posix/Asia/Tokyo", "right/Asia/Tokyo", "Factory"}
    monkeypatch.setattr("dataops.deploy.schedule.available_timezones", lambda: names)
    assert _zones.__wrapped__() == {"Asia/Tokyo"}


@pytest.mark.parametrize(
    ("expression", "timezone", "words"),
    [
        ("cron(0 9 ? * 1-5 *)", "Asia/Tokyo", ["day-of-week 1-5 is SUN, MON, TUE, WED, THU"]),
        ("cron(0 9 ? * 1#1 *)", "Asia/Tokyo", ["day-of-week 1#1 is the first SUN: 1 is Sunday here"]),
        ("cron(0 9 ? * 5L *)", "Asia/Tokyo", ["day-of-week 5L is the last THU: 1 is Sunday here"]),
        ("cron(0 9 ? * MON#1 *)", "Asia/Tokyo", []),
        ("cron(0 9 ? * L *)", "Asia/Tokyo", []),
        ("cron(0 9 ? * MON *)", "", ["the hours are UTC, not local time;"]),
        ("cron(0 9 ? * MON *)", "Asia/Tokyo", []),
        ("cron(0 * * * ? *)", "", []),
    ],
)
def test_a_valid_one_that_may_be_meant_otherwise_gets_a_hint(expression, timezone, words):
    hints = list_hints(expression, timezone)
    assert len(hints) == len(words)
    assert all(word in hint for word, hint in zip(words, hints, strict=True))


@cache
def values(text: str, least: int, greatest: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    """What a plain field means, read slowly: each value is asked whether it is meant."""

    def number(word: str) -> int:
        return names.index(word) + least if word in names else int(word)

    def meant(value: int, part: str) -> bool:
        span, _, step = part.partition("/")
        first = least if span == "*" else number(span.split("-")[0])
        last = greatest if span == "*" or (step and "-" not in span) else number(span.split("-")[-1])
        return first <= value <= last and (value - first) % int(step or 1) == 0

    return frozenset(
        value for value in range(least, greatest + 1) if any(meant(value, part) for part in text.split(","))
    )


def is_meant(day: date, days: str, weekdays: str) -> bool:
    """Whether the two day fields mean a day; its weekday is Python's own."""
    length, name = monthrange(day.year, day.month)[1], DAYS[day.isoweekday() % 7]
    nth, left = (day.day - 1) // 7 + 1, length - day.day
    if days == "?":
        if "#" in weekdays:
            return weekdays == f"{name}#{nth}"
        if weekdays.endswith("L"):
            return weekdays == f"{name}L" and left < 7
        return DAYS.index(name) + 1 in values(weekdays, 1, 7, DAYS)
    if days.startswith("L"):
        return left == int(days[2:] or 0)
    if days.endswith("W"):
        wanted = int(days[:-1])
        near = sorted(
            (abs(other - wanted), other)
            for other in range(1, length + 1)
            if date(day.year, day.month, other).weekday() < 5
        )
        return wanted <= length and day.day == near[0][1]
    return day.day in values(days, 1, 31)


def fields(least: int, greatest: int, steps: bool = True) -> st.SearchStrategy[str]:
    number = st.integers(least, greatest)
    span = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    part = st.one_of(number.map(str), span)
    if steps:
        starts = st.one_of(number.map(str), span, st.just("*"))
        part = st.one_of(part, st.tuples(starts, st.integers(1, greatest)).map(lambda of: f"{of[0]}/{of[1]}"))
    return st.one_of(st.just("*"), st.lists(part, min_size=1, max_size=3).map(",".join))


day_fields = st.one_of(
    st.tuples(fields(1, 31), st.just("?")),
    st.tuples(st.integers(1, 31).map("{}W".format), st.just("?")),
    st.tuples(st.sampled_from(["L", "L-1", "L-3", "L-30"]), st.just("?")),
    st.tuples(st.just("?"), fields(1, 7, steps=False)),
    st.tuples(st.just("?"), st.lists(st.sampled_from(DAYS), min_size=1, max_size=3).map(",".join)),
    st.tuples(st.just("?"), st.tuples(st.sampled_from(DAYS), st.integers(1, 5)).map(lambda of: f"{of[0]}#{of[1]}")),
    st.tuples(st.just("?"), st.sampled_from(DAYS).map("{}L".format)),
)


@given(
    fields(0, 59), fields(0, 23), day_fields, fields(1, 12), st.datetimes(datetime(1999, 1, 1), datetime(2105, 1, 1))
)
def test_a_second_slow_reading_finds_the_same_firings(minutes, hours, days, months, since):
    since = since.replace(second=0, microsecond=0)
    found = list_firings(
        parse_schedule(f"cron({minutes} {hours} {days[0]} {months} {days[1]} *)"), since.replace(tzinfo=UTC), count=40
    )
    clock = [
        timedelta(hours=hour, minutes=minute)
        for hour in sorted(values(hours, 0, 23)) for minute in sorted(values(minutes, 0, 59))
    ]  # fmt: skip
    midnight = since.replace(hour=0, minute=0)
    expected = (
        day + of
        for day in (midnight + timedelta(days=number) for number in range(400))
        if day.month in values(months, 1, 12) and is_meant(day.date(), *days)
        for of in clock
        if day + of > since
    )
    expected = list(islice(expected, 40))
    horizon = (midnight + timedelta(days=400)).replace(tzinfo=UTC)
    assert [at for at in found if at < horizon] == [at.replace(tzinfo=UTC) for at in expected]


@pytest.mark.parametrize(
    ("command", "zone", "hint"),
    [
        (["next", "cron(0 3 ? * MON *)"], "Mars/X", ", such as Asia/Tokyo"),
        (["next", "cron(0 3 ? * MON *)"], "America", ""),
        (["convert", "cron(0 8 1 * ? *)"], "Asia/Tokio", " (did you mean Asia/Tokyo?)"),
        (["next", "cron(0 8 1 * ? *)"], "JST", " (did you mean Asia/Tokyo?)"),
    ],
)
def test_an_unknown_time_zone_is_named_by_every_command_that_takes_one(command, zone, hint):
    done = CliRunner().invoke(schedule, [*command, "--timezone", zone, "--json"], standalone_mode=False)
    assert done.return_value == 2
    told = json.loads(done.stdout)
    assert not told["valid"]
    assert told["error"].startswith(f"schedule: timezone: '{zone}' is no IANA time zone{hint}")


@pytest.mark.parametrize("command", ["next", "convert"])
def test_hints_are_told_on_stderr_and_in_json(command):
    given = [command, "cron(0 8 ? * 1-5 *)", "--timezone", "Asia/Tokyo"]
    plain, json_ = (CliRunner().invoke(schedule, [*given, *more], standalone_mode=False) for more in ([], ["--json"]))
    (hint,) = json.loads(json_.stdout)["hints"]
    assert hint.startswith("day-of-week 1-5 is SUN, MON, TUE, WED, THU:")
    assert plain.stderr == f"note: {hint}\n"


def test_next_refuses_at_without_a_time_zone():
    done = CliRunner().invoke(schedule, ["next", "at(2099-12-01T09:00:00)", "--json"], standalone_mode=False)
    assert done.return_value == 2
    assert json.loads(done.stdout)["error"] == "schedule: at() is Scheduler's; give timezone: UTC"
