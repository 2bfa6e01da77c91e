from __future__ import annotations

import re
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from lookbook.errors import PermanentError
from lookbook.serving import alarms
from lookbook.serving.requests import serving_requests
from lookbook.settings import get_settings
from lookbook.training import evaluation, registry
from lookbook.training.registry import Champion, Served

ARN = "arn:aws:sagemaker:us-east-1:000000000000:model-package/lookbook-attributes/3"


REPORT = "s3://lookbook/training/jobs/lookbook-evaluate-1/evaluation.json"


@pytest.fixture(autouse=True)
def metadata(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A package in the registry, and no endpoint; what is put into the dictionary is the package's metadata."""
    kept: dict[str, str] = {}
    container = {"Image": "lookbook-training:local", "ModelDataUrl": "s3://lookbook/m/model.tar.gz", "Environment": {}}
    package = {"InferenceSpecification": {"Containers": [container]}, "CustomerMetadataProperties": kept}
    monkeypatch.setattr(registry, "describe", lambda _: package)
    monkeypatch.setattr(registry, "in_service", lambda: None)
    return kept


def set_settings(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"LOOKBOOK_{name.upper()}", str(value))
    get_settings.cache_clear()


def serving(package_arn: str, config: str, approved: bool = True) -> Champion:
    return Champion("v2", package_arn, "m", "s3://m", "d1", config, "lookbook-train-1", approved=approved)


def check(operation: str, request: dict[str, Any]) -> None:
    shape = boto3.client("sagemaker").meta.service_model.operation_model(operation).input_shape
    assert not ParamValidator().validate(request, shape).has_errors()


@pytest.mark.parametrize("traffic", ["all_at_once", "canary", "linear"])
def test_the_requests_are_ones_that_sagemaker_takes(
    traffic: str, metadata: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata["evaluation_report"] = REPORT
    monkeypatch.setattr(evaluation, "thresholds", lambda _: {"Fabric": 0.625, "Fit": None})
    set_settings(monkeypatch, deployment_traffic=traffic)
    asked = serving_requests(ARN)
    check("CreateModel", asked["model"])
    check("CreateEndpointConfig", asked["endpoint_config"])
    check("CreateEndpoint", asked["endpoint"])
    check("UpdateEndpoint", asked["endpoint"])


def test_the_container_knows_its_version_and_its_package() -> None:
    environment = serving_requests(ARN)["model"]["PrimaryContainer"]["Environment"]
    assert environment == {"LOOKBOOK_MODEL_VERSION": "v3", "LOOKBOOK_MODEL_PACKAGE_ARN": ARN}


def test_the_endpoint_gets_the_config_and_the_config_the_model() -> None:
    asked = serving_requests(ARN)
    [variant] = asked["endpoint_config"]["ProductionVariants"]
    assert variant["ModelName"] == asked["model"]["ModelName"]
    assert asked["endpoint"]["EndpointName"] == "lookbook-attributes"
    assert asked["endpoint"]["EndpointConfigName"] == asked["endpoint_config"]["EndpointConfigName"]


def test_the_container_learns_how_sure_it_must_be(metadata: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    without = serving_requests(ARN)["model"]["ModelName"]
    metadata["evaluation_report"] = REPORT
    monkeypatch.setattr(evaluation, "thresholds", lambda uri: {"Fit": None, "Fabric": 0.625} if uri == REPORT else {})
    model = serving_requests(ARN)["model"]
    environment = model["PrimaryContainer"]["Environment"]
    assert environment["LOOKBOOK_THRESHOLDS"] == '{"Fabric":0.625,"Fit":null}'
    assert model["ModelName"] != without


def test_thresholds_that_no_variable_holds_are_refused(
    metadata: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata["evaluation_report"] = REPORT
    monkeypatch.setattr(evaluation, "thresholds", lambda _: {f"Attribute {number}": 0.5 for number in range(60)})
    with pytest.raises(PermanentError, match=r"LOOKBOOK_THRESHOLDS .* a model's variable holds 1024"):
        serving_requests(ARN)


def test_the_variant_has_the_instances_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    set_settings(monkeypatch, endpoint_instances=3)
    [variant] = serving_requests(ARN)["endpoint_config"]["ProductionVariants"]
    assert variant["InitialInstanceCount"] == 3


def routing(monkeypatch: pytest.MonkeyPatch, **values: object) -> dict[str, Any]:
    set_settings(monkeypatch, **values)
    config = serving_requests(ARN)["endpoint"]["DeploymentConfig"]
    found: dict[str, Any] = config["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    return found


def test_by_default_all_traffic_moves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert routing(monkeypatch) == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}


def test_a_canary_gets_its_share_of_the_capacity_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert routing(monkeypatch, deployment_traffic="canary", deployment_step_percent=25, deployment_wait_s=300) == {
        "Type": "CANARY",
        "WaitIntervalInSeconds": 300,
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 25},
    }


def test_linear_traffic_moves_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    assert routing(monkeypatch, deployment_traffic="linear")["LinearStepSize"] == {
        "Type": "CAPACITY_PERCENT",
        "Value": 20,
    }


def test_an_update_is_taken_back_by_the_endpoints_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    set_settings(monkeypatch, deployment_termination_wait_s=60, deployment_max_s=1800)
    config = serving_requests(ARN)["endpoint"]["DeploymentConfig"]
    named = [alarm["AlarmName"] for alarm in config["AutoRollbackConfiguration"]["Alarms"]]
    assert named == alarms.names(get_settings())
    assert config["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 60
    assert config["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] == 1800


def test_a_rollback_waits_for_nothing_and_for_no_alarm() -> None:
    assert "DeploymentConfig" not in serving_requests(ARN, at_once=True)["endpoint"]


def test_the_way_back_leads_to_the_champion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "in_service", lambda: serving(f"{ARN[:-1]}2", "config-2"))
    way_back = serving_requests(ARN)["way_back"]
    check("UpdateEndpoint", way_back)
    assert way_back == {"EndpointName": "lookbook-attributes", "EndpointConfigName": "config-2"}


def test_where_nothing_serves_the_way_back_is_no_endpoint() -> None:
    assert serving_requests(ARN)["way_back"]["EndpointConfigName"] is None


def test_another_config_of_the_same_model_may_be_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "in_service", lambda: serving(ARN, "config-of-a-larger-instance"))
    assert serving_requests(ARN)["way_back"]["EndpointConfigName"] == "config-of-a-larger-instance"


@pytest.mark.parametrize("approved", [True, False])
def test_the_way_back_never_leads_to_what_is_deployed_or_was_not_approved(
    approved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = serving_requests(ARN)["endpoint_config"]["EndpointConfigName"]
    now = serving(ARN, deployed) if approved else serving(f"{ARN[:-1]}2", "config-2", approved=False)
    monkeypatch.setattr(registry, "in_service", lambda: now)
    served = [Served(ARN, "v3", True, "2026", deployed), Served(f"{ARN[:-1]}1", "v1", True, "2025", "config-1")]
    monkeypatch.setattr(registry, "served", lambda: served)
    assert serving_requests(ARN)["way_back"]["EndpointConfigName"] == "config-1"


def test_the_same_package_gets_the_same_names() -> None:
    assert serving_requests(ARN) == serving_requests(ARN)
    assert re.fullmatch(r"lookbook-attributes-v3-[0-9a-f]{8}", serving_requests(ARN)["model"]["ModelName"])


def test_a_change_of_instance_type_is_another_config_of_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    before = serving_requests(ARN)
    monkeypatch.setenv("LOOKBOOK_ENDPOINT_INSTANCE_TYPE", "ml.g5.2xlarge")
    get_settings.cache_clear()
    after = serving_requests(ARN)
    assert after["model"] == before["model"]
    assert after["endpoint_config"]["EndpointConfigName"] != before["endpoint_config"]["EndpointConfigName"]


def test_a_long_group_name_is_cut_and_stays_unique(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_MODEL_PACKAGE_GROUP", "g" * 63)
    get_settings.cache_clear()
    asked = serving_requests(ARN)
    assert len(asked["model"]["ModelName"]) == len(asked["endpoint_config"]["EndpointConfigName"]) == 63
    assert asked["model"]["ModelName"] != asked["endpoint_config"]["EndpointConfigName"]
