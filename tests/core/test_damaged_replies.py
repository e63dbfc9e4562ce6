"""A reply that does not agree with its checksum is asked for again, whoever reads it."""

import json
from zlib import crc32

import pytest
from botocore.exceptions import ChecksumError

from dataops.core.control import Control
from dataops.core.dynamodb import get_item, get_items, query_page, scan_page
from dataops.core.pace import ATTEMPTS
from dataops.core.scan import RawScan
from dataops.core.writers import PutWriter
from dataops.errors import Retryable
from tests.core.dynamodb_fake import sending
from tests.core.keyed import KEYS, STAMP, item

ITEM = item(1)
KEY = {name: ITEM[name] for name in KEYS}


GOOD = json.dumps(
    {"Item": ITEM, "Items": [ITEM], "Responses": {"t": [ITEM]}, "UnprocessedKeys": {}, "UnprocessedItems": {}}
).encode()
"""What a server may answer to any of these calls."""
DAMAGE = {"another item": GOOD.replace(b"p1", b"p0"), "no text": GOOD.replace(b"p1", b"p\xff"), "no JSON": GOOD[1:]}
READERS = {
    "get": lambda access: get_item(access, "t", KEY),
    "batch get": lambda access: next(get_items(access, "t", [KEY])),
    "query": lambda access: query_page(access, "t", "pk", ITEM["pk"]).items[0],
    "scan": lambda access: scan_page(access, "t", STAMP).items[0],
    "raw scan": lambda access: json.loads(RawScan(access).read("t", STAMP, None, 0, 1)[0])["Items"][0],
    "put": lambda access: PutWriter(access, "t", KEYS).write([ITEM]) or ITEM,
}


def damaged(body):
    return lambda puts: (200, body, {"x-amz-crc32": str(crc32(GOOD))})


@pytest.mark.parametrize("body", DAMAGE.values(), ids=list(DAMAGE))
@pytest.mark.parametrize("read", READERS.values(), ids=list(READERS))
def test_a_damaged_reply_is_asked_for_again(monkeypatch, read, body):
    with sending(monkeypatch, damaged(body), lambda puts: (200, GOOD)) as (fake, _, access):
        assert read(access) == ITEM
        assert (len(fake.calls), access.used.retries) == (2, 1)


@pytest.mark.parametrize("read", READERS.values(), ids=list(READERS))
def test_replies_that_stay_damaged_are_never_taken(monkeypatch, read):
    with sending(monkeypatch, *[damaged(DAMAGE["another item"])] * 50) as (fake, _, access):
        with pytest.raises(Retryable, match=r"DynamoDB table t: no answer \(ChecksumError\)"):
            read(access)
        assert len(fake.calls) == ATTEMPTS


def test_the_control_table_takes_no_damaged_reply_either(monkeypatch):
    with sending(monkeypatch, *[damaged(DAMAGE["another item"])] * 50) as (fake, _, _):
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        monkeypatch.setenv("DATAOPS_CONTROL_TABLE", "t")
        with pytest.raises(ChecksumError):
            Control("r").record()
        assert len(fake.calls) == 5
