"""A server that answers BatchWriteItem by rules, and a sender to it."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zlib import crc32

from dataops.core.dynamodb import Access, dynamodb_client
from dataops.core.item import item_text
from dataops.core.pace import Patience
from dataops.core.sender import Sender
from tests.core.keyed import KEYS, STAMP, item

DONE = {"UnprocessedItems": {}, "ConsumedCapacity": [{"CapacityUnits": 1.0}]}


class Fake:
    """A server whose `rules` answer its calls in turn; after the last one, every call is a success.

    A rule gets the requests of a batch and gives status, body and headers, or None to close the connection.
    """

    def __init__(self, *rules, certificate=None):
        self.calls, self.stored, self.connections, self.rules = [], {}, set(), list(rules)
        self.sent, self.lock, self.version = [], threading.Lock(), "HTTP/1.1"
        self.sockets = {}
        fake = self

        class Handler(BaseHTTPRequestHandler):
            disable_nagle_algorithm, wbufsize = True, -1

            def setup(self):
                super().setup()
                self.protocol_version = fake.version
                fake.sockets[self.client_address] = self.request

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with fake.lock:
                    fake.sent.append(({name.lower(): of for name, of in self.headers.items()}, body))
                    fake.connections.add(self.client_address)
                    reply = fake.answer(json.loads(body), dict(self.headers.items()))
                self.close_connection = reply is None
                if reply:
                    self.reply(*reply)

            def reply(self, status, told, headers=None):
                content = told if isinstance(told, bytes) else json.dumps(told).encode()
                self.send_response(status)
                given = {"Content-Length": str(len(content)), "x-amz-crc32": str(crc32(content))} | (headers or {})
                for name, value in given.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.certify(certificate)
            self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def certify(self, certificate):
        """Show this certificate (its file and its key's) to whoever connects from now on."""
        self._context.load_cert_chain(*certificate)

    def say(self, client, said):
        """Send this to the client of an address though it has asked for nothing; nothing is the end of the connection."""
        self.sockets[client].sendall(said) if said else self.sockets[client].shutdown(socket.SHUT_WR)

    def answer(self, asked, headers):
        """The reply to a call; what it does not keep back is stored."""
        batch = asked.get("RequestItems", {}).get("t")
        puts = batch if isinstance(batch, list) else [{"PutRequest": asked}]
        self.calls.append((puts, headers))
        reply = self.rules.pop(0)(puts) if self.rules else (200, DONE)
        left = (
            reply[1]["UnprocessedItems"].get("t", [])
            if reply and isinstance(reply[1], dict) and reply[0] == 200
            else []
        )
        for put in puts if reply and reply[0] == 200 else []:
            if put not in left and "Item" in put["PutRequest"]:
                self.stored[put["PutRequest"]["Item"]["sk"]["N"]] = put["PutRequest"]["Item"]
        return reply

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def sending(
    monkeypatch, *rules, certificate=None, limiter=None, sleep=lambda seconds: None, keys="AKIDEXAMPLE", prepare=None
):
    """A server and a sender to it; its waits take no time. `prepare` is called before there is a client."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, keys) if keys else monkeypatch.delenv(name, raising=False)
    fake = Fake(*rules, certificate=certificate)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", fake.url)
    monkeypatch.setattr("dataops.core.aws._made", [])
    if prepare:
        prepare()
    access = Access(dynamodb_client(attempts=1), None, limiter, lambda: Patience(sleep=sleep))
    yield fake, Sender(access, "t", KEYS), access
    fake.close()


def texts(count, **more):
    return [text_of(item(number, **more)) for number in range(count)]


def text_of(one):
    return item_text(one, [name for name in one if name != STAMP]).encode()


def stored_whole(fake, count):
    return fake.stored == {str(number): item(number) for number in range(count)}
