"""What a failed run tells the topic."""

import json

import boto3
import pytest

from dataops.core.publish import roll_back
from tests.end_to_end.steps import execution_of, planned

pytestmark = pytest.mark.one_server


def test_a_notification_names_batch_run_and_cause_and_no_row_value(numbers):
    numbers.source("UPDATE {t} SET v = 'canary-value' WHERE id = 1")
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    queue = sqs.create_queue(QueueName=numbers.name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = numbers.stack.info.variables["DATAOPS_TOPIC_ARN"]
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    record = numbers.run(numbers.batch(normalize={"columns": {"v": {"as": "document"}}})).record
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10, MaxNumberOfMessages=10)["Messages"]
    sns.unsubscribe(SubscriptionArn=subscription)
    told = json.loads(message["Body"])
    assert told["Subject"] == f"dataops: batch {numbers.name} failed"
    assert told["Message"] == f"{record.run}: {record.cause}"
    assert "rejected, most often because v is not JSON" in record.cause
    assert "canary" not in message["Body"]


def test_a_notification_that_cannot_be_sent_is_logged_and_no_more(numbers, monkeypatch, capsys):
    monkeypatch.setenv("DATAOPS_TOPIC_ARN", "arn:aws:sns:ap-northeast-1:123456789012:nosuch")
    with planned(numbers, "run") as task:
        record = roll_back(task.plan.run, execution_of(task.plan.run), "Permanent", "why")
    assert record.status == "failed"
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "notification" in line]
    assert line == {"level": "WARNING", "run": record.run, "message": "the notification was not sent: NotFound"}
