"""What a copy counts: by itself, and so that a second reading can be held against it."""

import pytest

from dataops.core.dynamodb import Limiter
from tests.end_to_end.steps import copy_all, planned


def test_the_limit_holds_over_all_pages_of_a_worker(numbers, monkeypatch):
    now, slept = 1000.0, []

    def limiter_of(rate):
        return Limiter(rate, lambda: now + sum(slept), slept.append)

    monkeypatch.setattr("dataops.core.task.Limiter", limiter_of)
    numbers.source("INSERT INTO {t} VALUES (%s, 'c', 'x')", *((number,) for number in range(4, 2501)))
    with planned(numbers, "run", numbers.batch(dynamodb__max_write_units=1000)) as task:
        copy_all(task)
    assert sum(slept) == pytest.approx(1.5)
