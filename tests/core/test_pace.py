"""How fast DynamoDB is used, and how long a call is repeated: by a clock that only moves when somebody sleeps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataops.core.pace import ATTEMPTS, LESS, PARTITION, STEP, Limiter, PageSize, Patience


class Watch:
    """A clock that moves when somebody sleeps, or when it is told to."""

    def __init__(self):
        self.now, self.slept = 1000.0, []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def limiter_of(rate):
    watch = Watch()
    return Limiter(rate, lambda: watch.now, watch.sleep), watch


def test_the_limiter_lets_its_rate_pass_over_time():
    limiter, watch = limiter_of(10)
    for _ in range(10):
        limiter.spend(10)
    assert sum(watch.slept) == pytest.approx(9.0)


def test_an_idle_limiter_saves_up_one_second_and_no_more():
    limiter, watch = limiter_of(10)
    watch.now += 3600
    limiter.spend(30)
    assert sum(watch.slept) == pytest.approx(2.0)


@pytest.mark.parametrize("rate", [0.5, 3])
def test_one_batch_beyond_the_rate_waits_but_passes(rate):
    limiter, watch = limiter_of(rate)
    limiter.spend(25)
    assert sum(watch.slept) == pytest.approx((25 - rate) / rate)


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 5)), max_size=30), st.integers(1, 50))
def test_never_more_passes_than_the_rate_and_one_second_saved_up(bursts, rate):
    limiter, watch = limiter_of(rate)
    spent = 0
    for count, idle in bursts:
        watch.now += idle
        limiter.spend(count)
        spent += count
        assert spent <= rate * (watch.now - 1000) + rate + 1e-6


def test_without_a_rate_nothing_waits():
    limiter, watch = limiter_of(None)
    limiter.spend(1000)
    assert watch.slept == []


def test_a_throttled_limiter_slows_down_at_most_once_a_second():
    limiter, watch = limiter_of(100)
    limiter.slow_down()
    limiter.slow_down()
    assert limiter.rate == pytest.approx(100 * LESS)
    watch.now += 1
    limiter.slow_down()
    assert limiter.rate == pytest.approx((100 * LESS + 100 * STEP) * LESS)


def test_a_throttled_limiter_has_nothing_saved_up():
    limiter, watch = limiter_of(100)
    limiter.slow_down()
    limiter.spend(35)
    assert sum(watch.slept) == pytest.approx(0.5)


def test_a_slowed_limiter_regains_its_rate_by_steps_and_no_more():
    limiter, watch = limiter_of(100)
    limiter.slow_down()
    rates = []
    for _ in range(8):
        watch.now += 1
        limiter.spend(0)
        rates.append(round(limiter.rate))
    assert rates == [75, 80, 85, 90, 95, 100, 100, 100]


@pytest.mark.parametrize(("most", "least"), [(None, 1), (100, 1), (0.25, 0.25)])
def test_a_limiter_throttled_for_ever_still_lets_something_through(most, least):
    limiter, watch = limiter_of(most)
    for _ in range(100):
        watch.now += 0.999 if most is None else 1
        limiter.slow_down()
    assert limiter.rate >= least
    limiter.spend(25)
    assert watch.now < 1000 + 200 + 25 / least


def test_without_a_rate_throttling_sets_one_until_it_has_recovered():
    limiter, watch = limiter_of(None)
    limiter.spend(3000)
    limiter.slow_down()
    assert limiter.rate == 3000 * LESS
    watch.now += 6
    limiter.spend(0)
    assert limiter.rate is None
    watch.now += 10
    limiter.spend(1)
    limiter.slow_down()
    assert limiter.rate == PARTITION * LESS


def patience_of(uniform, slow=0.0):
    watch = Watch()
    limits = []

    def clock():
        watch.now += slow
        return watch.now

    def drawn(low, high):
        limits.append((low, high))
        return uniform(low, high)

    return Patience(clock, watch.sleep, drawn), watch, limits


def test_each_wait_is_drawn_from_nothing_to_a_limit_that_doubles():
    patience, _, limits = patience_of(lambda low, high: low)
    waits = 0
    while patience.wait():
        waits += 1
    assert waits == ATTEMPTS - 1
    assert [low for low, _ in limits] == [0.0] * waits
    assert [high for _, high in limits] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0]


@given(st.lists(st.floats(0, 1), min_size=20, max_size=20))
def test_all_waiting_ends_within_twelve_seconds(parts):
    drawn = iter(parts)
    patience, watch, _ = patience_of(lambda _, high: next(drawn) * high)
    while patience.wait():
        pass
    assert sum(watch.slept) < 12


def test_slow_replies_use_up_patience_before_the_attempts():
    patience, _, _ = patience_of(lambda low, _: low, slow=11)
    assert patience.wait()
    assert not patience.wait()
    assert patience.attempts == 2


def test_what_comes_through_gives_new_patience():
    patience, _, limits = patience_of(lambda low, _: low)
    while patience.wait():
        pass
    patience.begin_again()
    assert patience.wait()
    assert limits[-1] == (0.0, 0.05)


@pytest.mark.parametrize(
    ("seconds", "rows"),
    [
        ([], 1000),
        ([0.5], 2000),
        ([0.1], 4000),
        ([0.5] * 9, 10_000),
        ([2.0] * 9, 1000),
        ([0.5] * 9 + [5.0], 5000),
        ([5.0] * 9, 1000),
    ],
)
def test_pages_grow_while_they_are_quick_and_shrink_when_they_are_slow(seconds, rows):
    size = PageSize(1000, 10_000)
    for taken in seconds:
        size.learn(taken)
    assert size.rows == rows


def test_pages_keep_their_size_where_that_was_set():
    size = PageSize(125, 0)
    size.learn(0.1)
    assert size.rows == 125
