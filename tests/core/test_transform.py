"""What a transform may not do is a rejection, and a secret stays one."""

import json

import pytest
from rich.pretty import pretty_repr

from dataops.core.normalize import Codec, Rejection
from dataops.core.secrets import parse_secret
from tests.samples import batch_of, column, table_of


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_mysql_does_not_have_is_rejected(number):
    codec = Codec(batch_of(), table_of(column("v", "double")), None, lambda row: {**row, "v": number})
    reason = "the transform gave a number that MySQL does not have"
    assert codec.encode(("1", "2.5")) == Rejection({"id": "1"}, "v", reason)


def test_a_column_of_the_dynamodb_key_may_not_change_even_if_it_is_not_in_the_primary_key():
    source = table_of(column("v", "varchar(9)", nullable=False))
    codec = Codec(batch_of(dynamodb__sort_key="v"), source, None, lambda row: {**row, "v": "other"})
    assert codec.encode(("1", "x")) == Rejection({"id": "1"}, "v", "the transform changed a key column")


def test_no_way_of_printing_a_secret_shows_the_password():
    secret = parse_secret("s", json.dumps({"host": "h", "username": "u", "password": "hunter2"}))
    assert "hunter2" not in f"{secret} {secret!r} {pretty_repr(secret)}"
