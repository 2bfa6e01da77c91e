"""InvokeEndpointAsync, through plain boto3: requests and answers that lie in S3."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.local_aws.conftest import Account, LocalAws, variant, wait_for

OUTPUT = {"S3OutputPath": "s3://data/asynchronous/out", "S3FailurePath": "s3://data/asynchronous/failed"}


def _endpoint(account: Account, name: str, **client: int) -> str:
    account.bare_model(name, "weights")
    config = {"OutputConfig": OUTPUT, "ClientConfig": client}
    account.endpoint(name, account.config(name, [variant(name)], AsyncInferenceConfig=config))
    return name


@pytest.fixture(scope="module")
def served(account: Account) -> str:
    return _endpoint(account, "asynchronous", MaxConcurrentInvocationsPerInstance=1)


def _ask(account: Account, endpoint: str, body: bytes, **request: Any) -> dict[str, Any]:
    account.put(f"asynchronous/in/{endpoint}/", body=body)
    given = {"EndpointName": endpoint, "InputLocation": f"s3://data/asynchronous/in/{endpoint}/body"}
    return dict(account.runtime.invoke_endpoint_async(**given, **request))


def _read(account: Account, uri: str) -> bytes | None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        return bytes(account.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except account.s3.exceptions.NoSuchKey:
        return None


def test_the_answer_is_written_where_the_response_says(account: Account, served: str) -> None:
    told = {"ContentType": "application/x-image", "Accept": "application/json", "InferenceId": "picture-7"}
    response = _ask(account, served, bytes(range(200)), **told)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert response["InferenceId"] == "picture-7"
    assert response["OutputLocation"].startswith("s3://data/asynchronous/out/")
    answer = json.loads(wait_for(lambda: _read(account, response["OutputLocation"])))
    assert (answer["model"], answer["length"]) == ("weights", 200)
    assert (answer["content_type"], answer["accept"]) == ("application/x-image", "application/json")


def test_the_endpoint_says_that_it_is_asynchronous(account: Account, served: str) -> None:
    endpoint = account.sagemaker.describe_endpoint(EndpointName=served)
    assert endpoint["AsyncInferenceConfig"]["OutputConfig"] == OUTPUT


def test_a_failure_is_written_apart(account: Account, served: str) -> None:
    response = _ask(account, served, b"error 400")
    failure = wait_for(lambda: _read(account, response["FailureLocation"])).decode()
    assert failure.startswith('Received client error (400) from primary with message "the container says no"')
    assert _read(account, response["OutputLocation"]) is None


def test_an_input_that_is_not_there_is_a_failure(account: Account, served: str) -> None:
    request = {"EndpointName": served, "InputLocation": "s3://data/asynchronous/in/nothing"}
    response = account.runtime.invoke_endpoint_async(**request)
    assert b"can't be read" in wait_for(lambda: _read(account, response["FailureLocation"]))


def test_a_container_that_takes_longer_than_the_request_allows_has_failed(account: Account, served: str) -> None:
    response = _ask(account, served, b"sleep 2", InvocationTimeoutSeconds=1)
    assert b"timed out" in wait_for(lambda: _read(account, response["FailureLocation"]))


def test_each_kind_of_endpoint_takes_its_own_kind_of_request(account: Account, served: str) -> None:
    with pytest.raises(ClientError, match="does not take invocations"):
        account.ask(served)
    account.endpoint("direct", account.model("direct-v1"))
    with pytest.raises(ClientError, match="does not take async-invocations"):
        _ask(account, "direct", b"{}")


def test_requests_wait_while_the_endpoint_has_no_instance(account: Account) -> None:
    name = _endpoint(account, "sleepy")
    scale = account.sagemaker.update_endpoint_weights_and_capacities

    def instances(count: int) -> None:
        wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": count}]
        scale(EndpointName=name, DesiredWeightsAndCapacities=wanted)
        assert account.settled(name)["ProductionVariants"][0]["CurrentInstanceCount"] == count

    instances(0)
    response = _ask(account, name, b"{}")
    wait_for(lambda: _backlog(account, name) == 1)
    assert _read(account, response["OutputLocation"]) is None
    instances(1)
    assert json.loads(wait_for(lambda: _read(account, response["OutputLocation"])))["model"] == "weights"


def _backlog(account: Account, endpoint: str) -> float:
    points = account.cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="ApproximateBacklogSize",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}],
        StartTime=0,
        EndTime=4_000_000_000,
        Period=3600,
        Statistics=["Maximum"],
    )["Datapoints"]
    return max((float(point["Maximum"]) for point in points), default=0.0)


def test_an_endpoint_that_answers_directly_can_not_be_without_instances(account: Account) -> None:
    account.endpoint("awake", account.model("awake-v1"))
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}]
    with pytest.raises(ClientError, match="must be at least 1"):
        account.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName="awake", DesiredWeightsAndCapacities=wanted
        )


def test_accepted_requests_are_answered_after_a_kill(own_gateway: LocalAws, own_account: Account) -> None:
    name = _endpoint(own_account, "kept", MaxConcurrentInvocationsPerInstance=1)
    responses = [_ask(own_account, name, b"sleep 1") for _ in range(2)]
    own_gateway.kill()
    own_gateway.start()
    for response in responses:
        assert wait_for(lambda uri=response["OutputLocation"]: _read(own_account, uri)) == b"slept"
