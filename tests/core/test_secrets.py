"""A secret is a value, or a located error that never shows it."""

import io
import json
import pprint

import boto3
import pytest
from botocore.stub import Stubber
from rich.console import Console

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
        (json.dumps({**GOOD, "password": 12345}), "secret s: field password has the wrong type"),
        (json.dumps({**GOOD, "host": ["hunter2"]}), "secret s: field host has the wrong type"),
        (json.dumps({**GOOD, "tls": False}), "secret s: field tls has the wrong type"),
        (json.dumps({**GOOD, "tls": "hunter2"}), "secret s: field tls has the wrong type or value"),
        (json.dumps({**GOOD, "auth": "hunter2"}), "secret s: field auth has the wrong type or value"),
        (json.dumps({**GOOD, "port": 65536}), "secret s: field port has the wrong type or value"),
        (json.dumps({**GOOD, "ca": ["hunter2"]}), "secret s: field ca has the wrong type"),
        (json.dumps({**GOOD, "dbname": 1}), "secret s: field dbname has the wrong type"),
        (json.dumps({"username": "u"}), "secret s: fields host, password are missing"),
        (json.dumps({"auth": "iam"}), "secret s: fields host, username are missing"),
        (json.dumps({**GOOD, "password": "hunter2\ud800"}), "secret s: expected a JSON object"),
        (json.dumps({**GOOD, "host": "::1", "auth": "iam", "tls": "off"}), 'secret s: auth "iam" is for TLS only'),
        (json.dumps({**GOOD, "host": None}), "secret s: field host is missing"),
        ("null", "secret s: expected a JSON object"),
        ('"hunter2"', "secret s: expected a JSON object"),
        ("[" * 100_000, "secret s: expected a JSON object"),
        (json.dumps({**GOOD, "tls": "off"}), 'secret s: tls "off" is for a loopback host only'),
    ],
)
def test_a_wrong_secret_is_located_and_never_shown(text, message):
    with pytest.raises(SecretError) as caught:
        parse_secret("s", text)
    assert str(caught.value).startswith(message)
    assert "hunter2" not in str(caught.value)


def printed_by_rich(value):
    with io.StringIO() as told:
        Console(file=told, width=200).print(value)
        return told.getvalue()


@pytest.mark.parametrize("show", [repr, str, "{}".format, pprint.pformat, printed_by_rich, lambda s: repr([s])])
def test_printing_a_secret_hides_the_password(show):
    told = show(parse_secret("s", json.dumps(GOOD)))
    assert "hunter2" not in told
    assert "db.example" in told


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_loopback_secret_may_go_without_tls(host):
    assert parse_secret("s", json.dumps(GOOD | {"host": host, "tls": "off"})).tls == "off"


@pytest.mark.parametrize("host", ["127.0.0.1.example", "localhost.example", "10.0.0.1", "0.0.0.0"])
def test_no_other_host_may_go_without_tls(host):
    with pytest.raises(SecretError, match='tls "off" is for a loopback host only'):
        parse_secret("s", json.dumps(GOOD | {"host": host, "tls": "off"}))


def test_a_secret_carries_its_own_ca_and_ignores_what_rds_adds():
    secret = parse_secret("s", json.dumps(GOOD | {"ca": "PEM", "dbInstanceIdentifier": "x", "name": "other"}))
    assert (secret.name, secret.ca) == ("s", "PEM")


def test_an_iam_secret_takes_no_password():
    secret = parse_secret("s", json.dumps({"host": "db.example", "username": "u", "auth": "iam"}))
    assert (secret.auth, secret.password, secret.tls) == ("iam", "", "on")


def test_a_binary_secret_is_read():
    client = boto3.client("secretsmanager", region_name="x", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        asked = {"SecretId": "s", "VersionStage": "AWSCURRENT"}
        stub.add_response("get_secret_value", {"SecretBinary": json.dumps(GOOD).encode()}, asked)
        assert fetch_secret("s", client).password == "hunter2"


@pytest.mark.parametrize("stored", [b"\xff\xfe", json.dumps(GOOD).encode().replace(b"hunter2", b"hunter\xff")])
def test_a_binary_secret_that_is_no_text_is_located(stored):
    client = boto3.client("secretsmanager", region_name="x", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        stub.add_response("get_secret_value", {"SecretBinary": stored})
        with pytest.raises(SecretError, match="secret s: expected a JSON object"):
            fetch_secret("s", client)


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
