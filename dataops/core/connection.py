"""Connections to MySQL: by secret, over TLS, with a password or an RDS token, and again after a rotation."""

from __future__ import annotations

import os
import ssl
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pymysql
from pymysql.constants import CLIENT, CR, ER
from pymysql.converters import encoders

from dataops.core.aws import aws_client
from dataops.core.mysql import SORT_BYTES, SQL_MODE, describe_error
from dataops.core.secrets import LOOPBACK, Secret, fetch_secret
from dataops.core.stopwatch import OTHER, Wait
from dataops.errors import DataOpsError, SecretError, Unreachable

if TYPE_CHECKING:
    from pymysql.connections import Connection

RDS_CA_BUNDLE = Path(__file__).with_name("rds-ca-bundle.pem")
CONNECT_SECONDS, REPLY_SECONDS = 10, 300
LOCK_SECONDS = 20
"""How long a statement waits for somebody else's lock: shorter than a function may run, or it would outlive one that was killed."""
ROTATION_SECONDS = 5.0
"""How long a rotation is given between the server's new password and the secret's."""

_SESSION = (
    f"SET time_zone = '+00:00', sql_mode = '{SQL_MODE}', max_sort_length = {SORT_BYTES}, "
    f"lock_wait_timeout = {LOCK_SECONDS}, innodb_lock_wait_timeout = {LOCK_SECONDS}"
)
_REFUSED = {1044, ER.ACCESS_DENIED_ERROR, 1049, 1698, 1862, 3118, 3159, CR.CR_AUTH_PLUGIN_CANNOT_LOAD, 4151}
_REFUSED |= {CR.CR_LOAD_DATA_LOCAL_INFILE_REJECTED}
"""Login or database refused: also a file asked for, no password taken, password expired, account locked, TLS demanded."""
_CUT_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


def open_connection(
    name: str, reply_seconds: int = REPLY_SECONDS, *, infile: bool = False, side: str = OTHER
) -> Connection:
    """A connection by the secret called `name`, fetched now; fetched once more when a rotation came in between.

    A password that the server refuses (1045) may have been replaced since it was fetched, or the server may have the
    new one before the secret has. With `infile` the server may take LOAD DATA LOCAL, whose bytes `infile.py` sends.
    `side` is what waits for the server count as (see `stopwatch`).
    Raises as `fetch_secret` and `connect` do.
    """
    secret = fetch_secret(name)
    try:
        return _connect(secret, reply_seconds, infile, side)
    except pymysql.MySQLError as error:
        if _code(error) != ER.ACCESS_DENIED_ERROR:
            raise _located(secret, error) from error
    fresh = fetch_secret(name)
    if fresh == secret:
        time.sleep(ROTATION_SECONDS)
        fresh = fetch_secret(name)
    return connect(fresh, reply_seconds, infile=infile, side=side)


def connect(
    secret: Secret, reply_seconds: int = REPLY_SECONDS, *, infile: bool = False, side: str = OTHER
) -> Connection:
    """A raw connection (autocommit) to the server of `secret`, over TLS unless a loopback secret says `tls: off`.

    It never connects again by itself; no reply is waited for longer than `reply_seconds`. Raises Unreachable when nothing
    answers, SecretError when the credentials, the database or the server's certificate are refused.
    """
    try:
        return _connect(secret, reply_seconds, infile, side)
    except pymysql.MySQLError as error:
        raise _located(secret, error) from error


def make_token(secret: Secret) -> str:
    """A login token of RDS for the host, port and user of `secret`: 15 minutes long good for a new connection.

    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
    """
    from botocore.exceptions import BotoCoreError

    try:
        return str(aws_client("rds").generate_db_auth_token(secret.host, secret.port, secret.username))
    except BotoCoreError as error:
        raise SecretError(f"{_where(secret)}: no RDS token could be made ({type(error).__name__})") from error


class ClearPasswordRefused:
    """Stands for the logins that send the password as it is: a password secret takes part in none of them."""

    def __init__(self, connection: Connection) -> None:
        pass

    def authenticate(self, packet: Any) -> NoReturn:
        """Raises OperationalError: nothing is sent."""
        raise pymysql.OperationalError(CR.CR_AUTH_PLUGIN_CANNOT_LOAD, "a clear password was asked for")


class TimedConnection(pymysql.connections.Connection):
    """pymysql's connection, whose waits for the server are counted for a side, and which no server gets a file through."""

    def __init__(self, side: str, **given: Any) -> None:
        self._side, self._driver = side, cast("Any", super())
        super().__init__(**given)

    def _read_packet(self, *given: Any) -> Any:
        with Wait(self._side):
            return self._driver._read_packet(*given)

    def _write_bytes(self, data: bytes) -> None:
        with Wait(self._side):
            self._driver._write_bytes(data)

    def _read_query_result(self, unbuffered: bool = False) -> Any:
        """pymysql's own answer to a server that asks for a file is off, but would leave the server waiting for it."""
        try:
            return self._driver._read_query_result(unbuffered)
        except RuntimeError as error:
            self._driver._force_close()
            raise file_asked() from error


def file_asked() -> pymysql.MySQLError:
    """The error for a server that answers a statement by asking for a file, which it never gets (LOAD DATA LOCAL)."""
    text = "it asked for a file that it was not offered; nothing was sent"
    return pymysql.OperationalError(CR.CR_LOAD_DATA_LOCAL_INFILE_REJECTED, text)


def _connect(secret: Secret, reply_seconds: int, infile: bool, side: str) -> Connection:
    try:
        return _log_in(secret, _tls(secret), reply_seconds, infile, side)
    except RuntimeError:  # pymysql would need the package `cryptography` to send the password under the server's key
        pass
    try:  # then MySQL remembers this login until it starts anew or flushes privileges: the next may go without TLS
        return _log_in(secret, _unchecked(), reply_seconds, infile, side)
    except pymysql.MySQLError as error:
        if _code(error) != CR.CR_SSL_CONNECTION_ERROR:
            raise
        told = f"{_where(secret)}: the server takes this password over TLS only, and offers none"
        raise SecretError(told) from error


def _log_in(secret: Secret, context: ssl.SSLContext | None, reply_seconds: int, infile: bool, side: str) -> Connection:
    iam = secret.auth == "iam"
    refused = () if iam else ("mysql_clear_password", "dialog")
    return TimedConnection(
        side, host=secret.host, port=secret.port, user=secret.username,
        password=(make_token(secret) if iam else secret.password).encode(),
        database=secret.dbname, charset="utf8mb4", conv=cast("Any", dict(encoders)), autocommit=True,
        ssl=context, ssl_disabled=context is None,
        connect_timeout=CONNECT_SECONDS, read_timeout=reply_seconds, write_timeout=reply_seconds,
        client_flag=CLIENT.FOUND_ROWS | (CLIENT.LOCAL_FILES if infile else 0), local_infile=False, init_command=_SESSION,
        auth_plugin_map=cast("Any", dict.fromkeys(refused, ClearPasswordRefused)),
    )  # fmt: skip


def _tls(secret: Secret) -> ssl.SSLContext | None:
    """What checks a server's name and its certificate, by the secret's CA, that of DATAOPS_MYSQL_CA or Amazon's."""
    if secret.tls == "off" and secret.auth != "iam" and secret.host in LOOPBACK:
        return None
    path = os.environ.get("DATAOPS_MYSQL_CA") or str(RDS_CA_BUNDLE)
    try:
        return _trusting(secret.ca or Path(path).read_text("ascii", "ignore"))  # only comments are not ASCII
    except (OSError, ValueError, TypeError) as error:  # SSLError is an OSError; TypeError: not ASCII
        which = f"secret {secret.name}: field ca" if secret.ca else f"DATAOPS_MYSQL_CA: {path}"
        raise SecretError(f"{which}: expected CA certificates in PEM ({type(error).__name__})") from None


@lru_cache(maxsize=16)
def _trusting(certificates: str) -> ssl.SSLContext:
    """Made once for all connections of a process: Amazon's 87 certificates take 11 ms of a whole processor."""
    if not certificates:
        raise ValueError("none, which would mean those of the operating system")
    context = ssl.create_default_context(cadata=certificates)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Python 3.13 asks for fields that older RDS and MySQL CAs lack
    return context


@lru_cache
def _unchecked() -> ssl.SSLContext:
    """For a loopback server that is to go without TLS: the certificate that MySQL makes for itself names no host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _located(secret: Secret, error: pymysql.MySQLError) -> DataOpsError:
    """The error of ours for a connection that was not made."""
    where, code, cause = _where(secret), _code(error), getattr(error, "original_exception", None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return SecretError(f"{where}: TLS failed: {cause.verify_message}; the secret may carry its CA as `ca`")
    if code == CR.CR_SSL_CONNECTION_ERROR:
        return SecretError(f"{where}: TLS failed: MySQL error {code}, the server offers none")
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, _CUT_OFF):
        return SecretError(f"{where}: TLS failed: {cause.reason}")
    if code in _REFUSED:
        return SecretError(f"{where}: {describe_error(error)}")
    return Unreachable(f"{where}: no MySQL server answered: {describe_error(error)}")


def _where(secret: Secret) -> str:
    return f"{secret.host}:{secret.port} (secret {secret.name})"


def _code(error: pymysql.MySQLError) -> Any:
    return error.args[0] if error.args else 0
