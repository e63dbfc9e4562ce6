"""A local schedule as a UTC rule: what is given fires at the same instants; what cannot be given says why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dataops.deploy.cron import MONTHS, parse_cron
from dataops.deploy.utc_rule import convert_to_utc, spell_cron
from tests.deploy.test_schedule import day_fields, fields, is_meant, values

TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("expression", "timezone", "rule"),
    [
        ("cron(0 9 * * ? *)", "Asia/Tokyo", "cron(0 0 * * ? *)"),
        ("cron(30 2 ? * MON-FRI *)", "Asia/Tokyo", "cron(30 17 ? * SUN-THU *)"),
        ("cron(0 8,10 * * ? *)", "Asia/Tokyo", "cron(0 1,23 * * ? *)"),
        ("cron(0 8 1 * ? *)", "Asia/Tokyo", "cron(0 23 L * ? *)"),
        ("cron(0 8 31 * ? *)", "Asia/Tokyo", "cron(0 23 30 JAN,MAR,MAY,JUL,AUG,OCT,DEC ? *)"),
        ("cron(0 8 L * ? *)", "Asia/Tokyo", "cron(0 23 L-1 * ? *)"),
        ("cron(0 10 ? * 6L *)", "Asia/Tokyo", "cron(0 1 ? * FRIL *)"),
        ("cron(0 3 1 1 ? 2027)", "Asia/Tokyo", "cron(0 18 31 DEC ? 2026)"),
        ("cron(0 9 ? * MON *)", "Asia/Kolkata", "cron(30 3 ? * MON *)"),
        ("cron(0 20 L * ? *)", "Pacific/Honolulu", "cron(0 6 1 * ? *)"),
        ("cron(0 9 15 1 ? *)", "Europe/Berlin", "cron(0 8 15 JAN ? *)"),
        ("cron(0/10 * ? * MON *)", "UTC", "cron(0/10 * ? * MON *)"),
        ("cron(0 9 * * ? 1970-2190/2)", "Asia/Tokyo", "cron(0 0 * * ? 1970-2190/2)"),
        ("cron(0 8 29 2 ? *)", "Asia/Tokyo", "cron(0 23 28 FEB ? 1972-2096/4,2104-2196/4)"),
        ("cron(0 3 8 2 ? *)", "America/New_York", "cron(0 8 8 FEB ? *)"),
        ("rate(5 minutes)", "Asia/Tokyo", "rate(5 minutes)"),
        ("rate(1 days)", "Asia/Tokyo", "rate(1 day)"),
        ("rate(5 minute)", "Asia/Tokyo", "rate(5 minutes)"),
    ],
)
def test_a_rule_is_given_where_there_is_one(expression, timezone, rule):
    assert convert_to_utc(expression, timezone, TODAY).expression == rule


@pytest.mark.parametrize(
    ("expression", "timezone", "words"),
    [
        ("cron(0 9 * * ? *)", "Europe/Berlin", "is at UTC+01:00 and +02:00 when it fires"),
        ("cron(0 8,10 ? * MON *)", "Asia/Tokyo", "some of its times fall on another UTC day"),
        ("cron(0/15 9-17 ? * MON-FRI *)", "Asia/Kolkata", "not the same minutes of each hour"),
        ("cron(0 3 ? * MON#1 *)", "Asia/Tokyo", "it falls on the previous UTC day"),
        ("cron(0 3 15W * ? *)", "Asia/Tokyo", "it falls on the previous UTC day"),
        ("cron(0 20 ? * FRIL *)", "Pacific/Honolulu", "it falls on the next UTC day"),
        ("cron(0 0 30 2 ? *)", "Asia/Tokyo", "it never fires"),
        (
            "cron(30 2 ? 3 SUN#2 *)",
            "America/New_York",
            "it never fires: the clocks of America/New_York skip 02:30 on 2027-03-14",
        ),
        ("cron(30 2 8 3 ? *)", "America/New_York", "skip 02:30 on 2037-03-08, and a rule would fire then"),
        ("cron(30 0,2 8 3 ? *)", "America/New_York", "skip 02:30 on 2037-03-08"),
        ("cron(30 0,3 ? 3 SUN#2 *)", "America/New_York", "is at UTC-05:00 and -04:00 when it fires"),
        ("cron(30 1 25 3 ? *)", "Europe/London", "skip 01:30 on 2029-03-25"),
        ("cron(0 2 1 10 ? *)", "Australia/Lord_Howe", "skip 02:00 on 2028-10-01"),
        ("cron(15 2 1 10 ? *)", "Australia/Lord_Howe", "skip 02:15 on 2028-10-01"),
        ("cron(30 2 * * ? 2060-2062)", "America/New_York", "is at UTC-05:00 and -04:00 when it fires"),
        ("cron(0 9 1 * ? 2020)", "Asia/Tokyo", "it never fires"),
        ("at(2027-01-01T00:00:00)", "Asia/Tokyo", "at() is Scheduler's"),
    ],
)
def test_where_there_is_none_it_says_why(expression, timezone, words):
    rule = convert_to_utc(expression, timezone, TODAY)
    assert rule.expression == ""
    assert words in rule.reason


OFFSETS = {
    "Asia/Tokyo": [540], "Asia/Kolkata": [330], "Pacific/Honolulu": [-600], "Pacific/Kiritimati": [840], "UTC": [0],
    "America/New_York": [-300, -240], "Europe/London": [0, 60], "Australia/Lord_Howe": [630, 660],
}  # fmt: skip
"""Minutes from UTC that the clocks of a zone may be at, from 2027 on."""
YEARS = (2027, 2028, 2029, 2037)
"""In them 8 March, 25 March and 1 October are days on which clocks change, and a leap year is among them."""
SPAN = [date(year, 1, 1) + timedelta(days=number) for year in YEARS for number in range(-1, 367)]


def read_slowly(expression: str) -> Iterator[datetime]:
    """The times that a cron expression names in SPAN: each day is asked whether it is meant."""
    minutes, hours, days, months, weekdays, years = expression[5:-1].split()
    clock = [(hour, minute) for hour in values(hours, 0, 23) for minute in values(minutes, 0, 59)]
    wanted = values(months, 1, 12, MONTHS), values(years, 1970, 2199)
    for day in SPAN:
        if day.month in wanted[0] and day.year in wanted[1] and is_meant(day, days, weekdays):
            yield from (datetime(day.year, day.month, day.day, *of) for of in clock)


def first_shown(local: datetime, timezone: str) -> list[datetime]:
    """The first instant at which the zone's clocks show a time: each that may be is tried; none where they skip it."""
    tried = [local.replace(tzinfo=UTC) - timedelta(minutes=offset) for offset in OFFSETS[timezone]]
    return sorted(at for at in tried if at.astimezone(ZoneInfo(timezone)).replace(tzinfo=None) == local)[:1]


@given(
    st.integers(0, 59).map(str),
    st.one_of(fields(0, 23), st.integers(0, 3).map(str)),
    st.one_of(day_fields, st.sampled_from([("8", "?"), ("25", "?"), ("?", "SUN#2"), ("?", "SUNL"), ("?", "SUN#1")])),
    st.one_of(st.just("*"), fields(1, 12), st.sampled_from(["3", "4", "10", "11"])),
    st.sampled_from(sorted(OFFSETS)),
)
@example("30", "2", ("?", "SUN#2"), "3", "America/New_York")
@example("30", "2", ("8", "?"), "3", "America/New_York")
@example("30", "1", ("25", "?"), "3", "Europe/London")
@example("0", "2", ("1", "?"), "10", "Australia/Lord_Howe")
@example("15", "2", ("1", "?"), "10", "Australia/Lord_Howe")
def test_a_rule_fires_at_the_same_instants(minutes, hours, days, months, timezone):
    local = f"cron({minutes} {hours} {days[0]} {months} {days[1]} *)"
    rule = convert_to_utc(local, timezone, TODAY).expression
    if rule:
        there = {at for of in read_slowly(local) for at in first_shown(of, timezone)}
        here = {at.replace(tzinfo=UTC) for at in read_slowly(rule)}
        assert {at for at in there ^ here if at.year in YEARS} == set()


@given(fields(0, 59), fields(0, 23), day_fields, fields(1, 12), fields(1970, 2199))
@example("5-25/5", "1-9/2", ("1-20/3", "?"), "1-7/2", "1972-2096/4,2104-2196/4")
def test_what_is_spelled_means_the_same(minutes, hours, days, months, years):
    cron = parse_cron(f"{minutes} {hours} {days[0]} {months} {days[1]} {years}")
    assert parse_cron(spell_cron(cron)[5:-1]) == cron


def test_what_a_rule_cannot_hold_is_not_offered():
    years = "1970-2060/2,1973-2199/6,1975-2199/10,1972-2199/14,1971-2199/22,1974-2199/26"
    rule = convert_to_utc(f"cron(0 9 * * ? {years})", "Asia/Tokyo", TODAY)
    assert rule.expression == ""
    assert "expected at most 256 characters" in rule.reason
