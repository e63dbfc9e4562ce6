"""Signatures equal botocore's, for every request that a batch may make."""

import time
from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from dataops.core.signer import Signer, UnknownHeader

FIXED = {
    "X-Amz-Target": "DynamoDB_20120810.BatchWriteItem", "Content-Type": "application/x-amz-json-1.0",
    "User-Agent": "Boto3/1.43  md/x   exec-env/AWS_Lambda_python3.13",
}  # fmt: skip
URLS = [
    "https://dynamodb.eu-central-1.amazonaws.com/", "https://123456789012.ddb.us-east-1.amazonaws.com/",
    "http://127.0.0.1:4566/", "http://localhost:80/", "https://localhost:443/", "http://[::1]:8000/", "https://vpce-1.example.com:8443/",
]  # fmt: skip
NAMED = ["AKIDEXAMPLE", "ASIA/NO"][:1]


def signed(url, body, token=None, region="eu-central-1", secret="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", more=()):
    """The URL, headers and body of a request that botocore has signed, and its credentials."""
    request = AWSRequest("POST", url, {**FIXED, **dict(more)}, body)
    SigV4Auth(Credentials("AKIDEXAMPLE", secret, token), "dynamodb", region).add_auth(request)
    return url, dict(request.headers.items()), body, "AKIDEXAMPLE", secret


def headers_of(head):
    """A request line, and the headers by name."""
    line, *lines = head.decode().removesuffix("\r\n\r\n").split("\r\n")
    return line, dict(text.split(": ", 1) for text in lines)


def botocore_signs(url, headers, body, second, monkeypatch, *credentials):
    """What botocore signs a request with these headers with, at that time."""
    kept = {name: value for name, value in headers.items() if name in ("x-amz-target", "content-type", "user-agent")}
    request = AWSRequest("POST", url, kept, body)
    moment = datetime.fromtimestamp(second, UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: moment.replace(tzinfo=None))
    SigV4Auth(Credentials(*credentials), "dynamodb", "eu-central-1").add_auth(request)
    return request.headers["Authorization"]


@pytest.mark.parametrize("token", [None, "IQoJb3JpZ2luX2VjE//+=="], ids=["key", "session token"])
@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("second", [0, 1772240523, 1772236799, 1772236800])
def test_a_request_is_signed_as_botocore_signs_it(url, token, second, monkeypatch):
    pattern = signed(url, b'{"first": "batch"}', token)
    signer, body = Signer(*pattern), b'{"next": "b\xc3\xa4tch"}'
    line, headers = headers_of(signer.head(body, second))
    assert line == "POST / HTTP/1.1"
    assert headers["content-length"] == str(len(body))
    assert headers.get("x-amz-security-token") == token
    expected = botocore_signs(url, headers, body, second, monkeypatch, "AKIDEXAMPLE", pattern[4], token)
    assert headers["authorization"] == expected


@given(
    body=st.binary(max_size=99),
    secret=st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1),
    second=st.integers(0, 2**31),
)
def test_any_body_secret_and_time_is_signed_as_botocore_signs_it(body, secret, second):
    signer = Signer(*signed(URLS[0], b"{}", secret=secret))
    with pytest.MonkeyPatch.context() as patch:
        _, headers = headers_of(signer.head(body, second))
        assert headers["authorization"] == botocore_signs(URLS[0], headers, body, second, patch, "AKIDEXAMPLE", secret)


def test_the_day_may_change_between_two_requests(monkeypatch):
    pattern = signed(URLS[0], b"{}")
    signer = Signer(*pattern)
    for second in (1772236799, 1772236800, 1772236799):
        _, headers = headers_of(signer.head(b"{}", second))
        assert headers["authorization"] == botocore_signs(
            URLS[0], headers, b"{}", second, monkeypatch, "AKIDEXAMPLE", pattern[4]
        )


def test_what_numbers_the_attempts_of_a_request_is_left_out_though_it_was_signed():
    pattern = signed(URLS[0], b"{}", more={"amz-sdk-invocation-id": "1", "amz-sdk-request": "attempt=1"})
    _, headers = headers_of(Signer(*pattern).head(b"{}", int(time.time())))
    assert "amz-sdk-request" not in headers
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-target," in headers["authorization"]


def test_a_header_that_is_not_known_makes_no_pattern():
    with pytest.raises(UnknownHeader):
        Signer(*signed(URLS[0], b"{}", more={"X-Guard": "1"}))


def test_a_trace_is_told_with_every_request():
    _, headers = headers_of(Signer(*signed(URLS[0], b"{}", more={"X-Amzn-Trace-Id": "Root=1"})).head(b"{}", 0))
    assert headers["x-amzn-trace-id"] == "Root=1"


@pytest.mark.parametrize(
    "change",
    [
        lambda url, headers, body, key, secret: (url, headers, body + b" ", key, secret),
        lambda url, headers, body, key, secret: (url, headers, body, key, secret + "x"),
        lambda url, headers, body, key, secret: (url, headers, body, "AKIDOTHER", secret),
        lambda url, headers, body, key, secret: (url + "?a=b", headers, body, key, secret),
        lambda url, headers, body, key, secret: ("https://elsewhere/", headers, body, key, secret),
        lambda url, headers, body, key, secret: (url, {**headers, "Authorization": "Bearer x"}, body, key, secret),
        lambda url, headers, body, key, secret: (url, FIXED, body, key, secret),
    ],
    ids=["body", "secret", "key", "query", "host", "another scheme", "unsigned"],
)
def test_a_request_that_is_not_signed_with_these_credentials_is_no_pattern(change):
    with pytest.raises(ValueError, match="the request is"):
        Signer(*change(*signed(URLS[0], b"{}")))
