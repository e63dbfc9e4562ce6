"""The sender against servers that do as DynamoDB may do: what comes back, what is sent again, and what is kept."""

import itertools
import json
import select
import ssl
import threading
import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from dataops.core import keepalive
from dataops.core.aws import aws_session
from dataops.core.dynamodb import Access, dynamodb_client, scan_page
from dataops.core.pace import ATTEMPTS, Limiter
from dataops.core.pattern import CHANCES
from dataops.core.sender import WINDOW, Sender, batches_of
from dataops.errors import Permanent, Retryable, Unprocessed
from tests.certificates import Authority
from tests.core.dynamodb_fake import DONE, sending, stored_whole, text_of, texts
from tests.core.keyed import KEYS, STAMP, create_keyed_table, item

_numbers = itertools.count()


@pytest.fixture
def table(stack):
    """An empty table, made by `create_keyed_table`."""
    return create_keyed_table(f"sent-{next(_numbers)}")


def scanned(table):
    items = scan_page(Access(dynamodb_client()), table, STAMP).items
    return sorted(items, key=lambda one: int(one["sk"]["N"]))


def ok(puts):
    return 200, DONE


def error(code, status=400):
    return lambda puts: (status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no reason"})


def give_back(count):
    return lambda puts: (200, {"UnprocessedItems": {"t": puts[:count]} if count else {}, "ConsumedCapacity": []})


def damaged(puts):
    return 200, json.dumps(DONE).encode(), {"x-amz-crc32": "1"}


def cut_off(puts):
    return 200, b"{", {"Content-Length": "99", "Connection": "close"}


def no_length(puts):
    return 200, b"{}", {"Transfer-Encoding": "chunked", "Content-Length": ""}


@pytest.mark.parametrize("count", [0, 1, 24, 25, 26, 60])
def test_every_item_arrives_with_its_stamp(table, count):
    sender = Sender(Access(dynamodb_client()), table, KEYS)
    assert sender.write(texts(count), {STAMP: {"N": "1"}}) == []
    assert sender.write(texts(count), {STAMP: {"N": "1"}}) == []
    assert scanned(table) == [item(number) for number in range(count)]
    assert sender.why_plain == ""


def test_one_poison_item_is_named_and_the_others_arrive(table):
    access = Access(dynamodb_client())
    sender = Sender(access, table, KEYS)
    given = texts(80)
    given[57] = text_of(item(57, kind={"N": "7"}))  # the index wants a string
    (refused,) = sender.write(given, {STAMP: {"N": "1"}})
    assert refused.place == 57
    assert "ValidationException" in refused.reason
    assert len(scanned(table)) == 79


FAULTS = {
    "throttled": (error("ProvisionedThroughputExceededException"), 1, 1), "throttling": (error("ThrottlingException"), 1, 1),
    "500": (error("InternalServerError", 500), 0, 1), "503, no JSON": (lambda puts: (503, b"<html>"), 0, 1),
    "dropped": (lambda puts: None, 0, 1), "damaged": (damaged, 0, 1), "cut off": (cut_off, 0, 1), "no length": (no_length, 0, 1),
    "not JSON": (lambda puts: (200, b"ok"), 0, 1), "half": (give_back(12), 1, 1), "all": (give_back(25), 1, 1),
}  # fmt: skip


@pytest.mark.parametrize(("fault", "throttles", "retries"), FAULTS.values(), ids=list(FAULTS))
def test_what_a_repetition_mends_is_repeated_after_a_wait(monkeypatch, fault, throttles, retries):
    waits = []
    with sending(monkeypatch, ok, fault, sleep=waits.append) as (fake, sender, access):
        assert sender.write(texts(100), {STAMP: {"N": "1"}}) == []
        assert stored_whole(fake, 100)
        assert (access.used.throttles, access.used.retries, len(waits)) == (throttles, retries, 1)
        assert len(fake.calls) == 5


def test_what_does_not_pass_is_given_up_after_as_many_attempts_as_ever(monkeypatch):
    fault = error("ThrottlingException")
    with sending(monkeypatch, ok, *[fault] * 50) as (fake, sender, _):
        with pytest.raises(Retryable, match="ThrottlingException"):
            sender.write(texts(50), {STAMP: {"N": "1"}})
        assert len(fake.calls) == 1 + ATTEMPTS
        assert sender._under_way == sender._under_way.__class__()


def test_items_that_stay_unprocessed_are_named_by_their_places(monkeypatch):
    def kept(puts):
        return 200, {
            "UnprocessedItems": {"t": [put for put in puts if put["PutRequest"]["Item"]["sk"]["N"] in ("30", "26")]}
        }

    with sending(monkeypatch, ok, *[kept] * 50) as (_, sender, _), pytest.raises(Unprocessed) as caught:
        sender.write(texts(50), {STAMP: {"N": "1"}})
    assert sorted(caught.value.places) == [26, 30]


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException", "ResourceNotFoundException"])
def test_a_permanent_error_is_raised_without_a_wait(monkeypatch, code):
    waits = []
    with sending(monkeypatch, ok, error(code), error(code), sleep=waits.append) as (fake, sender, _):
        with pytest.raises(Permanent):
            sender.write(texts(50), {STAMP: {"N": "1"}})
        assert (len(fake.calls), waits) == (3, [])


def test_connections_are_kept_and_requests_are_under_way_together(monkeypatch):
    together, gate = [], threading.Barrier(4, timeout=20)

    with sending(monkeypatch, ok) as (fake, sender, _):
        sender.write(texts(25), {STAMP: {"N": "1"}})
        fake.lock, answer = threading.RLock(), fake.answer

        def wait(asked, headers):
            fake.lock.release()
            gate.wait()
            fake.lock.acquire()
            together.append(1)
            return answer(asked, headers)

        fake.answer = wait
        sender.write(texts(100), {STAMP: {"N": "1"}})
        assert len(together) == 4
        seen = len(fake.connections)
        fake.answer = answer
        sender.write(texts(100), {STAMP: {"N": "1"}})
        assert len(fake.connections) == seen == 5
        assert WINDOW >= 4


def test_a_connection_that_has_been_idle_for_long_is_not_used(monkeypatch):
    with sending(monkeypatch, ok) as (fake, sender, access):
        sender.write(texts(50), {STAMP: {"N": "1"}})
        now = time.monotonic
        monkeypatch.setattr("time.monotonic", lambda: now() + 2 * keepalive.IDLE_SECONDS)
        before = len(fake.connections)
        sender.write(texts(50), {STAMP: {"N": "1"}})
        assert len(fake.connections) > before
        assert access.used.retries == 0


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 23\r\n\r\n" + json.dumps(DONE).encode()],
    ids=["an end", "a reply"],
)
def test_a_connection_on_which_something_came_unasked_is_not_used(monkeypatch, said):
    with sending(monkeypatch, ok, give_back(0), give_back(0), give_back(25)) as (fake, sender, access):
        sender.write(texts(50), {STAMP: {"N": "1"}})
        (kept,) = sender._idle
        fake.say(kept._socket.getsockname(), said)
        assert select.select([kept._socket], [], [], 20)[0]
        before = len(fake.connections)
        assert sender.write(texts(50), {STAMP: {"N": "1"}}) == []
        assert (len(fake.connections) > before, access.used.retries, stored_whole(fake, 50)) == (True, 1, True)


def test_items_that_come_back_under_other_keys_are_all_sent_again(monkeypatch):
    def other(puts):
        return 200, {"UnprocessedItems": {"t": [{"PutRequest": {"Item": item(99)}}]}}

    with sending(monkeypatch, ok, other) as (fake, sender, _):
        assert sender.write(texts(50), {STAMP: {"N": "1"}}) == []
        assert [len(puts) for puts, _ in fake.calls] == [25, 25, 25]


def test_an_endpoint_whose_replies_are_not_understood_is_left_to_the_plain_way(monkeypatch):
    with sending(monkeypatch) as (fake, sender, access):
        fake.version = "HTTP/1.0"
        assert sender.write(texts(250), {STAMP: {"N": "1"}}) == []
        assert sender.why_plain == "replies that are not understood"
        again = access.used.retries
        assert sender.write(texts(250), {STAMP: {"N": "1"}}) == []
        assert (access.used.retries, stored_whole(fake, 250)) == (again, True)
        assert CHANCES <= again < 10  # those that were under way already


def test_a_few_lost_replies_leave_nothing_to_the_plain_way(monkeypatch):
    with sending(monkeypatch, ok, *[lambda puts: None, ok] * 8) as (fake, sender, _):
        assert sender.write(texts(500), {STAMP: {"N": "1"}}) == []
        assert (sender.why_plain, stored_whole(fake, 500)) == ("", True)


def test_units_are_spent_before_they_are_used_and_counted_as_told(monkeypatch):
    spent = []
    limiter = Limiter(1000.0)
    monkeypatch.setattr(limiter, "spend", spent.append)
    with sending(monkeypatch, limiter=limiter) as (_, sender, access):
        sender.write(texts(30) + texts(30, v={"S": "x" * 1500})[:25], {STAMP: {"N": "1"}})
    assert spent == [25, 5 + 20 * 2, 5 * 2]
    assert access.used.write_units == 3.0


PROCESS = """n=$(($(cat {count}) + 1)); echo $n > {count}
[ $n = 1 ] && until=$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ) || until=2100-01-01T00:00:00Z
echo '{{"Version": 1, "AccessKeyId": "AKID'$n'", "SecretAccessKey": "s", "SessionToken": "t'$n'", "Expiration": "'$until'"}}'
"""


def test_credentials_that_expire_are_refreshed_by_botocore_and_learned_anew(monkeypatch, tmp_path):
    (tmp_path / "count").write_text("0")
    (tmp_path / "process").write_text(PROCESS.format(count=tmp_path / "count"))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = sh {tmp_path / 'process'}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with sending(monkeypatch, keys=None) as (fake, sender, _):
        sender.write(texts(100), {STAMP: {"N": "1"}})
        credentials = aws_session().get_credentials()
        monkeypatch.setattr(credentials, "_time_fetcher", lambda: datetime.now(UTC) + timedelta(hours=2))
        sender.write(texts(100), {STAMP: {"N": "1"}})
        names = ("Authorization", "X-Amz-Security-Token")
        used = [
            [{name.lower(): of for name, of in headers.items()}[name.lower()] for name in names]
            for _, headers in fake.calls
        ]
    assert [of[0].split("=")[1].split("/")[0] for of in used] == ["AKID1"] * 4 + ["AKID2"] * 4
    assert [of[1] for of in used] == ["t1"] * 4 + ["t2"] * 4
    assert [len(headers) for _, headers in fake.calls].count(len(fake.calls[0][1])) == 2  # botocore's own, one a key


@pytest.mark.parametrize(("past", "why"), [("", "a proxy"), ("127.0.0.1", "")], ids=["proxy", "past the proxy"])
def test_a_proxy_is_left_to_the_plain_way_unless_the_endpoint_goes_past_it(monkeypatch, past, why):
    with sending(monkeypatch) as (fake, sender, _):
        monkeypatch.setenv("HTTP_PROXY", fake.url)
        monkeypatch.setenv("NO_PROXY", past)
        sender = Sender(Access(dynamodb_client(attempts=1)), "t", KEYS)
        sender.write(texts(60), {STAMP: {"N": "1"}})
        assert (sender.why_plain, len(fake.calls), stored_whole(fake, 60)) == (why, 3, True)


def test_a_client_of_another_session_sends_by_itself(monkeypatch):
    with sending(monkeypatch) as (fake, _, _):
        client = boto3.Session("AKIDOTHER", "other").client("dynamodb")
        sender = Sender(Access(client), "t", KEYS)
        sender.write(texts(150), {STAMP: {"N": "1"}})
        assert sender.why_plain == "a request that is signed in another way"
        assert stored_whole(fake, 150)


CHECKED = {
    "its own": ("ours", "127.0.0.1"),
    "of another CA": ("theirs", "127.0.0.1"),
    "of another host": ("ours", "127.0.0.2"),
}


@pytest.mark.parametrize(("trusted", "host"), CHECKED.values(), ids=list(CHECKED))
def test_a_server_is_checked_by_its_certificate(monkeypatch, tmp_path, trusted, host):
    authority = Authority("ours")
    (tmp_path / "ca.pem").write_text((authority if trusted == "ours" else Authority(trusted)).pem)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    keepalive._tls.cache_clear()
    with sending(monkeypatch, certificate=authority.certify(host, tmp_path)) as (fake, sender, access):
        good = (trusted, host) == CHECKED["its own"]
        with pytest.raises(ssl.SSLCertVerificationError) if not good else nullcontext():
            keepalive.Connection(fake.url).close()
        with pytest.raises(Retryable, match=r"no answer .SSLError") if not good else nullcontext():
            sender.write(texts(60), {STAMP: {"N": "1"}})
        assert (stored_whole(fake, 60 * good), access.used.retries == 0) == (True, good)
    keepalive._tls.cache_clear()


def test_a_server_whose_certificate_changes_to_one_of_another_ca_gets_nothing_more(monkeypatch, tmp_path):
    authority = Authority("ours")
    (tmp_path / "ca.pem").write_text(authority.pem)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    keepalive._tls.cache_clear()
    with sending(monkeypatch, certificate=authority.certify("127.0.0.1", tmp_path)) as (fake, sender, access):
        sender.write(texts(60), {STAMP: {"N": "1"}})
        fake.certify(Authority("theirs").certify("127.0.0.1", tmp_path))
        sender._idle.clear()
        access.client = dynamodb_client(attempts=1)
        with pytest.raises(Retryable, match=r"no answer .SSLError"):
            sender.write(texts(90)[60:], {STAMP: {"N": "1"}})
        assert stored_whole(fake, 60)
    keepalive._tls.cache_clear()


def test_batches_keep_to_25_texts_and_16_megabytes():
    given = [bytes(size) for size in (*[10] * 30, *[900_000] * 25)]
    groups = list(batches_of(given))
    assert [one for _, batch, _ in groups for one in batch] == given
    large = [(25 + n, 1, 900_000 if n >= 5 else 10) for n in range(25)]
    told = [(start, len(batch), longest) for start, batch, longest in groups]
    assert told == [(0, 25, 10), *large, (50, 5, 900_000)]
    assert list(batches_of([])) == []
