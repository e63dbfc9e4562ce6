"""What every state's work starts from: the plan, the control table, and connections made when first needed.

What only some states need is imported where it is used: every function's start compiles all that it imports.
"""

from __future__ import annotations

import importlib
import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from dataops.batch import Batch, key_columns, key_name
from dataops.core.control import Control
from dataops.core.dynamodb import PAGE_SECONDS, Access, dynamodb_client
from dataops.core.item import Attribute, Item
from dataops.core.pace import Limiter
from dataops.core.records import Plan
from dataops.core.telemetry import count
from dataops.errors import BatchFileError, Permanent, Unaccounted

if TYPE_CHECKING:
    from types import TracebackType

    from pymysql.connections import Connection

    from dataops.core.convert import Raw
    from dataops.core.mysql import PlainReader
    from dataops.core.normalize import Codec, TransformFunction
    from dataops.core.page import Source
    from dataops.core.schema import Column
    from dataops.core.sender import Sender
    from dataops.core.writers import Writer

MAX_PARTITIONS, PARTITION_BYTES = 5000, 200_000


class Task:
    """One run's plan with the means to work on it. Use it as a context manager: at its end it closes its connections and
    counts what it has taken of DynamoDB."""

    def __init__(self, control: Control, plan: Plan) -> None:
        self.control, self.plan = control, plan
        self._open = ExitStack()
        self._accesses: list[Access] = []

    @classmethod
    def open(cls, run: str) -> Self:
        """The task of a run. Raises Cancelled when somebody asked for the run to stop."""
        control = Control(run)
        return cls(control, control.plan())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()
        for access in self._accesses:
            count(**asdict(access.used))

    @cached_property
    def dynamodb(self) -> Access:
        """DynamoDB with all read and write units of the batch, for states that run alone."""
        return self._access(1)

    @cached_property
    def shared_dynamodb(self) -> Access:
        """DynamoDB with one worker's share of the units, for states that run several at a time."""
        return self._access(self.plan.workers)

    def _access(self, workers: int) -> Access:
        table = self.plan.batch.dynamodb
        reads, writes = (most and most / workers for most in (table.max_read_units, table.max_write_units))
        self._accesses.append(Access(dynamodb_client(attempts=1), Limiter(reads), Limiter(writes)))
        return self._accesses[-1]

    @cached_property
    def source_connection(self) -> Connection:
        """The connection to the source server."""
        return self._connect(self.plan.batch.source.secret, side="source")

    @cached_property
    def target_connection(self) -> Connection:
        """The connection to the target server."""
        return self._connect(self.plan.batch.target.secret, side="target")

    @cached_property
    def loading_connection(self) -> Connection:
        """A connection to the target server that may load from memory."""
        return self._connect(self.plan.batch.target.secret, infile=True, side="target")

    def _connect(self, secret: str, **options: Any) -> Connection:
        from dataops.core.connection import open_connection

        return self._open.enter_context(open_connection(secret, **options))

    @contextmanager
    def source_snapshot(self) -> Iterator[str]:
        """Within it the source connection reads the tables as they are now (InnoDB), without locking a row.

        Gives that instant by the server's clock, in UTC (ISO-8601). Until its end the server holds back changes of the
        table's definition.
        https://dev.mysql.com/doc/refman/8.4/en/innodb-consistent-read.html
        """
        from dataops.core.mysql import errors_located, execute

        with errors_located(f"source {self.plan.source.name}: taking a snapshot"):
            execute(self.source_connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            execute(self.source_connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            ((instant,),) = execute(self.source_connection, "SELECT UTC_TIMESTAMP(3)")
        yield f"{instant.replace(' ', 'T')}Z"
        with errors_located(f"source {self.plan.source.name}: ending a snapshot"):
            self.source_connection.commit()

    @cached_property
    def codec(self) -> Codec:
        """The batch's codec, with its transform."""
        from dataops.core.normalize import Codec

        plan = self.plan
        return Codec(plan.batch, plan.source, plan.target, load_transform(plan.batch))

    def source_reader(self) -> PlainReader:
        """A reader of the source's selected columns in key order."""
        from dataops.core.mysql import PlainReader, quote_table
        from dataops.core.normalize import reading_key, selected_columns

        plan, source = self.plan, self.plan.source
        table = quote_table(source.database, source.name)
        columns = selected_columns(plan.batch, source)
        return PlainReader(
            self.source_connection, table, columns, reading_key(plan.batch, source), plan.batch.source.where
        )

    def source_pages(self) -> Source:
        """The source's pages as item texts: off the wire, or the plain way where `why_plain` has a reason for it."""
        from dataops.core.page import PlainSource
        from dataops.core.rowcode import why_plain
        from dataops.core.wire import WireSource

        reader = self.source_reader()
        return PlainSource(reader, self.codec) if why_plain(self.codec) else WireSource(reader, self.codec)

    @cached_property
    def writer(self) -> Writer:
        """The one writer of the batch's `write` mode; its share of `max_write_units` is one worker's."""
        from dataops.core.writers import PutWriter, UpdateWriter

        table, access = self.plan.batch.dynamodb, self.shared_dynamodb
        if table.write == "put":
            return PutWriter(access, table.table, self.key_names)
        return UpdateWriter(access, table.table, self.key_names, (*self.owned, self.plan.batch.stamp))

    @cached_property
    def sender(self) -> Sender | None:
        """The fast writer of item texts; None where `writer` has to do it: updates, and rows that may share a key."""
        table = self.plan.batch.dynamodb
        if table.write == "update" or not self._rows_have_keys_of_their_own():
            return None
        from dataops.core.sender import Sender

        return Sender(self.shared_dynamodb, table.table, self.key_names)

    @property
    def why_written_plainly(self) -> str:
        """Why boto3's client writes the items; nothing where it does not."""
        if self.sender:
            return self.sender.why_plain
        return (
            "write: update"
            if self.plan.batch.dynamodb.write == "update"
            else "no unique key of the source keys the items"
        )

    def _rows_have_keys_of_their_own(self) -> bool:
        """Whether the source itself keeps two rows from having one DynamoDB key."""
        return self.plan.source.tells_apart(
            {name for key in self.plan.batch.dynamodb.keys for name in key_columns(key)}
        )

    @property
    def page_rows(self) -> int:
        """Rows that a page of the copy holds; a limited worker has units for them, at one each, within five seconds."""
        most = self.shared_dynamodb.writes.most
        return self.plan.page_rows if most is None else max(1, min(self.plan.page_rows, int(most * PAGE_SECONDS)))

    @property
    def key_names(self) -> list[str]:
        """The attributes that key the DynamoDB table."""
        return [key_name(key) for key in self.plan.batch.dynamodb.keys]

    @property
    def owned(self) -> list[str]:
        """The batch's own attributes without the table's keys."""
        return [name for name in self.codec.attributes if name not in self.key_names]

    def target_columns(self) -> tuple[Column, ...]:
        """The target's columns that are written, with the target's own types."""
        return tuple(self.plan.target.column(column.name) for column in self.codec.outputs)

    @cached_property
    def query_value(self) -> Attribute | None:
        """The partition that `read: query` names, as an attribute."""
        query = self.plan.batch.read_query
        if query is None:
            return None
        return {self.codec.key_type(self.plan.batch.dynamodb.partition_key): str(query.partition_key)}

    def in_partition(self, table: str = "") -> tuple[str, list[Raw]]:
        """SQL, with its arguments, for the target's rows of that partition; nothing where all are read.

        DynamoDB tells partitions apart by their bytes: values that MySQL takes for equal are other ones, but for numbers.
        """
        from dataops.core.mysql import quote_name

        key = self.plan.batch.dynamodb.partition_key
        if self.query_value is None or not isinstance(key, str):
            return "", []
        column, raw = f"{table}{quote_name(key)}", self.codec.fields[key].load({key: self.query_value})
        if "N" in self.query_value:
            return f"{column} = %s", [raw]
        same_bytes = f"CAST(CONVERT({column} USING utf8mb4) AS BINARY) = CAST(%s AS BINARY)"
        return f"{column} = %s AND {same_bytes}", [raw, raw]

    def require_few(self, partitions: Collection[str]) -> None:
        """Raises Permanent when these (packed) are more than one record of the control table holds beside the rest."""
        if len(partitions) > MAX_PARTITIONS or sum(map(len, partitions)) > PARTITION_BYTES:
            index = self.plan.batch.read_index
            raise Permanent(f"target.read: index {index.name if index else ''} has too many partitions; use scan")

    def in_scope(self, item: Item) -> bool:
        """Whether the item is one that the target is to receive."""
        return self.query_value is None or item[self.key_names[0]] == self.query_value

    def current_stamps(self) -> dict[str, int]:
        """The stamps that this run's items carry, with the chunk of each."""
        return {str(self.plan.stamp_of(chunk.id, chunk.attempt)): chunk.id for chunk in self.control.chunks()}

    def require_current(self, item: Item, current: dict[str, int]) -> None:
        """Raises Unaccounted when the item was not written by this run."""
        if item[self.plan.batch.stamp].get("N") not in current:
            raise Unaccounted(
                f"DynamoDB table {self.plan.batch.dynamodb.table}: expected only items of this run, found one that "
                "another wrote meanwhile; nothing was published, run again"
            )


def load_transform(batch: Batch) -> TransformFunction | None:
    """The batch's transform function. Raises BatchFileError when it cannot be imported."""
    if batch.function is None:
        return None
    module, _, name = batch.function.partition(":")
    try:
        function: TransformFunction = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise BatchFileError(f"transform: {batch.function} cannot be imported ({type(error).__name__})") from error
    return function


def pack_cursor(cursor: Item | None) -> str | None:
    """A LastEvaluatedKey as text."""
    if cursor is None:
        return None
    return json.dumps(cursor, default=lambda value: {"bytes": b64encode(bytes(value)).decode()})


def unpack_cursor(text: str | None) -> Item | None:
    """The inverse of `pack_cursor`."""

    def restore(value: dict[str, Any]) -> Any:
        return b64decode(value["bytes"]) if isinstance(value.get("bytes"), str) else value

    return None if text is None else json.loads(text, object_hook=restore)
