from __future__ import annotations

import re
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator
from tests.training.reports import ARCHIVE, JOB, report, store

from lookbook.aws import client
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage.records import Dataset, TaskKey, recording
from lookbook.serving.requests import serving_requests
from lookbook.settings import get_settings
from lookbook.training import gating, registry
from lookbook.training.gating import Override

IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/lookbook-training@sha256:{'0' * 64}"
DATASET = {
    "uri": "s3://lookbook/training/datasets/d1/",
    "dataset_id": "d1",
    "counts": {},
    "products_snapshot": "5123456789012345678",
}
TRAINING = {
    "job_name": "lookbook-train-1",
    "job_arn": "arn:aws:sagemaker:us-east-1:000000000000:training-job/lookbook-train-1",
    "image_uri": IMAGE,
    "model_data": "s3://lookbook/training/jobs/lookbook-train-1/output/model.tar.gz",
    "cost_usd": 1.25,
}
EVALUATED = {
    "job_name": "lookbook-evaluate-1",
    "model_data": "s3://lookbook/training/jobs/lookbook-evaluate-1/output/model.tar.gz",
    "cost_usd": 0.5,
}

pytestmark = pytest.mark.usefixtures("bucket")


@pytest.fixture(autouse=True)
def instance_that_moto_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_ENDPOINT_INSTANCE_TYPE", "ml.g4dn.xlarge")
    get_settings.cache_clear()


def package_request(override: Override | None = None, **figures: float) -> dict[str, Any]:
    """Return the request for a challenger that the gate judged, by default as better than its champion."""
    store(report(**({"challenger": 0.91234, "champion": 0.8} | figures)))
    gating.decide(ARCHIVE, override)
    return registry.package_request(DATASET, TRAINING, EVALUATED)


def create_package_request(override: Override | None = None, **figures: float) -> dict[str, Any]:
    """What SageMakerRegisterModelVersionOperator makes of the arguments."""
    arguments = package_request(override, **figures)
    return {
        "ModelPackageGroupName": arguments["package_group_name"],
        "ModelApprovalStatus": "PendingManualApproval",
        **arguments["extras"],
    }


def register(override: Override | None = None, **figures: float) -> str:
    sagemaker = client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="lookbook-attributes")
    arn: str = sagemaker.create_model_package(**create_package_request(override, **figures))["ModelPackageArn"]
    return arn


def deploy(package_arn: str) -> None:
    sagemaker, asked = client("sagemaker"), serving_requests(package_arn)
    sagemaker.create_model(**asked["model"])
    sagemaker.create_endpoint_config(**asked["endpoint_config"])
    sagemaker.create_endpoint(**asked["endpoint"])


@pytest.mark.parametrize("by", [None, "Ada Löwe; ada@example.org"])
def test_the_package_request_is_one_that_sagemaker_takes(by: str | None) -> None:
    override = Override(by, "It sees skirts, finally: “50 %” more! " * 20) if by else None
    request = create_package_request(override, champion=0.95)
    model = boto3.client("sagemaker").meta.service_model
    shape = model.operation_model("CreateModelPackage").input_shape
    assert not ParamValidator().validate(request, shape).has_errors()
    kept = request["CustomerMetadataProperties"]
    assert len(kept) <= shape.members["CustomerMetadataProperties"].metadata["max"]
    for text, limit in [(name, 128) for name in kept] + [(value, 256) for value in kept.values()]:
        # The model's own pattern is no regular expression; these are the characters in it that ASCII has.
        assert re.fullmatch(r"[A-Za-z0-9 _.:/=+@-]+", text)
        assert len(text) <= limit


def test_a_package_says_what_it_was_trained_on_and_how_it_scored() -> None:
    extras = package_request()["extras"]
    kept = extras["CustomerMetadataProperties"]
    assert {
        "dataset_id": "d1",
        "products_snapshot": "5123456789012345678",
        "training_job": "lookbook-train-1",
        "evaluation_job": "lookbook-evaluate-1",
        "gate": "passed",
        "evaluation_report": f"{JOB}evaluation.json",
        "evaluation_page": f"{JOB}evaluation.html",
        "exact_match_challenger": "0.9123",
        "exact_match_majority": "0.3000",
        "balanced_accuracy_challenger": "0.9123",
        "lead_over_champion_low": "0.0923",
        "lead_over_champion_high": "0.1323",
    }.items() <= kept.items()
    assert "promoted_by" not in kept
    assert extras["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"] == f"{JOB}evaluation.json"
    assert extras["InferenceSpecification"]["SupportedContentTypes"] == ["application/json"]


def test_who_promoted_against_the_gate_stands_in_package_and_approval() -> None:
    arn = register(Override("ada", "It sees skirts."), champion=0.95)
    kept = registry.describe(arn)["CustomerMetadataProperties"]
    assert (kept["gate"], kept["promoted_because"]) == ("overridden", "It sees skirts.")
    registry.approve(arn, "config-1")
    assert registry.describe(arn)["ApprovalDescription"].startswith("Refused by the gate, promoted anyway by ada,")


def test_a_model_whose_jobs_have_no_known_price_has_no_cost() -> None:
    package_request()
    request = registry.package_request(DATASET, TRAINING | {"cost_usd": None}, EVALUATED)
    assert "training_cost_usd" not in request["extras"]["CustomerMetadataProperties"]


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
        approved = registry.approve(arn, "config-1")
    assert (approved.version, approved.package_arn) == ("v1", arn)
    assert registry.describe(arn)["ModelApprovalStatus"] == "Approved"
    assert record.outputs == [Dataset("model_package", "lookbook-attributes", arn)]
    assert record.inputs == [Dataset("endpoint_config", "lookbook-attributes", "config-1")]
    assert (record.cost_usd, record.outputs_cost_usd) == (None, 1.75), "the event tells what the model cost"
    kept = registry.describe(arn)["CustomerMetadataProperties"]
    assert (kept["endpoint_config"], kept["dataset_id"]) == ("config-1", "d1")


def test_a_rejected_package_says_why_and_is_lineage() -> None:
    arn = register()
    with recording(TaskKey("retrain_attribute_model", "r", "reject_package")) as record:
        registry.reject(arn, f"Rolled back by ada:\nit sees no skirts. {'More. ' * 200}")
    package = registry.describe(arn)
    assert package["ModelApprovalStatus"] == "Rejected"
    assert package["ApprovalDescription"].startswith("Rolled back by ada: it sees no skirts. More.")
    assert len(package["ApprovalDescription"]) == 1024
    assert package["CustomerMetadataProperties"]["dataset_id"] == "d1"
    assert record.outputs == [Dataset("model_package", "lookbook-attributes", arn)]
    assert record.details["rejected"] == "v1"


def another() -> str:
    """Register a further version, of another artefact."""
    request = create_package_request() | {"ClientToken": "another"}
    arn: str = client("sagemaker").create_model_package(**request)["ModelPackageArn"]
    return arn


def test_what_served_last_comes_first_whatever_its_number() -> None:
    first, second = register(), another()
    for arn in (first, second, first):
        registry.approve(arn, f"config-{registry.version_of(arn)}")
    assert [(one.version, one.endpoint_config) for one in registry.served()] == [
        ("v1", "config-v1"),
        ("v2", "config-v2"),
    ]


def test_a_model_that_was_rejected_in_service_served_and_one_that_never_got_there_did_not() -> None:
    first, second, third = register(), another(), another()
    registry.approve(first, "config-1")
    registry.reject(first, "It sees no skirts.")
    registry.reject(second, "It answers rubbish.")
    assert registry.describe(third)["ModelApprovalStatus"] == "PendingManualApproval"
    assert [(one.version, one.approved) for one in registry.served()] == [("v1", False)]


def test_a_model_that_was_approved_before_times_were_kept_served_before_all_others() -> None:
    old, new = register(), another()
    client("sagemaker").update_model_package(
        ModelPackageArn=old,
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties=registry.describe(old)["CustomerMetadataProperties"],
    )
    registry.approve(new, "config-2")
    assert [(one.version, one.since is None) for one in registry.served()] == [("v2", False), ("v1", True)]


def test_approving_twice_changes_nothing() -> None:
    arn = register()
    assert registry.approve(arn, "config-1") == registry.approve(arn, "config-1")


def test_nothing_is_in_service_before_the_first_endpoint() -> None:
    assert registry.champion() is None


def test_the_champion_is_followed_from_the_endpoint_to_its_package() -> None:
    arn = register()
    deploy(arn)
    registry.approve(arn, "config-1")
    champion = registry.champion()
    assert champion is not None
    assert champion.package_arn == arn
    assert champion.version == "v1"
    assert champion.dataset_id == "d1"
    assert champion.report_uri == f"{JOB}evaluation.json"
    assert champion.model_data == TRAINING["model_data"]
    assert champion.model_name.startswith("lookbook-attributes-v1-")
    assert champion.endpoint_config == serving_requests(arn)["endpoint_config"]["EndpointConfigName"]


@pytest.mark.parametrize("rejected", [False, True])
def test_a_model_that_was_not_verified_is_no_champion_though_it_serves(rejected: bool) -> None:
    arn = register()
    deploy(arn)
    if rejected:
        registry.reject(arn, "It answers rubbish.")
    with pytest.raises(RetryableError, match="serves model v1, which is not approved"):
        registry.champion()
    serving = registry.in_service()
    assert serving is not None
    assert (serving.version, serving.approved) == ("v1", False)


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
    assert (registry.in_service() is not None) == serves


@pytest.mark.parametrize("required", ["true", "false"])
def test_a_person_is_asked_where_the_settings_say_so(monkeypatch: pytest.MonkeyPatch, required: str) -> None:
    monkeypatch.setenv("LOOKBOOK_REQUIRE_APPROVAL", required)
    get_settings.cache_clear()
    request = package_request()
    assert request["needs_approval"] is (required == "true")
    assert request["approval_body"].startswith("The gate passes the challenger: exact match")


def test_a_package_says_which_image_and_which_code_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_CODE_VERSION", "0123456789ab")
    get_settings.cache_clear()
    request = package_request()
    kept = request["extras"]["CustomerMetadataProperties"]
    assert (kept["image"], kept["code_version"]) == (IMAGE, "0123456789ab")
    assert kept["training_code"] == "c0de"
    assert request["extras"]["InferenceSpecification"]["Containers"][0]["Image"] == IMAGE
