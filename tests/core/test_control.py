"""What the control table keeps, and what time to live may remove from it."""

import os

import boto3

from dataops.core.control import KEPT_SECONDS, Control
from dataops.core.records import Chunk, Record, Rejection, Segment


def test_what_is_left_of_rows_expires_and_nothing_that_decides_who_may_write(stack):
    control, year = Control("expiring"), 366 * 24 * 3600
    began = control.now()
    chunk = Chunk(0)
    control.save_chunk(chunk)
    control.save_segment(Segment(0))
    control.save_rejections(chunk, 0, [Rejection({"id": "1"}, "v", "is too long")])
    control.save_record(Record("expiring", "expiring"))
    control.take_lease("expiring", "execution")
    control.claim_instant("expiring", "2026-01-01T00:00:00Z")
    control.open_generation("expiring")
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=os.environ["DATAOPS_CONTROL_TABLE"])
    mine = [i for page in pages for i in page["Items"] if "expiring" in i["pk"]["S"] + i["sk"]["S"]]
    expires = {item["sk"]["S"]: int(item["expires"]["N"]) for item in mine if "expires" in item}
    assert sorted(expires) == ["chunk#0000", "rejection#0000#00#000000000", "segment#0000"]
    assert len(mine) == 3 + 5
    assert all(began + year < at < began + KEPT_SECONDS + 60 for at in expires.values())
    control.release_lease("expiring", "execution")
