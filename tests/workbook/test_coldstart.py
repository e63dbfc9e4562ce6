"""Every handler's cold start is measured by what it really does; the figures are for people, so none is asserted."""

from dataops.deploy.package import build_zip, handlers
from dataops.workbook.coldstart import EVENTS, measure_cold_starts


def test_every_handler_starts_and_those_that_move_rows_move_a_page():
    told = []
    found = measure_cold_starts(told.append, rounds=1)
    assert told == ["round 1 of 1"]
    assert {f"dataops.handlers.{of.handler}.handler" for of in found.handlers} == set(handlers().values())
    assert {of.handler for of in found.handlers if of.page} == set(EVENTS)
    assert all(of.imports[0] > 0 for of in found.handlers)
    assert found.to_json()["zip_bytes"] == len(build_zip())
    assert len(found.table().rows) == len(found.handlers)
