"""Functions that cannot start, or lack what they need to be told."""

import boto3
import pytest

from dataops.local import registry
from tests.end_to_end.faults.conftest import assert_failed
from tests.local.functions import make_zip

pytestmark = pytest.mark.one_server
REGISTER = registry.register


@pytest.mark.parametrize(
    ("source", "message"),
    [("def handler(", "Runtime.UserCodeSyntaxError"), ("import nosuch", "Runtime.ImportModuleError")],
)
def test_a_zip_that_does_not_work_ends_the_run(rows, monkeypatch, source, message):
    def register(info, **settings):
        content = make_zip(source)
        REGISTER(
            info, **settings | {"zip_bytes": content, "functions": dict.fromkeys(settings["functions"], "task.handler")}
        )

    monkeypatch.setattr(registry, "register", register)
    assert_failed(rows, rows.run(), message, mend=monkeypatch.undo)


def test_a_function_that_is_not_told_the_control_table_says_so(rows, monkeypatch):
    def register(info, **settings):
        REGISTER(info, **settings)
        boto3.client("lambda").update_function_configuration(FunctionName="dataops-plan", Environment={"Variables": {}})

    monkeypatch.setattr(registry, "register", register)
    assert_failed(rows, rows.run(), "DATAOPS_CONTROL_TABLE: expected the control table's name", mend=monkeypatch.undo)
