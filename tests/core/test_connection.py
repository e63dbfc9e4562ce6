"""What a login sends, tried on a server that asks for the password as it is; and what RDS's tokens say."""

import json
import socket
import ssl
import struct
import threading
from urllib.parse import parse_qs, urlsplit

import pymysql
import pytest

from dataops.core.connection import _tls, connect, make_token
from dataops.core.mysql import located_error
from dataops.core.secrets import parse_secret
from dataops.errors import SecretError, Unreachable
from tests.certificates import Authority

TLS_OFFERED = 0x800


class ClearPasswordServer:
    """Speaks MySQL's greeting, asks for a clear password, keeps what it is sent, and refuses every login with 1045."""

    def __init__(self, context, cut=False):
        self.context, self.cut, self.received = context, cut, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                self._talk(peer)

    def _talk(self, peer):
        flags = 0x1 | 0x8 | 0x200 | 0x8000 | 0x80000 | (TLS_OFFERED if self.context else 0)
        low, high = flags & 0xFFFF, flags >> 16
        head = b"\x0a8.0.40\x00" + struct.pack("<I", 1) + b"saltsalt\x00"
        rest = struct.pack("<HBHHB", low, 45, 2, high, 21) + bytes(10) + b"saltsaltsalt\x00mysql_native_password\x00"
        write_packet(peer, 0, head + rest)
        number = 2
        if self.context:
            read_packet(peer)
            if self.cut:
                return
            peer, number = self.context.wrap_socket(peer, server_side=True), 3
        read_packet(peer)
        write_packet(peer, number, b"\xfemysql_clear_password\x00")
        answer = read_packet(peer)
        if answer:
            self.received.append(answer.rstrip(b"\x00").decode())
            write_packet(peer, number + 2, b"\xff" + struct.pack("<H", 1045) + b"#28000Access denied")

    def close(self):
        self._listener.close()


def write_packet(peer, number, payload):
    peer.sendall(struct.pack("<I", len(payload))[:3] + bytes([number]) + payload)


def read_packet(peer):
    """The next packet's payload; nothing when the other side hangs up instead."""
    head = peer.recv(4, socket.MSG_WAITALL) if not isinstance(peer, ssl.SSLSocket) else peer.recv(4)
    size = int.from_bytes(head[:3], "little")
    payload = b""
    while len(payload) < size and (more := peer.recv(size - len(payload))):
        payload += more
    return payload


@pytest.fixture(scope="module")
def authority():
    return Authority("right")


@pytest.fixture
def serve(authority, tmp_path):
    """Start a server, with TLS or without; gives it and a secret for it."""
    servers = []

    def start(tls=True, **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
        if context:
            context.load_cert_chain(*authority.certify("127.0.0.1", tmp_path))
        servers.append(ClearPasswordServer(context, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    log_in_to_aws(monkeypatch, "AKIAFIRST")


def log_in_to_aws(monkeypatch, key):
    monkeypatch.setattr("dataops.core.aws._made", [])
    for name, value in (("ACCESS_KEY_ID", key), ("SECRET_ACCESS_KEY", "s"), ("DEFAULT_REGION", "eu-west-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)


def secret_for(port, **fields):
    known = {"host": "127.0.0.1", "port": port, "username": "batch", **fields}
    return parse_secret("shop", json.dumps(known))


def test_a_token_is_a_presigned_login_of_fifteen_minutes():
    text = json.dumps({"host": "db.example", "port": 3307, "username": "batch", "auth": "iam"})
    url = urlsplit("https://" + make_token(parse_secret("shop", text)))
    asked = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert url.netloc == "db.example:3307"
    assert (asked["Action"], asked["DBUser"], asked["X-Amz-Expires"]) == ("connect", "batch", "900")
    assert asked["X-Amz-Credential"].startswith("AKIAFIRST/")
    assert asked["X-Amz-Credential"].endswith("/eu-west-1/rds-db/aws4_request")
    assert len(asked["X-Amz-Signature"]) == 64


def test_a_token_that_cannot_be_made_is_located(monkeypatch):
    monkeypatch.setattr("dataops.core.aws._made", [])
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(SecretError, match=r"127.0.0.1:1 \(secret shop\): no RDS token could be made \(NoCred"):
        make_token(secret_for(1, auth="iam"))


def test_each_connection_sends_a_token_made_for_it(serve, authority, monkeypatch):
    server = serve()
    secret = secret_for(server.port, auth="iam", ca=authority.pem)
    for key in ("AKIAFIRST", "AKIASECOND"):
        log_in_to_aws(monkeypatch, key)
        with pytest.raises(SecretError, match="1045") as caught:
            connect(secret)
        assert "X-Amz" not in repr(caught.value) + repr(caught.value.__cause__)
    assert ["AKIAFIRST" in token for token in server.received] == [True, False]
    assert "AKIASECOND" in server.received[1]


def test_a_token_never_goes_to_a_server_without_tls(serve, authority):
    server = serve(tls=False)
    with pytest.raises(SecretError, match="TLS failed: MySQL error 2026, the server offers none"):
        connect(secret_for(server.port, auth="iam", ca=authority.pem))
    assert server.received == []


@pytest.mark.parametrize("tls", ["on", "off"])
def test_a_password_is_never_sent_as_it_is(serve, authority, tls):
    server = serve(tls=tls == "on")
    with pytest.raises(SecretError, match=r"\(secret shop\): MySQL error 2059"):
        connect(secret_for(server.port, password="hunter2", ca=authority.pem, tls=tls))
    assert server.received == []


def test_a_handshake_that_is_cut_may_be_tried_again(serve, authority):
    server = serve(cut=True)
    with pytest.raises(Unreachable, match=r"\(secret shop\): no MySQL server answered"):
        connect(secret_for(server.port, password="hunter2", ca=authority.pem))


def test_what_checks_certificates_is_made_once_for_a_ca(authority, tmp_path, monkeypatch):
    other, file = Authority("other").pem, tmp_path / "ca.pem"
    one = _tls(secret_for(1, password="hunter2", ca=authority.pem))
    assert one is _tls(secret_for(2, password="hunter2", ca=authority.pem))
    assert one is not _tls(secret_for(1, password="hunter2", ca=other))
    monkeypatch.setenv("DATAOPS_MYSQL_CA", str(file))
    for text, same in ((f"# Größe\n{authority.pem}", False), (authority.pem, True)):
        file.write_text(text, "utf-8")
        assert (_tls(secret_for(1, password="hunter2")) is one) is same


@pytest.mark.parametrize(
    ("ca", "variable", "message"),
    [
        ("hunter2", None, "secret shop: field ca: expected CA certificates in PEM"),
        ("pässword", None, "secret shop: field ca: expected CA certificates in PEM"),
        (None, "/nosuch/ca.pem", "DATAOPS_MYSQL_CA: /nosuch/ca.pem: expected CA certificates in PEM"),
        (None, "/dev/null", "DATAOPS_MYSQL_CA: /dev/null: expected CA certificates in PEM"),
    ],
)
def test_a_ca_that_is_none_is_located(monkeypatch, ca, variable, message):
    if variable:
        monkeypatch.setenv("DATAOPS_MYSQL_CA", variable)
    with pytest.raises(SecretError) as caught:
        connect(secret_for(1, password="hunter2", ca=ca))
    assert str(caught.value).startswith(message)
    assert not {"hunter2", "pässword"} & set(str(caught.value).split())


@pytest.mark.parametrize("code", [0, 1203, 1317, 1927, 2006, 2013, 3168, 3169, 4031, 9501])
def test_a_connection_that_was_cut_or_not_to_be_had_may_be_tried_again(code):
    told = located_error("reading t", pymysql.OperationalError(code, "row value"))
    assert isinstance(told, Unreachable)
    assert "row value" not in str(told)
