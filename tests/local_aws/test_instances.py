"""Endpoints of several instances, variants and shadows: which container a request reaches, and what if it is dead."""

from __future__ import annotations

import base64
import json
import os
import signal
import threading
from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.local_aws.conftest import Account, variant, wait_for


@pytest.fixture(scope="module")
def pair(account: Account) -> str:
    """An endpoint of two instances."""
    account.endpoint("pair", account.model("pair-v1", instances=2))
    return "pair"


def _pids(account: Account, endpoint: str, requests: int = 12) -> Counter[int]:
    return Counter(account.ask(endpoint)["pid"] for _ in range(requests))


def _refused(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(**request)
    return str(refusal.value.response["Error"]["Message"])


def test_each_instance_is_a_process_and_they_take_turns(account: Account, pair: str) -> None:
    assert sorted(_pids(account, pair).values()) == [6, 6]
    (described,) = account.sagemaker.describe_endpoint(EndpointName=pair)["ProductionVariants"]
    assert described["CurrentInstanceCount"] == 2


def test_a_busy_instance_gets_no_more_requests(account: Account, pair: str) -> None:
    asking = threading.Thread(target=lambda: account.runtime.invoke_endpoint(EndpointName=pair, Body=b"sleep 1"))
    asking.start()
    wait_for(lambda: len(_pids(account, pair, 4)) == 1)
    asking.join()


def test_when_one_instance_is_killed_no_further_request_fails_and_it_comes_back(account: Account, pair: str) -> None:
    first, second = _pids(account, pair)
    os.kill(first, signal.SIGKILL)
    assert set(_pids(account, pair)) == {second}
    wait_for(lambda: len(_pids(account, pair, 4)) == 2)
    assert first not in _pids(account, pair)


def test_a_killed_process_fails_its_requests_at_once_and_is_started_again(account: Account) -> None:
    account.endpoint("killed", account.model("killed-v1", "weights"))
    dead, failures = account.ask("killed")["pid"], []

    def ask() -> None:
        with pytest.raises(ClientError) as failure:
            account.ask("killed", b"sleep 30")
        failures.append(failure.value.response["Error"]["Code"])

    asking = threading.Thread(target=ask)
    asking.start()
    wait_for(lambda: account.ask("killed")["in_flight"] > 1)
    os.kill(dead, signal.SIGKILL)
    asking.join()
    assert failures == ["ServiceUnavailable"], "a request that is waited for in vain is a ModelError"

    def answers() -> Any:
        try:
            return account.ask("killed")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ServiceUnavailable"
            return None

    assert wait_for(answers)["pid"] != dead


def test_a_process_whose_pings_fail_is_replaced(account: Account) -> None:
    account.endpoint("sick", account.model("sick-v1"))
    pid = account.ask("sick")["pid"]
    account.runtime.invoke_endpoint(EndpointName="sick", Body=b"sick")

    def new_pid() -> bool:
        try:
            return bool(account.ask("sick")["pid"] != pid)
        except account.runtime.exceptions.ServiceUnavailable:
            return False

    wait_for(new_pid)


def test_traffic_is_split_by_weight_and_a_request_may_name_its_variant(account: Account) -> None:
    for name in ("blue", "green"):
        account.bare_model(name, name)
    variants = [variant("blue", "blue", InitialVariantWeight=1.0), variant("green", "green", InitialVariantWeight=0.0)]
    account.endpoint("both", account.config("both", variants))
    assert {account.ask("both")["model"] for _ in range(5)} == {"blue"}
    response = account.runtime.invoke_endpoint(EndpointName="both", Body=b"{}", TargetVariant="green")
    assert response["InvokedProductionVariant"] == "green"
    assert json.loads(response["Body"].read())["model"] == "green"


def test_weights_and_instance_counts_can_be_changed(account: Account) -> None:
    for name in ("up", "down"):
        account.bare_model(name, name)
    variants = [variant("up", "up"), variant("down", "down", InitialInstanceCount=2)]
    account.endpoint("scaled", account.config("scaled", variants))
    wanted = [
        {"VariantName": "up", "DesiredInstanceCount": 2},
        {"VariantName": "down", "DesiredInstanceCount": 1, "DesiredWeight": 0.0},
    ]
    scale = account.sagemaker.update_endpoint_weights_and_capacities
    scale(EndpointName="scaled", DesiredWeightsAndCapacities=wanted)
    updating = account.sagemaker.describe_endpoint(EndpointName="scaled")
    endpoint = account.settled("scaled")
    assert updating["EndpointStatus"] == "Updating"
    described = [
        (one["VariantName"], one["CurrentInstanceCount"], one["CurrentWeight"])
        for one in endpoint["ProductionVariants"]
    ]
    assert described == [("up", 2, 1.0), ("down", 1, 0.0)]
    assert len(_pids(account, "scaled")) == 2
    assert len({account.ask("scaled", TargetVariant="down")["pid"] for _ in range(4)}) == 1
    wanted = [{"VariantName": "nobody", "DesiredWeight": 1.0}]
    assert "no variant nobody" in _refused(scale, EndpointName="scaled", DesiredWeightsAndCapacities=wanted)


def test_instances_that_do_not_come_up_leave_the_endpoint_as_it_was(account: Account) -> None:
    account.endpoint("stuck", account.model("stuck-v1", DO="only-first"))
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}]
    for _ in range(2):
        account.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName="stuck", DesiredWeightsAndCapacities=wanted
        )
        endpoint = account.settled("stuck")
        assert "no weights to serve" in endpoint["FailureReason"]
        (described,) = endpoint["ProductionVariants"]
        assert described["CurrentInstanceCount"] == described["DesiredInstanceCount"] == 1
    assert len(_pids(account, "stuck", 4)) == 1


def test_a_shadow_gets_copies_whose_answers_are_only_captured(account: Account) -> None:
    account.bare_model("champion", "champion")
    account.bare_model("challenger", "challenger")
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://data/captured/",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
    }
    shadows = [variant("challenger", "Shadow")]
    request = {"ShadowProductionVariants": shadows, "DataCaptureConfig": capture}
    config = account.config("shadowed", [variant("champion")], **request)
    endpoint = account.endpoint("shadowed", config)
    assert endpoint["ShadowProductionVariants"][0]["VariantName"] == "Shadow"
    assert endpoint["DataCaptureConfig"]["CaptureStatus"] == "Started"
    told = {"ContentType": "application/x-image", "InferenceId": "picture-7"}
    assert account.ask("shadowed", b"\xff\xd8", **told)["model"] == "champion"
    with pytest.raises(ClientError, match="no variant"):
        account.ask("shadowed", TargetVariant="Shadow")

    def captured(name: str) -> list[dict[str, Any]]:
        files = account.objects(f"captured/shadowed/{name}/").values()
        return [json.loads(line) for file in files for line in file.splitlines()]

    (champions,), (challengers,) = wait_for(lambda: captured("AllTraffic")), wait_for(lambda: captured("Shadow"))
    for line, model in ((champions, "champion"), (challengers, "challenger")):
        data = line["captureData"]
        assert base64.b64decode(data["endpointInput"]["data"]) == b"\xff\xd8"
        assert data["endpointInput"]["encoding"] == "BASE64"
        assert json.loads(data["endpointOutput"]["data"])["model"] == model
        assert line["eventMetadata"]["inferenceId"] == "picture-7"
    assert champions["eventMetadata"]["eventId"] == challengers["eventMetadata"]["eventId"]


def test_a_shadow_that_fails_is_nobodys_trouble(account: Account) -> None:
    account.bare_model("fine", "fine")
    account.bare_model("failing-shadow", "failing", DO="refuse-500")
    config = account.config(
        "fails-shadowed", [variant("fine")], ShadowProductionVariants=[variant("failing-shadow", "Shadow")]
    )
    account.endpoint("fails-shadowed", config)
    assert {account.ask("fails-shadowed")["model"] for _ in range(5)} == {"fine"}


def test_a_shadow_stands_beside_one_variant(account: Account) -> None:
    account.bare_model("one-of-two", "one")
    variants = [variant("one-of-two", "a"), variant("one-of-two", "b")]
    shadow = [variant("one-of-two", "c")]
    create = account.sagemaker.create_endpoint_config
    request = {"EndpointConfigName": "crowd", "ProductionVariants": variants, "ShadowProductionVariants": shadow}
    assert "one production and one shadow variant" in _refused(create, **request)
    twice = {"EndpointConfigName": "twice-named", "ProductionVariants": [variants[0], variants[0]]}
    assert "must differ" in _refused(create, **twice)
