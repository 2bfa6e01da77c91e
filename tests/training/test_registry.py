from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from lookbook import storage
from lookbook.aws import client
from lookbook.errors import PermanentError
from lookbook.lineage.records import Dataset, TaskKey, recording
from lookbook.serving.requests import serving_requests
from lookbook.settings import get_settings
from lookbook.training import registry

DATASET = {"uri": "s3://lookbook/training/datasets/d1/", "dataset_id": "d1", "counts": {}}
TRAINING = {
    "job_name": "lookbook-train-1",
    "job_arn": "arn:aws:sagemaker:us-east-1:000000000000:training-job/lookbook-train-1",
    "model_data": "s3://lookbook/training/jobs/lookbook-train-1/output/model.tar.gz",
}
EVALUATED = {
    "job_name": "lookbook-evaluate-1",
    "model_data": "s3://lookbook/training/jobs/lookbook-evaluate-1/output/model.tar.gz",
}

pytestmark = pytest.mark.usefixtures("bucket")


@pytest.fixture(autouse=True)
def instance_that_moto_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_ENDPOINT_INSTANCE_TYPE", "ml.g4dn.xlarge")
    get_settings.cache_clear()


def package_request() -> dict[str, Any]:
    decision = {"passed": True, "reasons": [], "figures": {"challenger": 0.91234, "majority": 0.3}}
    storage.write_json("s3://lookbook/training/jobs/lookbook-evaluate-1/gate.json", decision)
    return registry.package_request(DATASET, TRAINING, EVALUATED)


def create_package_request() -> dict[str, Any]:
    """What SageMakerRegisterModelVersionOperator makes of the arguments."""
    arguments = package_request()
    return {
        "ModelPackageGroupName": arguments["package_group_name"],
        "ModelApprovalStatus": "PendingManualApproval",
        **arguments["extras"],
    }


def register() -> str:
    sagemaker = client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="lookbook-attributes")
    arn: str = sagemaker.create_model_package(**create_package_request())["ModelPackageArn"]
    return arn


def deploy(package_arn: str) -> None:
    sagemaker, asked = client("sagemaker"), serving_requests(package_arn)
    sagemaker.create_model(**asked["model"])
    sagemaker.create_endpoint_config(**asked["endpoint_config"])
    sagemaker.create_endpoint(**asked["endpoint"])


def test_the_package_request_is_one_that_sagemaker_takes() -> None:
    shape = boto3.client("sagemaker").meta.service_model.operation_model("CreateModelPackage").input_shape
    assert not ParamValidator().validate(create_package_request(), shape).has_errors()


def test_a_package_says_what_it_was_trained_on_and_how_it_scored() -> None:
    extras = package_request()["extras"]
    assert extras["CustomerMetadataProperties"] == {
        "dataset_id": "d1",
        "training_job": "lookbook-train-1",
        "evaluation_job": "lookbook-evaluate-1",
        "exact_match_challenger": "0.9123",
        "exact_match_majority": "0.3000",
    }
    assert extras["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"] == (
        "s3://lookbook/training/jobs/lookbook-evaluate-1/evaluation.json"
    )
    assert extras["InferenceSpecification"]["SupportedContentTypes"] == ["application/json"]


def test_the_same_artefact_is_registered_under_the_same_token() -> None:
    token = package_request()["extras"]["ClientToken"]
    assert package_request()["extras"]["ClientToken"] == token
    assert len(token) <= 36
    other = registry.package_request(DATASET, TRAINING | {"model_data": "s3://lookbook/other.tar.gz"}, EVALUATED)
    assert other["extras"]["ClientToken"] != token


def test_a_version_is_called_by_its_number() -> None:
    assert registry.version_of("arn:aws:sagemaker:us-east-1:000000000000:model-package/lookbook-attributes/3") == "v3"


def test_approving_a_package_is_seen_in_the_registry_and_in_the_lineage() -> None:
    arn = register()
    with recording(TaskKey("retrain_attribute_model", "r", "promote")) as record:
        approved = registry.approve(arn)
    assert (approved.version, approved.package_arn) == ("v1", arn)
    assert registry.describe(arn)["ModelApprovalStatus"] == "Approved"
    assert record.outputs == [Dataset("model_package", "lookbook-attributes", arn)]


def test_approving_twice_changes_nothing() -> None:
    arn = register()
    assert registry.approve(arn) == registry.approve(arn)


def test_nothing_is_in_service_before_the_first_endpoint() -> None:
    assert registry.champion() is None


def test_the_champion_is_followed_from_the_endpoint_to_its_package() -> None:
    arn = register()
    deploy(arn)
    champion = registry.champion()
    assert champion is not None
    assert champion.package_arn == arn
    assert champion.version == "v1"
    assert champion.dataset_id == "d1"
    assert champion.model_data == TRAINING["model_data"]
    assert champion.model_name.startswith("lookbook-attributes-v1-")
    assert champion.endpoint_config == serving_requests(arn)["endpoint_config"]["EndpointConfigName"]


def test_a_model_that_lookbook_did_not_deploy_is_named() -> None:
    sagemaker, asked = client("sagemaker"), serving_requests(register())
    del asked["model"]["PrimaryContainer"]["Environment"]
    sagemaker.create_model(**asked["model"])
    sagemaker.create_endpoint_config(**asked["endpoint_config"])
    sagemaker.create_endpoint(**asked["endpoint"])
    with pytest.raises(PermanentError, match=r"lookbook-attributes-v1-\w+, which names no package"):
        registry.champion()


@pytest.mark.parametrize(("status", "serves"), [("Creating", False), ("Failed", False), ("Updating", True)])
def test_an_endpoint_serves_from_its_first_success_on(
    status: str, serves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = register()
    deploy(arn)
    endpoint = client("sagemaker").describe_endpoint(EndpointName="lookbook-attributes") | {"EndpointStatus": status}
    monkeypatch.setattr(registry, "describe_endpoint", lambda _: endpoint)
    assert (registry.champion() is not None) == serves
