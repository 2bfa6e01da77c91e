"""The one address: who answers what, what is refused, and who may ask."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError
from tests.local_aws.conftest import LocalAws


def _refused(call: Any, **request: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as refusal:
        call(**request)
    response = refusal.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_it_says_that_it_is_well(gateway: LocalAws) -> None:
    health = json.load(urlopen(f"{gateway.url}/_local/health"))
    assert health == {"status": "ok", "url": gateway.url, "state": str(gateway.state)}


def test_it_listens_on_loopback_only(gateway: LocalAws) -> None:
    with socket.socket() as other:
        assert other.connect_ex(("127.0.0.2", gateway.port)) != 0


@pytest.mark.parametrize(
    ("service", "operation", "request_"),
    [
        ("sagemaker", "list_pipelines", {}),
        ("sagemaker", "create_training_plan", {"TrainingPlanName": "x", "TrainingPlanOfferingId": "y"}),
        ("sagemaker-runtime", "invoke_endpoint_with_response_stream", {"EndpointName": "x", "Body": b"{}"}),
        ("bedrock", "list_guardrails", {}),
        ("dynamodb", "list_tables", {}),
        ("ec2", "describe_instances", {}),
        ("lambda", "list_functions", {}),
    ],
)
def test_an_unknown_operation_is_a_400_with_an_aws_error(
    gateway: LocalAws, service: str, operation: str, request_: dict[str, Any]
) -> None:
    assert _refused(getattr(gateway.client(service), operation), **request_) == (400, "UnknownOperationException")


def test_small_services_answer_at_the_same_address(gateway: LocalAws) -> None:
    assert gateway.client("sts").get_caller_identity()["Account"] == "000000000000"
    sqs = gateway.client("sqs")
    url = sqs.create_queue(QueueName="drops")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="2026-11-16")
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "2026-11-16"
    secrets = gateway.client("secretsmanager")
    secrets.create_secret(Name="s", SecretString="x")
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "x"


def test_a_body_that_is_not_json_is_a_serialization_error(gateway: LocalAws) -> None:
    headers = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}
    with pytest.raises(HTTPError) as refusal:
        urlopen(Request(gateway.url, b"{", headers))
    assert refusal.value.code == 400
    assert json.load(refusal.value)["__type"] == "SerializationException"


def test_an_operation_that_aws_does_not_know_either_is_refused(gateway: LocalAws) -> None:
    with pytest.raises(HTTPError) as refusal:
        urlopen(Request(gateway.url, b"{}", {"X-Amz-Target": "SageMaker.MakeCoffee"}))
    assert json.load(refusal.value)["__type"] == "UnknownOperationException"


def test_a_bad_token_is_a_validation_exception(gateway: LocalAws) -> None:
    sagemaker = gateway.client("sagemaker")
    assert _refused(sagemaker.list_models, NextToken="bm9uc2Vuc2U=") == (400, "ValidationException")
