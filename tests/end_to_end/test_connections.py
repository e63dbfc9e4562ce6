"""Connections on real servers: TLS and whom it trusts, passwords that rotate, connections that are cut."""

import json
import traceback

import boto3
import pytest

from dataops.core import connection as module
from dataops.core.close import close_run
from dataops.core.connection import connect, open_connection
from dataops.core.mysql import SQL_MODE, execute
from dataops.core.publish import publish
from dataops.core.reconcile import verify_source, verify_staging
from dataops.core.secrets import fetch_secret, parse_secret
from dataops.core.task import Task
from dataops.errors import Retryable, SecretError, Unreachable
from dataops.local.mysqld import find_program
from dataops.local.servers import MySQLServer
from dataops.local.spawn import Spawner
from dataops.workbook.demo import open_server
from tests.certificates import Authority
from tests.end_to_end.steps import copy_all, execution_of, load_all, never, planned

SESSION = "SELECT @@session.time_zone, @@session.sql_mode"


class FlaggedServer(MySQLServer):
    """A server with flags of a test's own."""

    flags: tuple[str, ...] = ()

    def _running_flags(self):
        return [*super()._running_flags(), *self.flags]


@pytest.fixture(scope="module")
def authority():
    return Authority("right")


@pytest.fixture(scope="module")
def start_server(tmp_path_factory):
    """Start a server with flags."""
    servers = []

    def start(*flags):
        server = FlaggedServer(find_program(), tmp_path_factory.mktemp("s") / "shop", "shop", Spawner())
        server.flags = flags
        server.create()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def tls_server(start_server, authority, tmp_path_factory):
    """A server certified for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificates")
    certificate, key = authority.certify("127.0.0.1", folder)
    (folder / "ca.pem").write_text(authority.pem)
    return start_server(f"--ssl-ca={folder / 'ca.pem'}", f"--ssl-cert={certificate}", f"--ssl-key={key}")


def fields_of(info, **fields):
    """A server's secret, its fields changed; None takes one out."""
    known = {
        "host": info.host, "port": info.port, "username": info.user, "password": info.password, "dbname": info.database,
    }  # fmt: skip
    return {name: value for name, value in {**known, **fields}.items() if value is not None}


def secret_of(server, **fields):
    return parse_secret("shop", json.dumps(fields_of(server.info, **fields)))


def tls_of(connection):
    with connection:
        return execute(connection, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1]


def test_a_server_certified_by_the_secrets_ca_is_taken(tls_server, authority):
    assert tls_of(connect(secret_of(tls_server, ca=authority.pem))) != ""


def test_a_loopback_secret_that_goes_without_does_so_where_the_server_offers_tls(tls_server):
    assert tls_of(connect(secret_of(tls_server, tls="off"))) == ""


def test_a_server_certified_by_the_environments_ca_is_taken(tls_server, authority, tmp_path, monkeypatch):
    (tmp_path / "ca.pem").write_text(authority.pem)
    monkeypatch.setenv("DATAOPS_MYSQL_CA", str(tmp_path / "ca.pem"))
    assert tls_of(connect(secret_of(tls_server))) != ""


@pytest.mark.parametrize("ca", [None, Authority("wrong").pem, Authority("right").pem])
def test_a_server_certified_by_another_ca_is_refused(tls_server, ca):
    with pytest.raises(SecretError, match=rf"127.0.0.1:{tls_server.port} \(secret shop\): TLS failed: .*certificate"):
        connect(secret_of(tls_server, ca=ca))


def test_a_server_certified_for_another_host_is_refused(tls_server, authority):
    with pytest.raises(SecretError, match=r"\(secret shop\): TLS failed: Hostname mismatch"):
        connect(secret_of(tls_server, ca=authority.pem, host="localhost"))


def test_a_server_without_tls_is_refused_unless_the_secret_goes_without(start_server):
    flavor = find_program().flavor
    server = start_server("--skip-ssl" if flavor == "mariadb" else "--tls-version=")
    with pytest.raises(SecretError, match=r"\(secret shop\): TLS failed: MySQL error 2026, the server offers none"):
        connect(secret_of(server))
    assert tls_of(connect(secret_of(server, tls="off"))) == ""


def test_a_run_goes_the_fast_way_over_tls(case, tls_server, authority):
    """Rows are read off the wire, loaded by LOAD DATA and as they were, by a user who may not do without TLS."""
    secret = fields_of(tls_server.info, ca=authority.pem)
    boto3.client("secretsmanager").create_secret(Name=f"{case.name}/tls", SecretString=json.dumps(secret))
    with open_server(tls_server.info) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {case.name} (id INT PRIMARY KEY, v VARCHAR(900), w BLOB, d DATETIME(6), x DOUBLE)"
        )
        rows = [(n, "é" * (1 + n % 900), bytes([n % 256]) * 9, "2026-02-28 01:02:03.5", n / 7) for n in range(3000)]
        cursor.executemany(f"INSERT INTO {case.name} VALUES (%s, %s, %s, %s, %s)", rows)
        cursor.execute(f"ALTER USER {tls_server.info.user}@'%' REQUIRE SSL")
        connection.commit()
        over_tls = f"{case.name}/tls"
        result = case.run(
            case.batch(source__secret=over_tls, target__secret=over_tls, target__table=f"{case.name}_copy")
        )
        cursor.execute(f"ALTER USER {tls_server.info.user}@'%' REQUIRE NONE")
        assert (result.status, result.record.plain, result.record.target_rows) == ("succeeded", {}, 3000)
        cursor.execute(f"CHECKSUM TABLE {case.name}, {case.name}_copy EXTENDED")
        (_, one), (_, other) = cursor.fetchall()
        assert one == other


class Rotation:
    """A login of its own on the case's source, whose password changes on the server and in the secret."""

    def __init__(self, case):
        self.case, self.name, self.password = case, f"{case.name}/source", "first-passw0rd"
        case.source("CREATE USER {t}@'%' IDENTIFIED BY 'first-passw0rd'")
        case.source("GRANT ALL ON source.* TO {t}@'%'")
        boto3.client("secretsmanager").create_secret(Name=self.name, SecretString=self.text)

    @property
    def text(self):
        info = self.case.stack.info.source
        return json.dumps(fields_of(info, username=self.case.name, password=self.password, tls="off"))

    def rotate_server(self, password="second-passw0rd"):
        self.password = password
        self.case.source(f"ALTER USER {{t}}@'%' IDENTIFIED BY '{password}'")

    def rotate_secret(self):
        boto3.client("secretsmanager").put_secret_value(SecretId=self.name, SecretString=self.text)


@pytest.fixture
def rotation(numbers):
    return Rotation(numbers)


@pytest.fixture
def pauses(monkeypatch):
    """What happens instead of waiting for a rotation."""
    done = []
    monkeypatch.setattr("time.sleep", done.append)
    return done


def test_a_run_goes_on_with_the_password_rotated_between_two_states(numbers, rotation):
    batch = numbers.batch(source__secret=rotation.name)
    with planned(numbers, "rotated", batch) as task:
        copy_all(task)
        load_all(task)
    rotation.rotate_server()
    rotation.rotate_secret()
    with Task.open(f"{numbers.name}-rotated") as task:
        assert verify_source(task, never) == []
        assert verify_staging(task, never)
        publish(task)
    assert close_run(task.plan.run, execution_of(task.plan.run)).target_rows == 3


def test_a_password_rotated_between_fetching_and_connecting_is_fetched_again(rotation, pauses, monkeypatch):
    fetched = []

    def fetch_before_rotation(name):
        fetched.append(fetch_secret(name))
        if len(fetched) == 1:
            rotation.rotate_server()
            rotation.rotate_secret()
        return fetched[-1]

    monkeypatch.setattr(module, "fetch_secret", fetch_before_rotation)
    with open_connection(rotation.name) as connection:
        assert execute(connection, "SELECT 1") == [("1",)]
    assert [secret.password for secret in fetched] == ["first-passw0rd", "second-passw0rd"]
    assert pauses == []


def test_a_secret_that_follows_its_server_later_is_waited_for(rotation, monkeypatch):
    rotation.rotate_server()
    monkeypatch.setattr("time.sleep", lambda seconds: rotation.rotate_secret())
    with open_connection(rotation.name) as connection:
        assert execute(connection, "SELECT 1") == [("1",)]


def test_a_password_that_stays_wrong_is_an_error_without_it(rotation, pauses):
    rotation.rotate_server()
    with pytest.raises(SecretError, match=r"127.0.0.1:\d+ \(secret case_\d+/source\): MySQL error 1045") as caught:
        open_connection(rotation.name)
    assert pauses == [module.ROTATION_SECONDS]
    error, told = caught.value, ""
    while error:
        told += repr(error) + repr(vars(error)) + "".join(traceback.format_exception(error))
        error = error.__cause__ or error.__context__
    assert "passw0rd" not in told


def test_a_database_that_is_refused_is_not_tried_again(numbers, rotation, pauses):
    text = json.dumps({**json.loads(rotation.text), "dbname": "nosuch"})
    boto3.client("secretsmanager").put_secret_value(SecretId=rotation.name, SecretString=text)
    with pytest.raises(SecretError, match=r"MySQL error 10(44|49)"):
        open_connection(rotation.name)
    assert pauses == []


def test_work_on_a_connection_that_was_cut_is_retried_on_one_with_the_same_session(numbers):
    with planned(numbers, "cut") as task:
        (before,) = execute(task.source_connection, SESSION)
        ((number,),) = execute(task.source_connection, "SELECT CONNECTION_ID()")
        numbers.source(f"KILL {number}")
        for _ in range(2):
            with pytest.raises(Retryable):
                copy_all(task)
    with Task.open(f"{numbers.name}-cut") as task:
        assert execute(task.source_connection, SESSION) == [before]
        assert before[0] == "+00:00"
        assert set(before[1].split(",")) >= set(SQL_MODE.split(","))
        copy_all(task)
    assert len(numbers.items()) == 3


def test_a_cut_target_connection_may_be_tried_again(numbers):
    with planned(numbers, "cut") as task:
        copy_all(task)
        ((number,),) = execute(task.target_connection, "SELECT CONNECTION_ID()")
        numbers.target(f"KILL {number}")
        with pytest.raises(Unreachable):
            load_all(task)
    with Task.open(f"{numbers.name}-cut") as task:
        load_all(task)
        assert verify_staging(task, never)
