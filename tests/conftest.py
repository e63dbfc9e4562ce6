"""What every test may ask for: one embedded stack for the whole session, started when first wanted."""

from __future__ import annotations

import os
from functools import cache

import pytest

from dataops.local.sample import write_sample
from dataops.local.stack import Stack, start
from dataops.workbook.demo import open_server


@cache
def session_stack() -> Stack:
    """The session's stack with the sample shop in its source, its variables exported: notebooks' kernels and subprocesses inherit them."""
    stack = start(f"tests-{os.getpid()}", detach=False)
    os.environ.update(stack.info.variables)
    with open_server(stack.info.source) as connection:
        write_sample(connection)
    return stack


def pytest_sessionstart(session: pytest.Session) -> None:
    """Notebook cells ask for no fixture: start the stack before them."""
    if session.config.getoption("nbval", False) or session.config.getoption("nbval_lax", False):
        session_stack()


def pytest_sessionfinish() -> None:
    """Stop what was started."""
    if session_stack.cache_info().currsize:
        session_stack().stop()


@pytest.fixture(scope="session")
def stack() -> Stack:
    """A running embedded stack; `os.environ` points at it. Tests share it: use names of your own."""
    return session_stack()
