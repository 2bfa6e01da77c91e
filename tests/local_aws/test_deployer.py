"""A deployment that takes too long. AWS's shortest limit is ten minutes; the deployer is given a shorter one here."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from tests.local_aws.conftest import HERE, IMAGE

from local_aws.images import Image
from local_aws.objects import Objects
from local_aws.sagemaker import names
from local_aws.sagemaker.building import Builder
from local_aws.sagemaker.deployment import Deployer
from local_aws.sagemaker.models import Models
from local_aws.sagemaker.tags import Tags
from local_aws.settings import Settings
from local_aws.state import Document, Store

SIZE = {"Type": "CAPACITY_PERCENT", "Value": 50}
CANARY = {"Type": "CANARY", "CanarySize": SIZE, "WaitIntervalInSeconds": 0.1}
LIMITED = {
    "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": CANARY, "MaximumExecutionTimeoutInSeconds": 0.2},
}


@pytest.fixture
def deployer(tmp_path: Path) -> Iterator[Deployer]:
    """A deployer of real containers; CloudWatch is moto's."""
    store, objects = Store(tmp_path / "state.sqlite"), Objects(s3=None)
    images = {IMAGE: Image((sys.executable, str(HERE / "container.py")), {}, tmp_path)}
    settings = Settings(state=tmp_path, images=tmp_path / "images.json", poll=0.05, stop_grace=5.0)
    builder = Builder(Models(store, objects, images, Tags(store)), images, objects, settings)
    with mock_aws():
        logs, cloudwatch = (boto3.client(service, region_name="us-east-1") for service in ("logs", "cloudwatch"))
        deployer = Deployer(store, builder, logs, cloudwatch, settings, {}, threading.Event())
        yield deployer
        for route in deployer.routes.values():
            deployer.take_down(route.serving)


def _target(config: str) -> Document:
    model = {"ModelName": "m", "PrimaryContainer": {"Image": IMAGE}}
    described: dict[str, Any] = {"ProductionVariants": [{"VariantName": "AllTraffic"}]}
    variants = [{"VariantName": "AllTraffic", "_model": model}]
    return {"EndpointConfigName": config, "ProductionVariants": variants, "_described": described}


def test_an_update_that_takes_longer_than_its_policy_allows_is_taken_back(deployer: Deployer) -> None:
    record = {"EndpointName": "e", "EndpointStatus": "Creating", "_target": _target("old")}
    deployer.store.put(names.ENDPOINT, "e", record)
    deployer.deploy("e")
    old = deployer.routes["e"].serving
    deployer.store.update(names.ENDPOINT, "e", EndpointStatus="Updating", _target=_target("new"), _deployment=LIMITED)
    deployer.deploy("e")
    endpoint = deployer.store.get(names.ENDPOINT, "e")
    assert endpoint is not None and endpoint["EndpointStatus"] == "InService"
    assert endpoint["EndpointConfigName"] == "old"
    assert "MaximumExecutionTimeoutInSeconds" in endpoint["FailureReason"]
    assert deployer.routes["e"].choose() is old and old.replicas[0].is_alive()
