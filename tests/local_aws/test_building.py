"""What a fleet is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local_aws.images import Image
from local_aws.objects import Objects
from local_aws.sagemaker.building import Builder
from local_aws.sagemaker.fleet import Fleet
from local_aws.sagemaker.models import Models
from local_aws.sagemaker.tags import Tags
from local_aws.settings import Settings
from local_aws.state import Store

MODEL = {"ModelName": "m", "PrimaryContainer": {"Image": "tiny:1", "Environment": {"RELEASE": "7"}}}


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    store, images = Store(tmp_path / "state.sqlite"), {"tiny:1": Image(("tiny",), {"OMP_NUM_THREADS": "1"}, tmp_path)}
    objects = Objects(s3=None)
    settings = Settings(state=tmp_path, images=tmp_path / "images.json", endpoint_start_timeout=5.0)
    return Builder(Models(store, objects, images, Tags(store)), images, objects, settings)


def _fleet(builder: Builder, *variants: dict[str, Any], **config: Any) -> Fleet:
    named = [{"VariantName": "AllTraffic", "_model": MODEL, **variant} for variant in variants]
    return builder.fleet("endpoint", {"EndpointConfigName": "c", "ProductionVariants": named, **config})


def test_each_instance_of_each_variant_is_a_replica_with_a_directory_of_its_own(builder: Builder) -> None:
    fleet = _fleet(builder, {"VariantName": "a", "InitialInstanceCount": 2}, {"VariantName": "b"})
    assert [(replica.name, replica.number) for replica in fleet.replicas] == [("a", 1), ("a", 2), ("b", 1)]
    assert len({replica.directory for replica in fleet.replicas}) == 3


def test_a_variant_says_how_long_its_containers_have_to_come_up(builder: Builder) -> None:
    limit = {"VariantName": "slow", "ContainerStartupHealthCheckTimeoutInSeconds": 600}
    fleet = _fleet(builder, {}, limit)
    assert [replica.start_timeout for replica in fleet.replicas] == [5.0, 600]


def test_a_container_gets_the_images_and_the_models_variables(builder: Builder) -> None:
    (replica,) = _fleet(builder, {}).replicas
    assert replica.argv == ["tiny", "serve"]
    assert (replica.env["RELEASE"], replica.env["OMP_NUM_THREADS"]) == ("7", "1")


def test_a_fleet_is_the_same_after_it_was_written_down(builder: Builder) -> None:
    shadow = [{"VariantName": "Shadow", "_model": MODEL}]
    fleet = _fleet(builder, {}, ShadowProductionVariants=shadow, AsyncInferenceConfig={"OutputConfig": {}})
    assert [replica.shadow for replica in fleet.replicas] == [False, True]
    assert Fleet.from_document(fleet.document()) == fleet
