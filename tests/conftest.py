"""What every test may ask for: one embedded stack for the whole session, started when first wanted."""

from __future__ import annotations

import os
from functools import cache

import pytest
from hypothesis import settings

from dataops.local.mysqld import Flavor
from dataops.local.sample import write_sample
from dataops.local.stack import Stack, start
from dataops.workbook.demo import open_server

SERVERS = os.environ.get("DATAOPS_TEST_SERVERS", "").split() or [None]
"""Kinds of servers to run the tests on that want a stack: the one at hand, unless the environment names several."""

_started: list[Stack] = []

settings.register_profile("suite", deadline=None)
settings.register_profile("long", deadline=None, max_examples=10_000)
settings.load_profile("suite")


@cache
def session_stack(flavor: Flavor | None = None) -> Stack:
    """The session's stack with the sample shop in its source, its variables exported: notebooks' kernels and subprocesses inherit them."""
    stack = start(f"tests-{flavor or 'any'}-{os.getpid()}", detach=False, flavor=flavor)
    _started.append(stack)
    os.environ.update(stack.info.variables)
    with open_server(stack.info.source) as connection:
        write_sample(connection)
    return stack


def pytest_sessionstart(session: pytest.Session) -> None:
    """Notebook cells ask for no fixture: start the stack before them."""
    if session.config.getoption("nbval", False) or session.config.getoption("nbval_lax", False):
        session_stack(SERVERS[0])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests on the second kind of servers come last: before them the environment points at the first.

    There are such tests where data goes through a server: end to end, unless a test is marked with `one_server`.
    """

    def turn(item: pytest.Item) -> int:
        callspec = getattr(item, "callspec", None)
        return SERVERS.index(callspec.params.get("stack", SERVERS[0])) if callspec else 0

    def is_wanted(item: pytest.Item) -> bool:
        return not turn(item) or ("end_to_end" in item.path.parts and not item.get_closest_marker("one_server"))

    config.hook.pytest_deselected(items=[item for item in items if not is_wanted(item)])
    items[:] = sorted(filter(is_wanted, items), key=turn)


@pytest.fixture(scope="session", params=SERVERS, ids=lambda flavor: flavor or "server")
def stack(request: pytest.FixtureRequest) -> Stack:
    """A running embedded stack; `os.environ` points at it. Tests share it: use names of your own."""
    stack = session_stack(request.param)
    os.environ.update(stack.info.variables)
    return stack


def pytest_sessionfinish() -> None:
    """Stop what was started."""
    for stack in _started:
        stack.stop()
