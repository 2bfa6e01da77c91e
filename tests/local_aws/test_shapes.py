"""Requests and answers against botocore's service models."""

from __future__ import annotations

from typing import Any

import pytest

from local_aws import shapes
from local_aws.errors import AwsError


def _read(operation: str, value: Any, service: str = "sagemaker") -> Any:
    return shapes.read(shapes.operation(service, operation).input_shape, value)


def _refusal(operation: str, value: Any) -> str:
    with pytest.raises(AwsError) as refusal:
        _read(operation, value)
    assert (refusal.value.code, refusal.value.status) == ("ValidationException", 400)
    return refusal.value.message


def test_members_that_the_model_does_not_know_are_dropped() -> None:
    assert _read("DescribeModel", {"ModelName": "m", "Newer": 1}) == {"ModelName": "m"}


def test_members_that_are_null_are_absent() -> None:
    assert _read("ListModels", {"NextToken": None}) == {}


def test_a_missing_member_and_a_wrong_type_are_named() -> None:
    assert 'Missing required parameter in input: "ModelName"' in _refusal("DescribeModel", {})
    assert "Invalid type for parameter ModelName" in _refusal("DescribeModel", {"ModelName": 3})
    assert "Invalid type" in _refusal("DescribeModel", [])


def test_patterns_lengths_ranges_and_enumerations_are_checked_with_awss_sentences() -> None:
    assert _refusal("DescribeModel", {"ModelName": "a_b"}).startswith(
        "1 validation error detected: Value 'a_b' at 'modelName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern"
    )
    assert "Member must have length less than or equal to 63" in _refusal("ListModels", {"NameContains": "a" * 64})
    assert "Member must have value less than or equal to 100" in _refusal("ListModels", {"MaxResults": 101})
    assert "Member must satisfy enum value set: [Name, CreationTime]" in _refusal("ListModels", {"SortBy": "Size"})


def test_several_problems_are_counted() -> None:
    assert _refusal("ListModels", {"SortBy": "Size", "MaxResults": 101}).startswith("2 validation errors detected")


def test_members_of_lists_and_maps_are_checked_with_their_place() -> None:
    tags = [{"Key": "ok", "Value": "1"}, {"Key": "k" * 129, "Value": "2"}]
    assert "'tags.2.member.key'" in _refusal("AddTags", {"ResourceArn": "arn:aws:sagemaker:x", "Tags": tags})


def test_binary_members_travel_as_base64() -> None:
    image = {"format": "png", "source": {"bytes": "iVBORw=="}}
    request = {"modelId": "m", "messages": [{"role": "user", "content": [{"image": image}]}]}
    read = _read("Converse", request, "bedrock-runtime")
    assert read["messages"][0]["content"][0]["image"]["source"]["bytes"] == b"\x89PNG"
    image["source"] = {"bytes": "not base64!"}
    with pytest.raises(AwsError, match="not valid base64"):
        _read("Converse", request, "bedrock-runtime")


def test_documents_are_left_as_they_are() -> None:
    extra = {"top_k": 5, "nested": [{"a": None}]}
    request = {"modelId": "m", "messages": [], "additionalModelRequestFields": extra}
    assert _read("Converse", request, "bedrock-runtime")["additionalModelRequestFields"] == extra


def test_an_answer_keeps_what_its_shape_has() -> None:
    shape = shapes.operation("sagemaker", "DescribeEndpoint").output_shape
    summary = {"EndpointConfigName": "c", "StartTime": 2.5, "_model": {}}
    endpoint = {"EndpointName": "e", "_fleet": {}, "FailureReason": None, "PendingDeploymentSummary": summary}
    assert shapes.write(shape, endpoint) == {
        "EndpointName": "e",
        "PendingDeploymentSummary": {"EndpointConfigName": "c", "StartTime": 2.5},
    }
    assert shapes.write(None, {"anything": 1}) == {}


def test_an_operation_that_aws_does_not_have_is_unknown() -> None:
    with pytest.raises(AwsError) as refusal:
        shapes.operation("sagemaker", "MakeCoffee")
    assert refusal.value.code == "UnknownOperationException"


@pytest.mark.parametrize(
    ("operation", "service", "value"),
    [
        ("DescribeModel", "sagemaker", {"ModelName": "m", "Newer": 1}),
        ("DescribeModel", "sagemaker", {}),
        ("DescribeModel", "sagemaker", {"ModelName": "a_b"}),
        ("ListModels", "sagemaker", {"MaxResults": True}),
        ("ListModels", "sagemaker", {"MaxResults": 101, "SortBy": "Size", "CreationTimeAfter": 1.5}),
        ("AddTags", "sagemaker", {"ResourceArn": "arn:aws:sagemaker:x", "Tags": [{"Key": "k", "Value": None}]}),
        ("Converse", "bedrock-runtime", {"modelId": "m", "messages": [{"role": "user", "content": [{"text": "x"}]}]}),
        ("Converse", "bedrock-runtime", {"modelId": "m", "messages": [{"role": "user", "content": [{}]}]}),
        ("Converse", "bedrock-runtime", {"modelId": "m", "messages": [{"role": "x", "content": "text"}]}),
        ("Converse", "bedrock-runtime", {"modelId": "m", "inferenceConfig": {"temperature": 1, "maxTokens": 0}}),
        ("Converse", "bedrock-runtime", {"modelId": "m", "additionalModelRequestFields": {"a": [None, {"b": 1}]}}),
        ("Converse", "bedrock-runtime", {"modelId": "m", "requestMetadata": {"a": "b", "c": 1}}),
    ],
)
def test_what_is_read_quickly_is_what_is_read_slowly(operation: str, service: str, value: Any) -> None:
    shape = shapes.operation(service, operation).input_shape

    def outcome(read: Any) -> Any:
        try:
            return read(shape, value)
        except AwsError as error:
            return error.message

    assert outcome(shapes.read) == outcome(shapes._read_slowly)
