"""What leaves a handler when an AWS call fails: the operation and the code, nothing of the reply's text."""

import boto3
import pytest
from botocore.stub import Stubber

from dataops.errors import Permanent, Retryable
from dataops.handlers.edge import edge

CALLS = {
    ("dynamodb", "put_item"): {"TableName": "t", "Item": {"a": {"S": "secret"}}},
    ("sns", "publish"): {"Message": "secret"},
}


@pytest.mark.parametrize(
    ("code", "kind"),
    [("ThrottlingException", Retryable), ("InternalServerError", Retryable), ("AccessDeniedException", Permanent),
     ("ValidationException", Permanent), ("ResourceNotFoundException", Permanent)],
)  # fmt: skip
@pytest.mark.parametrize(
    ("service", "call", "told"), [("dynamodb", "put_item", "DynamoDB PutItem"), ("sns", "publish", "SNS Publish")]
)
def test_an_error_names_service_operation_and_code(monkeypatch, service, call, told, code, kind):
    monkeypatch.delenv("DATAOPS_CONTROL_TABLE", raising=False)
    client = boto3.client(service, region_name="x", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        stub.add_client_error(call, code, "secret value")
        with pytest.raises(kind) as caught:
            edge(lambda *_: getattr(client, call)(**CALLS[service, call]))({"run": "r"}, None)
    assert type(caught.value) is kind
    assert str(caught.value).endswith(f": {told}: {code}")
