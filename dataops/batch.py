"""A batch file as a value: what to copy, how it lies in DynamoDB, where it goes.

The one declaration of a batch is a YAML file (`stepfunctions/batches/orders.yml`). `read_batch` gives it as a
frozen `Batch`, or raises one located `BatchFileError`. The same value, as JSON, is the state machine's input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from dataops._wording import did_you_mean as did_you_mean
from dataops._wording import parse_declared

BATCH_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
DYNAMODB_NAME = re.compile(r"[A-Za-z0-9_.-]{3,255}")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
TRANSFORM_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_NAME_EXPECTED = "expected 3 to 255 letters, digits, . - or _"

EmptyString: TypeAlias = Literal["to_null", "keep", "omit"]
KeyType: TypeAlias = Literal["S", "N", "B"]


class _Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a batch file: unknown keys are refused."""


class Schedule(_Declared, frozen=True):
    """When the batch starts: an EventBridge expression; a time zone makes it a Scheduler schedule."""

    expression: str
    timezone: str | None = None


class Source(_Declared, frozen=True):
    """The table that is read, narrowed by `columns` and `where` (SQL); `consistency` says what is as of one instant."""

    secret: str
    table: str
    database: str | None = None
    columns: tuple[str, ...] | None = None
    where: str | None = None
    consistency: Literal["chunk", "snapshot"] = "chunk"


class KeyTemplate(_Declared, frozen=True):
    """A key attribute built from columns: `CUSTOMER#{customer_id}`."""

    name: str
    template: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in the template's placeholders, in order."""
        return tuple(PLACEHOLDER.findall(self.template))


Key: TypeAlias = str | KeyTemplate


class Include(_Declared, frozen=True):
    """The attributes that an index carries besides its keys."""

    include: tuple[str, ...]


class _Keyed(_Declared, frozen=True):
    """What DynamoDB finds items in by key: a table or an index."""

    partition_key: Key
    sort_key: Key | None = None

    @property
    def keys(self) -> tuple[Key, ...]:
        """The partition key and, where there is one, the sort key."""
        return (self.partition_key,) if self.sort_key is None else (self.partition_key, self.sort_key)


class Index(_Keyed, frozen=True, kw_only=True):
    """A global secondary index."""

    name: str
    projection: Literal["ALL", "KEYS_ONLY"] | Include = "ALL"


class AccessPattern(_Declared, frozen=True):
    """A question that the items are to answer: those whose columns `equals` have certain values.

    `attributes` are the columns that the answer needs (all, unless named). Only notebook 03 asks; a run does not.
    """

    name: str
    equals: tuple[str, ...] = ()
    attributes: tuple[str, ...] | None = None
    reads_per_day: int = 0


class DynamoDB(_Keyed, frozen=True, kw_only=True):
    """How the rows lie in DynamoDB. `max_write_units` and `max_read_units` are in units a second, over all workers.

    `key_types` says of which type the key columns are, so that the table can be made where the source is out of reach.
    """

    table: str
    indexes: tuple[Index, ...] = ()
    key_types: dict[str, KeyType] = {}
    write: Literal["put", "update"] = "put"
    max_write_units: int | None = None
    max_read_units: int | None = None
    access_patterns: tuple[AccessPattern, ...] = ()

    @property
    def all_keys(self) -> tuple[Key, ...]:
        """The keys of the table, then of its indexes; each attribute once."""
        keys = [*self.keys, *(key for index in self.indexes for key in index.keys)]
        return tuple({key_name(key): key for key in keys}.values())


class ColumnRule(_Declared, frozen=True):
    """What one column does differently."""

    as_: Literal["S", "N", "B", "document", "set", "bool"] | None = msgspec.field(default=None, name="as")
    empty_string: EmptyString | None = None


class Normalize(_Declared, frozen=True):
    """How values become attributes; `''` becomes NULL unless said otherwise."""

    empty_string: EmptyString = "to_null"
    columns: dict[str, ColumnRule] = {}

    def empty_string_of(self, column: str) -> EmptyString:
        """The rule for `''` in `column`."""
        rule = self.columns.get(column)
        return (rule and rule.empty_string) or self.empty_string


class Transform(_Declared, frozen=True):
    """A pure function `module:function`, row -> row or None, and the MySQL types of the columns it adds."""

    function: str
    adds: dict[str, str] = {}


class Query(_Declared, frozen=True):
    """Read back one partition of the table."""

    partition_key: str | int


class Read(_Declared, frozen=True):
    """Read back by a Query: one partition, or a whole index."""

    query: Query | None = None
    index: str | None = None


class Target(_Declared, frozen=True):
    """The table that is published, and how its rows are read back from DynamoDB."""

    secret: str
    table: str
    database: str | None = None
    mode: Literal["swap", "upsert"] = "swap"
    read: Literal["scan"] | Read = "scan"


class Batch(_Declared, frozen=True):
    """One table's way from source to target."""

    batch: str
    source: Source
    dynamodb: DynamoDB
    target: Target
    schedule: Schedule | None = None
    normalize: Normalize = Normalize()
    transform: str | Transform | None = None
    on_reject: Literal["fail", "continue"] = "fail"

    @property
    def stamp(self) -> str:
        """The name of the number attribute that says which generation of this batch wrote an item."""
        return f"_gen_{self.batch}"

    @property
    def function(self) -> str | None:
        """The transform as `module:function`."""
        return self.transform.function if isinstance(self.transform, Transform) else self.transform

    @property
    def added_columns(self) -> Mapping[str, str]:
        """MySQL types of the columns that the transform adds, by name."""
        return self.transform.adds if isinstance(self.transform, Transform) else {}

    @property
    def read_index(self) -> Index | None:
        """The index that the target is read back through, if any."""
        read = self.target.read
        name = read.index if isinstance(read, Read) else None
        return next((index for index in self.dynamodb.indexes if index.name == name), None)

    @property
    def read_query(self) -> Query | None:
        """The one partition that the target is read back from, if any."""
        read = self.target.read
        return read.query if isinstance(read, Read) else None


def key_name(key: Key) -> str:
    """The attribute that a key is stored in."""
    return key.name if isinstance(key, KeyTemplate) else key


def key_columns(key: Key) -> tuple[str, ...]:
    """The columns that a key is made of."""
    return key.columns if isinstance(key, KeyTemplate) else (key,)


def parse_batch(declared: Any, where: str = "batch") -> Batch:
    """The batch in a mapping (parsed YAML, or the execution's input); `where` begins every error's text.

    Raises BatchFileError for an unknown key, a wrong type, or parts that contradict each other.
    """
    return parse_declared(declared, Batch, _PARTS, _contradictions, where)


def read_batch(path: Path) -> Batch:
    """The batch in a YAML file. Raises BatchFileError: one line with file, place, what is wrong."""
    from dataops._yaml import read_yaml

    return parse_batch(read_yaml(path), path.name)


_PARTS: dict[str, type[msgspec.Struct]] = {
    "the top level": Batch, "schedule": Schedule, "source": Source, "dynamodb": DynamoDB,
    "dynamodb.indexes": Index, "normalize": Normalize, "normalize.columns": ColumnRule,
    "transform": Transform, "target": Target, "target.read": Read,
}  # fmt: skip


def _contradictions(batch: Batch) -> Iterator[str]:
    """What types alone cannot say, each located."""
    if not BATCH_NAME.fullmatch(batch.batch):
        yield "batch: expected a letter, then up to 39 letters, digits, - or _"
    yield from _table_problems(batch.dynamodb)
    yield from _read_problems(batch)
    if batch.function is not None and not TRANSFORM_PATH.fullmatch(batch.function):
        yield "transform: expected module:function"


def _key_problems(place: str, key: Key) -> Iterator[str]:
    if isinstance(key, str):
        if not key:
            yield f"{place}: expected a column or {{name, template}}, found an empty name"
        return
    if not key.name:
        yield f"{place}.name: expected the name of an attribute, found an empty one"
    if re.search(r"[{}]", PLACEHOLDER.sub("", key.template)):
        yield f"{place}.template: a brace has no partner"
    if not key.columns or not all(key.columns):
        yield f"{place}.template: expected at least one {{column}}, and no empty one"
    if "}{" in key.template:
        yield f"{place}.template: two columns need text between them, or different rows could share one key"
    if "%" in key.template or re.search(r"\}([0-9A-Fa-f]|[^\x00-\x7f])", key.template):
        yield (
            f"{place}.template: text after a column must begin with an ASCII character that is no hexadecimal digit, "
            "and % is reserved: values are percent-escaped"
        )


def _table_problems(table: DynamoDB) -> Iterator[str]:
    templates: dict[str, str] = {}
    yield from _keyed_problems("dynamodb", table, templates)
    if not DYNAMODB_NAME.fullmatch(table.table):
        yield f"dynamodb.table: {_NAME_EXPECTED}"
    for kind, most in (("write", table.max_write_units), ("read", table.max_read_units)):
        if most is not None and most < 1:
            yield f"dynamodb.max_{kind}_units: expected 1 or more {kind} units a second, found {most}"
    columns = [key for key in table.all_keys if isinstance(key, str)]
    for name in table.key_types:
        if name not in columns:
            made = ": a template makes it, so it is S; leave it out" if name in templates else ""
            yield f"dynamodb.key_types: '{name}' is no column that keys the table or an index{made or did_you_mean(name, columns)}"
    seen: set[str] = set()
    for number, index in enumerate(table.indexes):
        place = f"dynamodb.indexes[{number}]"
        if not DYNAMODB_NAME.fullmatch(index.name):
            yield f"{place}.name: {_NAME_EXPECTED}"
        if index.name in seen:
            yield f"{place}.name: '{index.name}' is already the name of another index"
        seen.add(index.name)
        yield from _keyed_problems(place, index, templates)


def _keyed_problems(place: str, keyed: _Keyed, templates: dict[str, str]) -> Iterator[str]:
    """What is wrong with the keys of a table or an index; `templates` holds those met so far, by attribute."""
    for part, key in zip(("partition_key", "sort_key"), keyed.keys, strict=False):
        yield from _key_problems(f"{place}.{part}", key)
    names = [key_name(key) for key in keyed.keys]
    if len(set(names)) < len(names):
        yield f"{place}.sort_key: is the same attribute as the partition key, {names[0]}"
    for key in keyed.keys:
        if isinstance(key, KeyTemplate) and templates.setdefault(key.name, key.template) != key.template:
            yield f"{place}: attribute '{key.name}' already has another template"


def _read_problems(batch: Batch) -> Iterator[str]:
    read = batch.target.read
    if not isinstance(read, Read):
        return
    if (read.query is None) == (read.index is None):
        yield "target.read: expected scan, {query: {partition_key: V}} or {index: NAME}"
    elif read.index is not None and batch.read_index is None:
        names = [index.name for index in batch.dynamodb.indexes]
        yield f"target.read.index: '{read.index}' is not in dynamodb.indexes{did_you_mean(read.index, names)}"
    elif read.query is not None and batch.target.mode == "swap":
        yield "target.mode: a query reads one partition only and cannot swap the whole table; use upsert"
