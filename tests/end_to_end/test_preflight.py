"""Preflight on real servers: every red line provoked for real, the others of the same call still told."""

from __future__ import annotations

import json
import re
import socket
from contextlib import contextmanager

import boto3
import msgspec
import pytest
from click.testing import CliRunner

from dataops.cli.operations import preflight as command
from dataops.core.grants import WRITE, missing, privileges
from dataops.core.preflight import run_preflight
from dataops.deploy.compose import table_resource
from dataops.deploy.tables import table_definition
from dataops.deploy.template import write_template
from dataops.workbook.preflight import preflight, require_ready
from dataops.workbook.stack import deploy_to_stack
from tests.certificates import Authority
from tests.end_to_end.steps import never
from tests.end_to_end.test_connections import authority, fields_of, start_server, tls_server  # noqa: F401

WORDS = "passw0rd"


@pytest.fixture
def ready(numbers):
    """A case whose target and DynamoDB table are there."""
    numbers.target("CREATE TABLE {t} (id INT PRIMARY KEY, kind VARCHAR(9) NOT NULL, v VARCHAR(20))")
    deploy_to_stack(numbers.batch())
    return numbers


@pytest.fixture
def secret(ready):
    """Make a secret of the source's or target's server with other fields; gives its name."""

    def make(side, **fields):
        name = f"{ready.name}/{side}/{len(json.dumps(fields, default=str))}"
        info = getattr(ready.stack.info, side)
        text = json.dumps(fields_of(info, **{"tls": "off", **fields}))
        boto3.client("secretsmanager").create_secret(Name=name, SecretString=text)
        return name

    return make


def checked(batch):
    """Every finding, by side and check."""
    found = run_preflight(msgspec.to_builtins(batch), never)
    assert WORDS not in repr(found)
    return {(check.side, check.check): check for check in found}


def failures(found):
    return [place for place, check in found.items() if check.status == "failed"]


@contextmanager
def user(case, side, *grants):
    """A user with these grants only; gives name and password as a secret has them."""
    run, name = getattr(case, side), f"{case.name}u"
    run(f"CREATE USER {name}@'%' IDENTIFIED BY '{WORDS}'")
    try:
        for grant in grants:
            run(f"GRANT {grant} TO {name}@'%'")
        yield {"username": name, "password": WORDS}
    finally:
        run(f"DROP USER {name}@'%'")


@contextmanager
def silent_port(accepts):
    """A port that takes connections and never says a word, or drops whatever comes."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8 if accepts else 0)
        callers = [] if accepts else [socket.socket() for _ in range(2)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
        for caller in callers:
            caller.close()


def test_all_is_green_where_all_is_there(ready):
    found = checked(ready.batch())
    assert failures(found) == []
    warned = {place for place, check in found.items() if check.status == "warning"}
    assert warned == {("source", "grants")}
    assert re.match("wider than needed: (ALL PRIVILEGES|INSERT, UPDATE, DELETE)", found["source", "grants"].found)


def test_a_host_that_does_not_resolve_leaves_the_other_sides_told(ready, secret):
    found = checked(ready.batch(source__secret=secret("source", host="db.nosuch.invalid", tls="on")))
    assert failures(found) == [("source", "DNS")]
    assert found["source", "TCP"].status == "not tried"
    assert found["target", "table"].status == "not tried"
    assert found["target", "grants"].status == found["dynamodb", "table"].status == "ok"


def test_a_closed_port_is_refused(ready, secret):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        found = checked(ready.batch(target__secret=secret("target", port=closed.getsockname()[1])))
    assert failures(found) == [("target", "TCP")]
    assert "refuses connections" in found["target", "TCP"].found


@pytest.mark.parametrize(("accepts", "check"), [(False, "TCP"), (True, "login")], ids=["drops", "says nothing"])
def test_a_port_that_never_answers_is_given_up(ready, secret, monkeypatch, accepts, check):
    monkeypatch.setattr("dataops.core.probe.TCP_SECONDS", 0.5)
    monkeypatch.setattr("dataops.core.probe.REPLY_SECONDS", 1)
    with silent_port(accepts) as port:
        found = checked(ready.batch(source__secret=secret("source", port=port)))
    assert failures(found) == [("source", check)]
    assert accepts or "security groups" in found["source", "TCP"].remedy


def test_a_server_of_another_authority_is_not_trusted(ready, tls_server):  # noqa: F811
    name = f"{ready.name}/tls"
    text = json.dumps(fields_of(tls_server.info, ca=Authority("other").pem))
    boto3.client("secretsmanager").create_secret(Name=name, SecretString=text)
    found = checked(ready.batch(source__secret=name))
    assert failures(found) == [("source", "TLS")]
    assert found["source", "login"].status == "not tried"


def test_tls_is_told_with_its_version(ready, tls_server, authority):  # noqa: F811
    name = f"{ready.name}/tls"
    text = json.dumps(fields_of(tls_server.info, ca=authority.pem))
    boto3.client("secretsmanager").create_secret(Name=name, SecretString=text)
    found = checked(ready.batch(source__secret=name))
    assert found["source", "TLS"].found in (
        "TLSv1.3, verified by the secret's CA",
        "TLSv1.2, verified by the secret's CA",
    )
    assert failures(found) == [("source", "table")]


def test_a_wrong_password_is_a_failed_login(ready, secret):
    found = checked(ready.batch(target__secret=secret("target", password="another")))
    assert failures(found) == [("target", "login")]


@pytest.mark.parametrize(
    ("side", "grants", "lacking"),
    [
        ("source", ("INSERT ON source.*",), "the user lacks SELECT"),
        ("target", ("SELECT, INSERT, DELETE, DROP, ALTER ON target.*",), "the user lacks CREATE"),
    ],
)
def test_what_a_user_lacks_is_named(ready, secret, side, grants, lacking):
    with user(ready, side, *grants) as login:
        found = checked(ready.batch(**{f"{side}__secret": secret(side, **login)}))
    assert (side, "grants") in failures(found)
    assert found[side, "grants"].found == lacking


@pytest.mark.parametrize("mode", ["swap", "upsert"])
def test_the_grants_that_are_asked_for_are_enough_for_a_run(ready, secret, mode):
    with (
        user(ready, "target", f"{', '.join(sorted(WRITE[mode]))}, TRIGGER ON target.*") as writer,
        user(ready, "source", f"SELECT ON source.{ready.name}") as reader,
    ):
        names = {"target__secret": secret("target", **writer), "source__secret": secret("source", **reader)}
        batch = ready.batch(target__mode=mode, **names)
        assert not [check for check in checked(batch).values() if check.status != "ok"]
        ready.source("UPDATE {t} SET v = 'new' WHERE id = 1")
        assert ready.run(batch, create_target=False).status == "succeeded"


def test_a_target_that_is_read_only_is_no_target(ready):
    ready.target("SET GLOBAL read_only = 1")
    try:
        found = checked(ready.batch())
    finally:
        ready.target("SET GLOBAL read_only = 0")
    assert failures(found) == [("target", "writable")]
    assert found["target", "writable"].found == "read_only is on"


def test_an_index_that_is_not_on_the_table_is_named(ready):
    indexes = [{"name": "by-kind", "partition_key": "kind", "projection": "ALL"}]
    found = checked(ready.batch(dynamodb__indexes=indexes))
    assert failures(found) == [("dynamodb", "keys and indexes")]
    assert "index 'by-kind' is not on table" in found["dynamodb", "keys and indexes"].found


def test_tables_of_dynamodb_that_are_missing_are_told(ready, monkeypatch):
    monkeypatch.setenv("DATAOPS_CONTROL_TABLE", "nosuch-control")
    found = checked(ready.batch(dynamodb__table="nosuch"))
    assert failures(found) == [("dynamodb", "control table"), ("dynamodb", "table")]
    assert found["quota", "write units"].status == "not tried"


def test_a_secret_without_a_field_is_told_by_the_fields_name(ready, secret):
    found = checked(ready.batch(source__secret=secret("source", username=None), target__secret="nosuch"))
    assert failures(found) == [("source", "secret"), ("target", "secret")]
    assert "field username is missing" in found["source", "secret"].found


def test_more_write_units_than_the_account_gives_are_a_warning(ready):
    found = checked(ready.batch(dynamodb__max_write_units=1_000_000))
    assert (found["quota", "write units"].status, failures(found)) == ("warning", [])


def test_what_the_time_does_not_suffice_for_is_not_tried(ready):
    found = run_preflight(msgspec.to_builtins(ready.batch()), lambda: True)
    tried = {(check.side, check.check): check.status for check in found if check.status != "not tried"}
    assert tried == {("source", "secret"): "ok"}


def test_no_connection_is_left_open(ready):
    sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = CURRENT_USER() OR DB = 'source'"
    before = ready.source(sql)
    checked(ready.batch())
    assert ready.source(sql) == before


def test_the_deployed_function_is_asked_and_shown_with_what_it_found(ready):
    found = preflight(ready.batch())
    assert require_ready(found) == f"{ready.name}: ready to run; {found.counts}."
    (grants,) = [row for row in found.table().rows if row[:2] == ("source", "grants")]
    assert grants[2] == "! warning"
    assert grants[3].startswith("wider than needed: ")
    assert str(ready.stack.info.source.port) in found._repr_html_()


@pytest.mark.parametrize(("table", "status"), [(None, 0), ("nosuch", 1)])
def test_the_command_says_what_to_do_and_ends_with_a_status(ready, tmp_path, table, status):
    path = tmp_path / "b.yml"
    batch = ready.batch(**({"source__table": table} if table else {}))
    path.write_text(json.dumps({k: v for k, v in msgspec.to_builtins(batch).items() if v is not None}))
    done = CliRunner().invoke(command, [str(path)], standalone_mode=False)
    assert done.return_value == status, done.output
    assert ("✗ failed" in done.output) == bool(status)
    told = json.loads(CliRunner().invoke(command, [str(path), "--json"], standalone_mode=False).output.splitlines()[-1])
    assert told["ok"] == (not status)


@pytest.mark.parametrize(
    ("grant", "held"),
    [
        ("GRANT SELECT, INSERT (`a`, `b`), UPDATE ON `shop`.* TO `u`@`%`", {"SELECT", "UPDATE"}),
        ("GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%` WITH GRANT OPTION", {"ALL PRIVILEGES"}),
        ("GRANT SELECT ON `sh%`.* TO `u`@`%`", {"SELECT"}),
        ("GRANT SELECT ON `s_op`.* TO `u`@`%`", {"SELECT"}),
        (r"GRANT SELECT ON `s\_op`.* TO `u`@`%`", set()),
        ("GRANT SELECT ON `other`.* TO `u`@`%`", set()),
        ("GRANT SELECT ON `shop`.`t` TO `u`@`%`", {"SELECT"}),
        ("GRANT SELECT ON `shop`.`t2` TO `u`@`%`", set()),
        ("GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*X'", {"USAGE"}),
        ("GRANT `role`@`%` TO `u`@`%`", set()),
    ],
)
def test_grants_are_read_as_the_server_means_them(grant, held):
    assert privileges([grant], "shop", "t") == held
    assert missing(frozenset(held), frozenset({"SELECT"})) == (
        [] if held & {"SELECT", "ALL PRIVILEGES"} else ["SELECT"]
    )


def test_an_on_demand_table_is_limited_by_the_account(case):
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY)")
    batch = case.batch(dynamodb__max_write_units=100, dynamodb__key_types={"id": "N"})
    body = write_template({"Resources": {"Table": table_resource(table_definition(batch))}})
    client, name = boto3.client("cloudformation"), case.name.replace("_", "-")
    client.create_stack(StackName=name, TemplateBody=body)
    client.get_waiter("stack_create_complete").wait(StackName=name)
    deploy_to_stack(batch)
    quota = checked(batch)["quota", "write units"]
    assert (quota.status, quota.found.partition(":")[0]) == ("ok", "the account's limit of a table")
