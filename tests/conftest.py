"""What every test may ask for: one embedded stack for the whole session, started when first wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from dataops.local.mysqld import Flavor
from dataops.local.sample import write_sample
from dataops.local.stack import Stack, start
from dataops.workbook.demo import open_server
from tests.deploy.calls import calls_of_functions, refused_calls

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
    """Notebook cells ask for no fixture: start the stack before them, in each process that runs tests."""
    config = session.config
    only_leads = bool(config.getoption("numprocesses", None)) and not hasattr(config, "workerinput")
    if config.getoption("nbval", False) and not only_leads:
        session_stack(SERVERS[0])


class ByFile(LoadScopeScheduling):
    """Of the processes that share the tests, one runs a file's on one kind of servers, one after the other.

    The notebooks are one after the other too: the fifth compares what the fourth has copied.
    """

    def _split_scope(self, nodeid: str) -> str:
        path, _, name = nodeid.partition("::")
        if path.endswith(".ipynb"):
            return "notebooks"
        return path + next((flavor for flavor in SERVERS if flavor and f"[{flavor}" in name), "")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Whole files go to a process: a notebook's cells are one run, and servers of a module's own start once."""
    return ByFile(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A notebook's kernel finds the first stack in its environment, whatever ran before it."""
    if item.path.suffix == ".ipynb":
        os.environ.update(session_stack(SERVERS[0]).info.variables)


def _turn(item: pytest.Item) -> int:
    callspec = getattr(item, "callspec", None)
    return SERVERS.index(callspec.params.get("stack", SERVERS[0])) if callspec else 0


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests on the second kind of servers come last: before them the environment points at the first.

    There are such tests where data goes through a server: end to end, unless a test is marked with `one_server`.
    """

    def is_wanted(item: pytest.Item) -> bool:
        return not _turn(item) or ("end_to_end" in item.path.parts and not item.get_closest_marker("one_server"))

    config.hook.pytest_deselected(items=[item for item in items if not is_wanted(item)])
    items[:] = sorted(filter(is_wanted, items), key=_turn)


@pytest.fixture(scope="session", params=SERVERS, ids=lambda flavor: flavor or "server")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A running embedded stack; `os.environ` points at it. Tests share it: use names of your own.

    In the end whatever functions called in it, in whichever test, must be allowed by their roles.
    """
    stack = session_stack(request.param)
    os.environ.update(stack.info.variables)
    yield stack
    assert refused_calls(calls_of_functions(Path(stack.info.folder))) == []


def pytest_sessionfinish() -> None:
    """Stop what was started."""
    for stack in _started:
        stack.stop()
