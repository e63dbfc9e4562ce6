"""The trail names what a function called, and never overlooks a call."""

from __future__ import annotations

import json

import pytest

from dataops.local.calls import Call, calls_of

TABLE = "arn:aws:dynamodb:r:123456789012:table/orders"


def asked(service, body, target=""):
    signed = f"AWS4-HMAC-SHA256 Credential=dataops-plan/20261126/r/{service}/aws4_request, SignedHeaders=host"
    text = body if isinstance(body, str) else json.dumps(body)
    return [tuple(call[1:]) for call in calls_of({"authorization": signed, "x-amz-target": target}, text.encode())]


@pytest.mark.parametrize(
    ("service", "body", "target", "expected"),
    [
        ("dynamodb", {"TableName": "orders"}, "DynamoDB_20120810.GetItem", ("dynamodb:GetItem", TABLE)),
        ("dynamodb", {"TableName": "orders", "IndexName": "i"}, "D.Query", ("dynamodb:Query", f"{TABLE}/index/i")),
        ("dynamodb", {"RequestItems": {"orders": []}}, "D.BatchWriteItem", ("dynamodb:BatchWriteItem", TABLE)),
        ("dynamodb", {}, "DynamoDB_20120810.DescribeLimits", ("dynamodb:DescribeLimits", "*")),
        ("secretsmanager", {"SecretId": "a/b"}, "secretsmanager.GetSecretValue",
         ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:r:123456789012:secret:a/b-AbCdEf")),
        ("secretsmanager", {}, "secretsmanager.ListSecrets", ("secretsmanager:ListSecrets", "unknown")),
        ("states", {"stateMachineArn": "m"}, "AWSStepFunctions.StartExecution", ("states:StartExecution", "unknown")),
        ("sns", "Action=Publish&TopicArn=t", "", ("sns:Publish", "t")),
        ("sns", "Action=ListTopics", "", ("sns:ListTopics", "unknown")),
        ("s3", "", "", ("s3:unknown", "unknown")),
        ("states", "no json", "AWSStepFunctions.StopExecution", ("states:StopExecution", "unknown")),
    ],
)  # fmt: skip
def test_a_call_is_named_as_iam_names_it(service, body, target, expected):
    assert asked(service, body, target) == [expected]


def test_what_no_function_signed_is_not_kept():
    assert list(calls_of({"authorization": "AWS4 Credential=test/20261126/r/s3/aws4_request"}, b"")) == []
    assert Call("a", "b", "c").function == "a"
