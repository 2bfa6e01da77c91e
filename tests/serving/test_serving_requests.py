from __future__ import annotations

import re
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from lookbook.serving.requests import serving_requests
from lookbook.settings import get_settings
from lookbook.training import registry

ARN = "arn:aws:sagemaker:us-east-1:000000000000:model-package/lookbook-attributes/3"


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    container = {"Image": "lookbook-training:local", "ModelDataUrl": "s3://lookbook/m/model.tar.gz", "Environment": {}}
    monkeypatch.setattr(registry, "describe", lambda _: {"InferenceSpecification": {"Containers": [container]}})


def check(operation: str, request: dict[str, Any]) -> None:
    shape = boto3.client("sagemaker").meta.service_model.operation_model(operation).input_shape
    assert not ParamValidator().validate(request, shape).has_errors()


def test_the_requests_are_ones_that_sagemaker_takes() -> None:
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
    assert asked["endpoint"] == {
        "EndpointName": "lookbook-attributes",
        "EndpointConfigName": asked["endpoint_config"]["EndpointConfigName"],
    }


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
