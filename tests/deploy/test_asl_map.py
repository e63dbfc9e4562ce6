"""A Map's reader, batcher and tolerance in a definition: AWS's refusals are errors, what hurts is a warning."""

from __future__ import annotations

import pytest

from tests.deploy.definitions import DISTRIBUTED, SCOPE, distributed_map, faults, jsonata, machine

READER = {"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket": "b", "Key.$": "$.key"}}


@pytest.mark.parametrize(
    "valid",
    [
        distributed_map(ItemReader=READER, ItemBatcher={"MaxItemsPerBatch": 10, "BatchInput": {"a.$": "$.b"}}),
        distributed_map(ItemReader={**READER, "ReaderConfig": {"InputType": "JSON", "MaxItemsPath": "$.most"}}),
        distributed_map(ItemReader={**READER, "Resource": "arn:${AWS::Partition}:states:::s3:listObjectsV2"}),
        distributed_map(ItemBatcher={"MaxItemsPerBatchPath": "$.n", "MaxInputBytesPerBatchPath": "$limits.bytes"}),
        distributed_map(ToleratedFailurePercentage=33.3, ToleratedFailureCountPath="$.failures"),
        distributed_map(ResultWriter={"WriterConfig": {"OutputType": "JSONL", "Transformation": "COMPACT"}}),
        distributed_map(ItemsPath="$$.Execution.Input.items"),
        jsonata(A={"Type": "Map", "ItemProcessor": DISTRIBUTED, "End": True, "ToleratedFailurePercentage": "{% 5 %}",
                   "ItemBatcher": {"MaxItemsPerBatch": "{% $states.input.n %}"}}),
    ],
)  # fmt: skip
def test_a_map_that_aws_takes_has_no_error(valid):
    assert faults(valid) == []


@pytest.mark.parametrize(
    ("wrong", "where", "what"),
    [
        (distributed_map(ItemBatcher={"MaxItemsPerBatchPath": "n"}), "ItemBatcher.MaxItemsPerBatchPath", "begins with $"),
        (distributed_map(ItemBatcher={"MaxItemsPerBatchPath": "$$.n"}), "ItemBatcher.MaxItemsPerBatchPath", "context object"),
        (distributed_map(ItemBatcher={"MaxInputBytesPerBatchPath": "$.a[*]"}), "ItemBatcher.MaxInputBytesPerBatchPath", "reference path"),
        (distributed_map(ItemBatcher={"MaxItemsPerBatch": -1}), "ItemBatcher.MaxItemsPerBatch", "at least 0"),
        (distributed_map(ItemBatcher={"MaxItemsPerBatch": 1, "MaxItemsPerBatchPath": "$.n"}), "ItemBatcher", "exclude each other"),
        (distributed_map(ItemBatcher=[]), "ItemBatcher", "expected an object"),
        (distributed_map(ItemReader={"Parameters": {}}), "ItemReader.Resource", "required: an ARN"),
        (distributed_map(ItemReader={**READER, "ReaderConfig": {"MaxItemsPath": "n"}}), "ItemReader.ReaderConfig.MaxItemsPath", "begins with $"),
        (distributed_map(ItemReader={**READER, "ReaderConfig": {"MaxItems": 100_000_001}}), "ItemReader.ReaderConfig.MaxItems", "0 to 100,000,000"),
        (distributed_map(ResultWriter={}), "ResultWriter", "or WriterConfig"),
        (distributed_map(ToleratedFailureCount=-1), "ToleratedFailureCount", "at least 0"),
        (distributed_map(ToleratedFailurePercentage=100.5), "ToleratedFailurePercentage", "0 to 100"),
        (distributed_map(ToleratedFailureCountPath="$.a.length()"), "ToleratedFailureCountPath", "reference path"),
        (jsonata(A={"Type": "Map", "ItemProcessor": DISTRIBUTED, "End": True, "ItemBatcher": {"MaxItemsPerBatchPath": "$.n"}}),
         "ItemBatcher.MaxItemsPerBatchPath", "query language is JSONata"),
    ],
)  # fmt: skip
def test_a_fault_of_a_map_is_told_where_it_stands(wrong, where, what):
    assert any(place == f"States.A.{where}" and what in told for place, told in faults(wrong)), faults(wrong)


@pytest.mark.parametrize(
    ("hurts", "where"),
    [
        (distributed_map(ItemBatcher={"BatchInput": {}}), "ItemBatcher"),
        (machine(A={"Type": "Map", "ItemProcessor": SCOPE, "ToleratedFailureCountPath": "$.n", "End": True}), "ToleratedFailureCountPath"),
        (machine(A={"Type": "Map", "ItemProcessor": SCOPE, "ToleratedFailurePercentage": 5, "End": True}), "ToleratedFailurePercentage"),
    ],
)  # fmt: skip
def test_a_field_of_a_map_without_effect_is_a_warning(hurts, where):
    assert faults(hurts) == []
    assert [place for place, _ in faults(hurts, "warning")] == [f"States.A.{where}"]
