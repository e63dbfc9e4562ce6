"""References: no row that is about to be published may refer to one that is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dataops.core.mysql import errors_located, execute, quote_name, quote_table
from dataops.core.records import Plan, Record
from dataops.core.staging import staging_name
from dataops.errors import Unaccounted

if TYPE_CHECKING:
    from pymysql.connections import Connection


class Reference(NamedTuple):
    """A foreign key of the source between two tables of a flow: columns of `child`, each with the one of `parent`."""

    child: Plan
    parent: Plan
    columns: tuple[tuple[str, str], ...]

    @property
    def named(self) -> str:
        """The columns that refer."""
        return ", ".join(column for column, _ in self.columns)


def list_references(plans: Sequence[Plan]) -> Iterator[Reference]:
    """The source's foreign keys among these tables whose columns the targets have as well."""
    tables = {(plan.batch.source.secret, plan.source.database, plan.source.name): plan for plan in plans}
    for child in plans:
        for key in child.source.outgoing:
            parent = tables.get((child.batch.source.secret, key.database, key.references))
            if parent and all(child.target.has(one) and parent.target.has(other) for one, other in key.columns):
                yield Reference(child, parent, key.columns)


def is_whole(record: Record, plan: Plan) -> bool:
    """Whether the run copies all rows of its source, so that what refers to one of them finds it."""
    return not (record.rejected or record.dropped or plan.batch.source.where)


def require_references(connection: Connection, references: Sequence[Reference]) -> None:
    """Raises Unaccounted when a staging table has rows that refer to no row of another's; a NULL refers to nothing."""
    for reference in references:
        child, parent = reference.child.target.name, reference.parent.target.name
        with errors_located(f"target {child}: looking for the rows of {parent} that it refers to"):
            ((lost,),) = execute(connection, _count_lost(reference))
        if int(lost):
            raise Unaccounted(
                f"target {child}: {int(lost):,} rows refer by {reference.named} to rows of {parent} that are not there: the "
                "source changed while it was read; nothing was published, run the flow again"
            )


def _count_lost(reference: Reference) -> str:
    child, parent = (
        quote_table(plan.target.database, staging_name(plan)) for plan in (reference.child, reference.parent)
    )
    same = " AND ".join(f"p.{quote_name(other)} = c.{quote_name(one)}" for one, other in reference.columns)
    given = " AND ".join(f"c.{quote_name(one)} IS NOT NULL" for one, _ in reference.columns)
    return f"SELECT COUNT(*) FROM {child} c WHERE {given} AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {same})"
