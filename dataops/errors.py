"""Every error that dataops raises on purpose.

    DataOpsError
    ├── Permanent                 trying again cannot help: the state machine catches it and rolls back
    │   ├── BatchFileError        (ValueError)      a batch file or a parameter is wrong; says where
    │   ├── SchemaMismatch        (LookupError)     the batch does not fit the source, target or DynamoDB table
    │   ├── SecretError           (LookupError)     a secret is missing, malformed or refused
    │   ├── LeaseHeld             (RuntimeError)    another run holds the batch
    │   ├── Unaccounted           (AssertionError)  rows, items and rejections do not add up
    │   ├── Cancelled             (RuntimeError)    somebody asked for the run to stop
    │   └── StackError            (RuntimeError)    the embedded stack cannot start or is not there
    └── Retryable                 the same call may succeed later: the state machine tries again
        ├── Unreachable           (ConnectionError) a server or service did not answer
        ├── StillPublishing       (BlockingIOError) a session that was cut off has not ended yet
        ├── Throttled             (RuntimeError)    DynamoDB has no capacity left for now
        └── Unprocessed           (RuntimeError)    DynamoDB gave items back again and again

``Retryable`` and ``Permanent`` are the two names that the state machine's Retry and Catch know. Lambda
reports the class name of what a handler raises, and a subclass would not match; so `dataops.handlers.edge`
turns every error into exactly one of the two.

A message says where, what was expected, what was found (never a row's value) and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class DataOpsError(Exception):
    """The base of every error here; its text is one line, fit to be shown to a person."""


class Permanent(DataOpsError):
    """Trying again cannot help."""


class Retryable(DataOpsError):
    """The same call may succeed later."""


class BatchFileError(Permanent, ValueError):
    """A batch file, an argument or a parameter is wrong."""


class SchemaMismatch(Permanent, LookupError):
    """The batch does not fit the tables it names."""


class SecretError(Permanent, LookupError):
    """A secret is missing, malformed, or its credentials were refused."""


class LeaseHeld(Permanent, RuntimeError):
    """Another run holds the batch's lease."""


class Unaccounted(Permanent, AssertionError):
    """Rows, items, rejections and dropped rows do not add up, or two stores disagree."""


class Cancelled(Permanent, RuntimeError):
    """Somebody asked for the run to stop."""


class StackError(Permanent, RuntimeError):
    """The embedded stack cannot start, or is not there."""


class Unreachable(Retryable, ConnectionError):
    """A server or service did not answer."""


class StillPublishing(Retryable, BlockingIOError):
    """The server still works for a session of this batch whose function has ended."""


class Throttled(Retryable, RuntimeError):
    """DynamoDB has no capacity left for now."""


class Unprocessed(Retryable, RuntimeError):
    """DynamoDB gave items back again and again: `places` tells which of those that it was given."""

    def __init__(self, message: str, places: Sequence[int]) -> None:
        super().__init__(message)
        self.places = tuple(places)
