"""Where requests of our own go is botocore's choice, whatever the environment says; or they are left to it."""

import json
import os
from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from dataops.core.dynamodb import dynamodb_client
from dataops.core.keepalive import NotUnderstood
from dataops.core.pattern import CHANCES, Pattern
from tests.core.dynamodb_fake import DONE
from tests.core.keyed import item

BASE = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "eu-west-1"}
SERVICES = "[default]\nservices = own\n[services own]\ndynamodb =\n  endpoint_url = http://10.0.0.9:8000\n"
ENDPOINTS = {
    "a region's": ({}, "", "https://dynamodb.eu-west-1.amazonaws.com/"),
    "FIPS": ({"AWS_USE_FIPS_ENDPOINT": "true", "AWS_DEFAULT_REGION": "us-east-1"}, "", "https://dynamodb-fips.us-east-1.amazonaws.com/"),
    "dual stack": ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "", "https://dynamodb.eu-west-1.api.aws/"),
    "dual stack, in a file": ({}, "[default]\nuse_dualstack_endpoint = true\n", "https://dynamodb.eu-west-1.api.aws/"),
    "an account's": ({"AWS_ACCOUNT_ID": "123456789012"}, "", "https://123456789012.ddb.eu-west-1.amazonaws.com/"),
    "China": ({"AWS_DEFAULT_REGION": "cn-north-1"}, "", "https://dynamodb.cn-north-1.amazonaws.com.cn/"),
    "one's own": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "", "http://127.0.0.1:4566/"),
    "one's own for DynamoDB": ({"AWS_ENDPOINT_URL_DYNAMODB": "https://vpce-1.example:8443"}, "", "https://vpce-1.example:8443/"),
    "one's own, in a file": ({}, SERVICES, "http://10.0.0.9:8000/"),
    "none of one's own": ({"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, SERVICES, "https://dynamodb.eu-west-1.amazonaws.com/"),
    "legacy retries": ({"AWS_RETRY_MODE": "legacy"}, "", "https://dynamodb.eu-west-1.amazonaws.com/"),
    "traced": ({"AWS_LAMBDA_FUNCTION_NAME": "f", "_X_AMZN_TRACE_ID": "Root=1"}, "", "https://dynamodb.eu-west-1.amazonaws.com/"),
}  # fmt: skip
LEFT = {
    "a proxy": ({"HTTPS_PROXY": "http://127.0.0.1:1"}, "a proxy"),
    "any proxy": ({"ALL_PROXY": "http://127.0.0.1:1"}, "a proxy"),
    "a path that is spelt anew": ({"AWS_ENDPOINT_URL": "http://own.example/a//b/../c"}, "a request that is signed in another way"),
    "a user": ({"AWS_ENDPOINT_URL": "http://u:p@own.example"}, "a request that is signed in another way"),
    "headers": ({}, "a request with headers of its own"),
}  # fmt: skip


@pytest.fixture
def seen(monkeypatch, tmp_path):
    """What makes a pattern of requests in this environment, none of which is really sent; and the URL of these."""

    def see(environment, file="", **headers):
        for name in [name for name in os.environ if name.startswith("AWS_") or name.upper().endswith("_PROXY")]:
            monkeypatch.delenv(name)
        (tmp_path / "config").write_text(file)
        for name, value in {**BASE, "AWS_CONFIG_FILE": str(tmp_path / "config"), **environment}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("dataops.core.aws._made", [])
        client, urls = dynamodb_client(attempts=1), []

        def mark(request, **_):
            for name, value in headers.items():
                request.headers.add_header(name, value)

        def answer(request, **_):
            urls.append(request.url)
            reply: Any = AWSResponse(request.url, 200, {}, BytesIO())
            reply._content = json.dumps(DONE).encode()
            return reply

        client.meta.events.register("before-sign.dynamodb", mark)
        pattern = Pattern(client)
        client.meta.events.register("before-send.dynamodb", answer)
        while pattern.signer() is None and not pattern.unusable:
            client.batch_write_item(RequestItems={"t": [{"PutRequest": {"Item": item(1)}}]})
        return pattern, urls[0]

    return see


@pytest.mark.parametrize(("environment", "file", "url"), ENDPOINTS.values(), ids=list(ENDPOINTS))
def test_requests_of_our_own_go_where_botocore_sends_its(seen, environment, file, url):
    pattern, sent = seen(environment, file)
    assert (pattern.unusable, pattern.url, sent) == ("", url, url)


def test_what_was_given_up_stays_so_whatever_is_still_under_way(seen):
    pattern, _ = seen({})
    for _ in range(CHANCES):
        pattern.doubt(NotUnderstood())
    pattern.trust()
    pattern.doubt(NotUnderstood())
    assert (pattern.unusable, pattern.signer()) == ("replies that are not understood", None)


@pytest.mark.parametrize(("environment", "why"), LEFT.values(), ids=list(LEFT))
def test_what_is_sent_in_another_way_is_left_to_botocore(seen, environment, why):
    pattern, _ = seen(environment, **({"X-Guard": "1"} if "headers" in why else {}))
    assert (pattern.unusable, pattern.signer()) == (why, None)
