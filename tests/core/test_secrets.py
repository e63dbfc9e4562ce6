"""A secret is a value, or a located error that never shows it."""

import json

import boto3
import pytest
from botocore.stub import Stubber

from dataops.core.secrets import fetch_secret, parse_secret
from dataops.errors import Retryable, SecretError

GOOD = {"host": "db.example", "port": 3307, "username": "u", "password": "hunter2", "dbname": "shop", "engine": "mysql"}


def test_the_fields_that_rds_writes_are_read():
    secret = parse_secret("s", json.dumps(GOOD))
    assert (secret.host, secret.port, secret.username, secret.dbname, secret.tls) == (
        "db.example",
        3307,
        "u",
        "shop",
        "on",
    )


def test_a_port_may_be_text():
    assert parse_secret("s", json.dumps(GOOD | {"port": "3307"})).port == 3307


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hunter2", "secret s: expected a JSON object"),
        ("[1]", "secret s: expected a JSON object"),
        (json.dumps({**GOOD, "password": ""}), "secret s: field password is missing"),
        (json.dumps({key: GOOD[key] for key in ("host", "password")}), "secret s: field username is missing"),
        (json.dumps({**GOOD, "port": "hunter2"}), "secret s: field port has the wrong type"),
        (json.dumps({**GOOD, "tls": "off"}), 'secret s: tls "off" is for a loopback host only'),
    ],
)
def test_a_wrong_secret_is_located_and_never_shown(text, message):
    with pytest.raises(SecretError) as caught:
        parse_secret("s", text)
    assert str(caught.value).startswith(message)
    assert "hunter2" not in str(caught.value)


def test_printing_a_secret_hides_the_password():
    assert "hunter2" not in repr(parse_secret("s", json.dumps(GOOD)))


def test_a_binary_secret_is_read():
    client = boto3.client("secretsmanager", region_name="x", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        asked = {"SecretId": "s", "VersionStage": "AWSCURRENT"}
        stub.add_response("get_secret_value", {"SecretBinary": json.dumps(GOOD).encode()}, asked)
        assert fetch_secret("s", client).password == "hunter2"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ResourceNotFoundException", SecretError),
        ("AccessDeniedException", SecretError),
        ("ThrottlingException", Retryable),
        ("InternalServiceError", Retryable),
    ],
)
def test_a_refusal_names_the_secret(code, kind):
    client = boto3.client("secretsmanager", region_name="x", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        stub.add_client_error("get_secret_value", code)
        with pytest.raises(kind, match="secret dataops/x"):
            fetch_secret("dataops/x", client)
