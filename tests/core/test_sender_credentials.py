"""Credentials of the fast sender: whatever they come from, they are botocore's, refreshed in mid-run, and sign every request."""

import json
import re
import threading
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dataops.core.aws import aws_session
from dataops.core.pace import ATTEMPTS
from dataops.core.writers import PutWriter
from dataops.errors import Permanent, Retryable
from tests.core.dynamodb_fake import DONE, sending, stored_whole, texts
from tests.core.keyed import KEYS, STAMP, item

ROLE, TOKEN = "loader", "a token of this test's own"
_OTHERS = (
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_PROFILE", "AWS_CREDENTIAL_EXPIRATION", "AWS_SESSION_TOKEN",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
)  # fmt: skip


class Provider:
    """Gives the credentials of its day as the services do that a machine asks: a container's, and an instance's (IMDSv2)."""

    def __init__(self):
        self.day, self.asked = 1, []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self):
                lasting = int(self.headers["x-aws-ec2-metadata-token-ttl-seconds"])
                self.reply(TOKEN if self.path == "/latest/api/token" and lasting else None)

            def do_GET(self):
                told = {
                    "/container": self.headers["authorization"],
                    "/latest": self.headers["x-aws-ec2-metadata-token"],
                }
                place = self.path.removeprefix("/latest/meta-data/iam/security-credentials/")
                allowed = told["/latest" if place != self.path else "/container"] == TOKEN
                provider.asked.append(self.path)
                self.reply((ROLE if place == "" else json.dumps(provider.told())) if allowed else None)

            def reply(self, told):
                self.send_response(401 if told is None else 200)
                self.send_header("Content-Length", str(len(told or "")))
                self.end_headers()
                self.wfile.write((told or "").encode())

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def until(self):
        """The first day's are good for an hour, the next for long."""
        return (datetime.now(UTC) + timedelta(hours=1 if self.day == 1 else 99)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def told(self):
        key, secret, token = credentials_of(self.day)
        told = {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": key, "SecretAccessKey": secret, "Token": token}
        return told | {"Expiration": self.until, "LastUpdated": "2026-01-01T00:00:00Z"}

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def credentials_of(day):
    return f"ASIADAY{day}", f"secret/{day}+", f"token/{day}+=="


@pytest.fixture
def provider():
    provider = Provider()
    yield provider
    provider.close()


def from_container(monkeypatch, provider):
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{provider.url}/container")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN)


def from_instance(monkeypatch, provider):
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"{provider.url}/")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    monkeypatch.setenv("AWS_EC2_METADATA_V1_DISABLED", "true")


def from_environment(monkeypatch, provider):
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    for name, value in zip(names, credentials_of(provider.day), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", provider.until)


SOURCES = {"container": from_container, "IMDS": from_instance, "environment": from_environment}


@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_every_request_is_signed_by_the_credentials_of_its_time(monkeypatch, tmp_path, provider, source):
    for name in _OTHERS:
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with sending(monkeypatch, keys=None, prepare=lambda: source(monkeypatch, provider)) as (fake, sender, _):
        asked = []

        def now():
            """An hour and a half later at the twentieth question, when the next day's credentials are there."""
            asked.append(1)
            if len(asked) == 20:
                provider.day = 2
                source(monkeypatch, provider)
            return datetime.now(UTC) + timedelta(hours=1.5 * (len(asked) >= 20))

        monkeypatch.setattr(aws_session().get_credentials(), "_time_fetcher", now)
        assert sender.write(texts(1000), {STAMP: {"N": "1"}}) == []
        assert (stored_whole(fake, 1000), sender.why_plain, len(fake.sent)) == (True, "", 40)
    days = [day_of(headers) for headers, _ in fake.sent]
    assert min(days.count(1), days.count(2)) > 5
    assert by_botocore(fake) == {1: 1, 2: 1}
    for headers, body in fake.sent:
        assert headers["x-amz-security-token"] == credentials_of(day_of(headers))[2]
        assert headers["authorization"] == signature(monkeypatch, fake.url, headers, body)


FAILING = """n=$(($(cat {count}) + 1)); echo $n > {count}
[ $n = 1 ] && until=$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ) || until=2100-01-01T00:00:00Z
if [ $n -gt 1 ] && [ $n -lt {good} ]; then echo hunter2 >&2; exit 1; fi
echo '{{"Version": 1, "AccessKeyId": "AKID'$n'", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": "'$until'"}}'
"""


@pytest.mark.parametrize(("good", "told"), [(4, ""), (99, r"DynamoDB table t: no answer \(CredentialRetrievalError\)")])
def test_credentials_that_cannot_be_renewed_are_asked_for_again_as_on_the_plain_way(monkeypatch, tmp_path, good, told):
    (tmp_path / "count").write_text("0")
    (tmp_path / "process").write_text(FAILING.format(count=tmp_path / "count", good=good))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = sh {tmp_path / 'process'}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with sending(monkeypatch, keys=None) as (fake, sender, access):
        sender.write(texts(100), {STAMP: {"N": "1"}})
        later = datetime.now(UTC) + timedelta(hours=2)
        monkeypatch.setattr(aws_session().get_credentials(), "_time_fetcher", lambda: later)
        with pytest.raises(Retryable, match=told) if told else nullcontext():
            assert sender.write(texts(200)[100:], {STAMP: {"N": "1"}}) == []
        assert stored_whole(fake, 100 if told else 200)
        assert access.used.retries == (ATTEMPTS - 1 if told else 1)


def day_of(headers):
    return int(re.search(r"Credential=ASIADAY(\d)/", headers["authorization"])[1])


def by_botocore(fake):
    """How many requests botocore itself sent, for each day: it numbers its attempts."""
    days = [day_of(headers) for headers, _ in fake.sent if "amz-sdk-request" in headers]
    return {day: days.count(day) for day in sorted(set(days))}


def signature(monkeypatch, url, headers, body):
    """What botocore authorizes this request with, by the credentials that it names and at the time that it tells."""
    signed = re.search("SignedHeaders=([^,]+)", headers["authorization"])[1].split(";")
    kept = {name: headers[name] for name in signed if name not in ("host", "x-amz-date", "x-amz-security-token")}
    moment = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: moment)
    request = AWSRequest("POST", f"{url}/", kept, body)
    SigV4Auth(Credentials(*credentials_of(day_of(headers))), "dynamodb", "eu-west-1").add_auth(request)
    return request.headers["Authorization"]


SKEWED = {
    "InvalidSignatureException": "Signature expired: 20260101T000000Z is now earlier than 20260101T055500Z",
    "RequestTimeTooSkewed": "The difference between the request time and the current time is too large.",
}  # fmt: skip


@pytest.mark.parametrize("code", list(SKEWED))
def test_a_clock_that_is_wrong_ends_both_ways_in_the_same_error(monkeypatch, code):
    def skewed(puts):
        told = {"__type": f"com.amazon.coral.service#{code}", "message": SKEWED[code]}
        return 400, told, {"Date": (datetime.now(UTC) + timedelta(hours=6)).strftime("%a, %d %b %Y %H:%M:%S GMT")}

    def end_of(write, rules):
        waits = []
        with sending(monkeypatch, *rules, sleep=waits.append) as (fake, sender, access):
            with pytest.raises(Permanent) as caught:
                write(sender, access)
            return str(caught.value), waits, len(fake.stored)

    fast = lambda sender, _: sender.write(texts(100), {STAMP: {"N": "1"}})  # noqa: E731
    plain = lambda _, access: PutWriter(access, "t", KEYS).write([item(n) for n in range(100)])  # noqa: E731
    ok = lambda puts: (200, DONE)  # noqa: E731
    found = end_of(fast, [ok, *[skewed] * 9])
    assert found == end_of(plain, [ok, *[skewed] * 9])
    assert found == (
        f"DynamoDB table t: {code}: the clock here must be right within five minutes, the keys too",
        [],
        25,
    )
