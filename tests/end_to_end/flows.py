"""A flow of two tables, one of which refers to the other, and the servers' own view of what became of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dataops.flow import Flow, parse_flow
from dataops.local.servers import ServerInfo
from dataops.workbook.flow import run_flow
from dataops.workbook.result import FlowResult

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Case

ROWS = 300


class Shop:
    """`customers` and `orders` are cases; each order refers to a customer, and both tables have a column `day`."""

    def __init__(self, make: Callable[[], Case]) -> None:
        self.customers, self.orders = make(), make()
        self.customers.source("CREATE TABLE {t} (id INT PRIMARY KEY, day INT NOT NULL)")
        self.orders.source(
            f"CREATE TABLE {{t}} (id INT PRIMARY KEY, customer INT, day INT NOT NULL, "
            f"FOREIGN KEY (customer) REFERENCES {self.customers.name} (id))"
        )
        self.customers.source("INSERT INTO {t} VALUES (%s, 0)", *((n,) for n in range(1, ROWS + 1)))
        self.orders.source("INSERT INTO {t} VALUES (%s, %s, 0)", *((n, n) for n in range(1, ROWS + 1)))

    @property
    def cases(self) -> tuple[Case, Case]:
        """Both tables."""
        return self.customers, self.orders

    def flow(self, **parts: Any) -> Flow:
        """The flow of both, with changes."""
        names = {} if "steps" in parts else {"batches": [case.name for case in self.cases]}
        return parse_flow({"flow": f"f-{self.customers.name.replace('_', '-')}", "workers": 1, **names, **parts})

    def run(self, flow: Flow | None = None, **options: Any) -> FlowResult:
        """Run the flow, creating the targets where they are missing."""
        batches = {case.name: case.batch() for case in self.cases}
        return run_flow(flow or self.flow(), batches, folder=self.orders.folder, **{"create_target": True, **options})

    def next_day(self) -> int:
        """Every row of both tables changes, and each gets a new one; gives the day."""
        ((day,),) = self.orders.source("SELECT MAX(day) + 1 FROM {t}")
        for case in self.cases:
            case.source(f"UPDATE {{t}} SET day = {day}")
        self.customers.source(f"INSERT INTO {{t}} VALUES ({ROWS + day}, {day})")
        self.orders.source(f"INSERT INTO {{t}} VALUES ({ROWS + day}, {ROWS + day}, {day})")
        return int(day)

    def days(self) -> tuple[int, ...]:
        """The lowest and highest day of customers, then of orders, and orders without their customer: one statement."""
        sides = ", ".join(f"(SELECT {of}(day) FROM {case.name})" for case in self.cases for of in ("MIN", "MAX"))
        lost = f"(SELECT COUNT(*) FROM {self.orders.name} o LEFT JOIN {self.customers.name} c ON c.id = o.customer WHERE c.id IS NULL)"
        return tuple(self.orders.target(f"SELECT {sides}, {lost}")[0])

    def connect_target(self, server: ServerInfo) -> None:
        """Ask this server from now on for what the targets hold."""
        for case in self.cases:
            case.connect_target(server)

    def is_all_of(self, day: int) -> bool:
        """Whether both targets are as both sources were on that day, by the targets' own words."""
        return self.days() == (day, day, day, day, 0)

    def assert_survived(self, result: FlowResult) -> None:
        """The flow succeeded: both targets equal their sources, nothing is left beside them."""
        assert (result.status, result.record.cause, result.record.published) == ("succeeded", "", True)
        assert [(of.status, of.record.adds_up, of.record.published) for of in result.runs] == [
            ("succeeded", True, True)
        ] * 2
        for case in self.cases:
            assert case.source("SELECT * FROM {t} ORDER BY id") == case.target("SELECT * FROM {t} ORDER BY id")
            assert case.leftovers() == []
