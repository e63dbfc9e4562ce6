"""Connections of our own: whatever a server does or leaves undone, it ends in time and as an OSError."""

import socket
import ssl
import threading
from contextlib import contextmanager

import pytest
from botocore.httpsession import create_urllib3_context

from dataops.core import keepalive
from dataops.core.keepalive import Connection
from tests.certificates import Authority


@pytest.fixture(scope="module", params=["http", "https"])
def listening(request, tmp_path_factory):
    """A scheme, and what makes a server's side of it from an accepted socket; TLS is checked by an authority of ours."""
    if request.param == "http":
        yield "http", lambda accepted: accepted
        return
    folder, authority = tmp_path_factory.mktemp("tls"), Authority("ours")
    (folder / "ca.pem").write_text(authority.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certify("127.0.0.1", folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_CA_BUNDLE", str(folder / "ca.pem"))
        keepalive._tls.cache_clear()
        yield "https", lambda accepted: context.wrap_socket(accepted, server_side=True)
    keepalive._tls.cache_clear()


@contextmanager
def connected(listening, said=b""):
    """A connection to a server that says this, reads nothing, and stays until the connection is done with."""
    scheme, serve = listening
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = threading.Event()

        def run():
            with serve(server.accept()[0]) as accepted:
                accepted.sendall(said)
                done.wait(60)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        connection = Connection(f"{scheme}://127.0.0.1:{server.getsockname()[1]}")
        try:
            yield connection
        finally:
            connection.close()
            done.set()
            thread.join(10)


def test_a_server_that_never_answers_is_given_up(listening, monkeypatch):
    monkeypatch.setattr(keepalive, "REPLY_SECONDS", 1)
    with connected(listening) as connection, pytest.raises(OSError, match=r"timed out|temporarily unavailable"):
        connection.reply()


def test_a_server_that_never_reads_is_given_up(listening, monkeypatch):
    monkeypatch.setattr(keepalive, "REPLY_SECONDS", 1)
    with connected(listening) as connection, pytest.raises(OSError, match=r"timed out|temporarily unavailable"):
        connection.send(bytes(64_000_000))


REPLIES = {
    "no status": b"HTTP/1.1 abc Fine\r\ncontent-length: 2\r\n\r\n{}",
    "another version": b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    "no length": b"HTTP/1.1 200 OK\r\n\r\n{}",
    "more than its length": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{}",
    "another checksum": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-amz-crc32: 1\r\n\r\n{}",
}


@pytest.mark.parametrize("said", REPLIES.values(), ids=list(REPLIES))
def test_a_reply_that_is_not_as_expected_is_a_lost_one(listening, said):
    with connected(listening, said) as connection, pytest.raises(OSError, match="a reply that is"):
        connection.reply()


def test_no_more_is_asked_of_a_certificate_than_botocore_asks(monkeypatch):
    """Python 3.13 asks by itself for fields that older CAs lack; here any Python does."""
    default = ssl.create_default_context

    def strict(**options):
        context = default(**options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    keepalive._tls.cache_clear()
    try:
        assert keepalive._tls().verify_flags == create_urllib3_context().verify_flags
    finally:
        keepalive._tls.cache_clear()


def test_a_whole_reply_is_given(listening):
    with connected(listening, b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}") as connection:
        assert connection.reply() == (400, b"{}", False)
