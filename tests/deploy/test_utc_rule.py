"""A local schedule as a UTC rule: what is given fires at the same instants; what cannot be given says why."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataops.deploy.schedule import list_firings, parse_schedule
from dataops.deploy.utc_rule import convert_to_utc
from tests.deploy.test_schedule import day_fields, fields

TODAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, tzinfo=UTC)


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
        ("rate(5 minutes)", "Asia/Tokyo", "rate(5 minutes)"),
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
        ("at(2027-01-01T00:00:00)", "Asia/Tokyo", "at() is Scheduler's"),
    ],
)
def test_where_there_is_none_it_says_why(expression, timezone, words):
    rule = convert_to_utc(expression, timezone, TODAY)
    assert rule.expression == ""
    assert words in rule.reason


LAST_DAY = datetime(2199, 12, 31, tzinfo=UTC)
"""On it, by UTC, some local times are in a year that no expression knows."""


@given(
    st.integers(0, 59).map(str),
    fields(0, 23),
    day_fields,
    st.one_of(st.just("*"), fields(1, 12)),
    st.sampled_from(["Asia/Tokyo", "Asia/Kolkata", "Pacific/Honolulu", "Pacific/Kiritimati", "UTC"]),
)
def test_a_rule_fires_at_the_same_instants(minutes, hours, days, months, timezone):
    local = f"cron({minutes} {hours} {days[0]} {months} {days[1]} *)"
    rule = convert_to_utc(local, timezone, TODAY)
    if rule.expression:
        there = list_firings(parse_schedule(local, timezone), NOW, timezone, 500)
        here = list_firings(parse_schedule(rule.expression), NOW, count=500)
        assert [at for at in here if at < LAST_DAY] == [at for at in there if at < LAST_DAY]
