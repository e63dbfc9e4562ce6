"""Is a MySQL server there, step by step: secret, DNS, TCP, TLS, login, settings; each with a time-out of its own."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dataops.core.checks import Side
from dataops.core.connection import connect
from dataops.core.mysql import SQL_MODE, execute
from dataops.core.secrets import Secret, fetch_secret
from dataops.errors import DataOpsError

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from types_boto3_secretsmanager import SecretsManagerClient

TCP_SECONDS, REPLY_SECONDS = 3.0, 8
SERVER_CHECKS = ("secret", "DNS", "TCP", "TLS", "login", "session")
LEAST_PACKET = 1024 * 1024
"""Bytes of `max_allowed_packet` that every row passes: an item has 400 KB at most, and escaped it is twice as long."""
_SETTINGS = """SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only', 'innodb_read_only',
    'local_infile', 'time_zone', 'sql_mode', 'max_allowed_packet')"""


def open_side(
    side: Side, name: str, client: SecretsManagerClient, time_is_short: Callable[[], bool]
) -> Connection | None:
    """A connection by the secret called `name`, or None; what came in its way is in `side`.

    No step takes longer than the margin of `time_is_short`, and none is begun after that.
    """
    secret = _fetch(side, name, client)
    if secret is None or time_is_short() or not _resolves(side, secret):
        return None
    if time_is_short() or not answers(side, "TCP", secret.host, secret.port) or time_is_short():
        return None
    return _log_in(side, secret)


def answers(side: Side, check: str, host: str, port: int) -> bool:
    """Whether something takes a TCP connection there within three seconds."""
    try:
        with socket.create_connection((host, port), timeout=TCP_SECONDS):
            return side.add(check, "ok", f"{host}:{port} takes connections")
    except TimeoutError:
        found = f"{host}:{port} did not answer within {TCP_SECONDS:g} seconds"
        return side.add(
            check,
            "failed",
            found,
            "packets are dropped: look at security groups, network ACLs, routes and peering on both sides",
        )
    except ConnectionRefusedError:
        return side.add(
            check,
            "failed",
            f"{host}:{port} refuses connections",
            "nothing listens there: look at the port, and whether the server runs",
        )
    except OSError as error:
        return side.add(
            check,
            "failed",
            f"{host}:{port}: {error.strerror or type(error).__name__}",
            "there is no way to that network: look at the function's subnets and routes",
        )


def check_session(side: Side, connection: Connection) -> dict[str, str]:
    """The server's settings; dataops sets time zone and sql_mode itself and needs no `local_infile`."""
    with side.trying("session", "the server must let a session set its own time_zone and sql_mode"):
        ((zone, mode),) = execute(connection, "SELECT @@session.time_zone, @@session.sql_mode")
        settings = dict(execute(connection, _SETTINGS))
        mode_found = (settings.get("sql_mode") or "empty").replace(",", ", ")
        found = (
            f"the server's own time_zone {settings.get('time_zone')}, local_infile {settings.get('local_infile')} and "
            f"sql_mode ({mode_found}) do not matter: the session sets what it needs"
        )
        right = zone == "+00:00" and set(SQL_MODE.split(",")) <= set(mode.split(","))
        side.add("session", "ok" if right else "failed", found, "a proxy or init_connect changes what the session sets")
        return settings
    return {}


def check_writable(side: Side, settings: dict[str, str]) -> None:
    """The target is no replica, and every row fits into a statement."""
    locked = [
        name
        for name in ("read_only", "super_read_only", "innodb_read_only")
        if settings.get(name, "OFF") not in ("OFF", "0")
    ]
    found = ", ".join(f"{name} is on" for name in locked) or "read_only is off"
    remedy = "this is a replica, or was one before a failover: let the secret name the writer's endpoint"
    side.add("writable", "failed" if locked else "ok", found, remedy)
    packet = int(settings.get("max_allowed_packet", 0))
    remedy = f"set max_allowed_packet to {LEAST_PACKET:,} or more: a wide row may not fit into one statement"
    side.add("max_allowed_packet", "ok" if packet >= LEAST_PACKET else "warning", f"{packet:,} bytes", remedy)


def _fetch(side: Side, name: str, client: SecretsManagerClient) -> Secret | None:
    remedy = (
        "without an answer: the subnet needs a NAT gateway or an interface endpoint of Secrets Manager; refused: the "
        "function's role must allow secretsmanager:GetSecretValue; else correct the secret"
    )
    with side.trying("secret", remedy):
        secret = fetch_secret(name, client)
        side.add("secret", "ok", f"{name}: host, port, username{', password' if secret.auth == 'password' else ''}")
        return secret
    return None


def _resolves(side: Side, secret: Secret) -> bool:
    """The resolver has time-outs of its own, some ten seconds."""
    try:
        found = socket.getaddrinfo(secret.host, secret.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        remedy = (
            "correct the host in the secret; a peered VPC must allow DNS resolution, or share its private hosted zone"
        )
        return side.add("DNS", "failed", f"{secret.host} does not resolve", remedy)
    addresses = sorted({str(address[4][0]) for address in found})
    told = ", ".join(
        f"{of} ({'private' if ipaddress.ip_address(of.partition('%')[0]).is_private else 'public'})" for of in addresses
    )
    return side.add("DNS", "ok", f"{secret.host}: {told}")


def _log_in(side: Side, secret: Secret) -> Connection | None:
    try:
        connection = connect(secret, REPLY_SECONDS)
    except DataOpsError as error:
        if "TLS failed" in str(error):
            side.add(
                "TLS",
                "failed",
                str(error),
                "put the server's CA into the secret's field ca, or name the host that its certificate names",
            )
        else:
            remedy = (
                "TCP works: correct username, password or dbname in the secret, or what the server lets in from here"
            )
            side.add("login", "failed", str(error), remedy)
        return None
    with side.trying("TLS", "the server does not say how it encrypts"):
        status: dict[str, Any] = dict(
            execute(connection, "SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher')")
        )
        version = status.get("Ssl_version")
        trust = "by the secret's CA" if secret.ca else "by the bundled CA"
        side.add("TLS", "ok", f"{version}, verified {trust}" if version else "off, on loopback only")
    side.add("login", "ok", f"as {secret.username}, by {'an RDS token' if secret.auth == 'iam' else 'password'}")
    return connection
