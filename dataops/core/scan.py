"""The pages of a scan as DynamoDB sends them, for a reader of its own: boto3 does the rest, but for the parsing."""

from __future__ import annotations

from typing import Any

from dataops.core.dynamodb import Access, scan_request
from dataops.core.item import Item


class RawScan:
    """Scans with the client of an `Access`: its retries, credentials, signatures, limits. Units are the reader's to spend.

    botocore parses nothing of a page: its event `before-parse` gives the body away.
    """

    def __init__(self, access: Access) -> None:
        self._access, self._client, self._wanted = access, access.client, False
        access.client.meta.events.register("before-parse.dynamodb", self._keep_body)  # after `check_replies`

    def read(self, table: str, stamp: str, cursor: Item | None, segment: int, segments: int) -> tuple[bytes, bool]:
        """The body of one page, and whether it was limited. Raises what stands at `dynamodb_error`."""
        asked = scan_request(self._access, table, stamp, cursor, segment, segments)
        send: Any = self._access.send
        body: bytes = send(table, self._scan, self._access.reads, ReturnConsumedCapacity="TOTAL", **asked)
        return body, "Limit" in asked

    def _scan(self, **given: Any) -> bytes:
        self._wanted = True
        try:
            reply: Any = self._client.scan(**given)
        finally:
            self._wanted = False
        body: bytes = reply["Body"]
        return body

    def _keep_body(self, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
        if self._wanted and response_dict["status_code"] == 200:
            customized_response_dict["Body"], response_dict["body"] = response_dict["body"], b"{}"
