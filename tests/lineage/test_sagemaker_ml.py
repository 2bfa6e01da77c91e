"""What is written into SageMaker's lineage, on local AWS: who asks there finds the way back to data set and drops."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from tests.local_aws.conftest import IMAGE, Account, LocalAws

from lookbook import aws
from lookbook.aws import client
from lookbook.catalog import tables
from lookbook.catalog.schemas import VQA_PAIRS
from lookbook.errors import RetryableError
from lookbook.housekeeping import models
from lookbook.housekeeping.plans import Expiry
from lookbook.lineage import sagemaker_entities, sagemaker_ml
from lookbook.lineage.records import TaskKey, recording
from lookbook.lineage.sagemaker_ml import lineage_of, record_deployment, record_model
from lookbook.settings import get_settings
from lookbook.training import registry
from lookbook.vqa import datasets

GROUP, ENDPOINT, CONFIG = "lookbook-attributes", "lookbook-attributes", "config-v1"
JOBS = ("lookbook-train-1", "lookbook-evaluate-1")
BASE = "s3://data/models/base/"
DROPS = ("2026-11-09", "2026-11-16")


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Local AWS with a job of each kind that ended well, two data sets' pairs and an endpoint."""
    state = tmp_path_factory.mktemp("local-aws")
    gateway = LocalAws(state / "state").start()
    made = Account(gateway)
    for bucket in ("data", "lookbook"):
        made.s3.create_bucket(Bucket=bucket)
    made.put("", **{"train/a.csv": b"1,2", "models/base/config.json": b"{}"})
    for name in JOBS:
        made.train(name, InputDataConfig=[channel("train", "s3://data/train/"), channel("base", BASE)])
    made.sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
    made.endpoint(ENDPOINT, made.model(CONFIG))
    assert {made.finished(name)["TrainingJobStatus"] for name in JOBS} == {"Completed"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LOOKBOOK_CATALOG_URI", f"sqlite:///{state}/catalog.db")
        lead_to(gateway, patched)
        publish_pairs("d1", "d2")
    yield made
    assert gateway.stop() == 0


def channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def publish_pairs(*dataset_ids: str) -> None:
    """Leave data sets that have a pair of each drop."""
    columns = {name: "-" for name in VQA_PAIRS.names}
    rows = [columns | {"dataset_id": one, "drop_id": drop} for one in dataset_ids for drop in DROPS]
    tables.replace("training.vqa_pairs", pa.Table.from_pylist(rows), tables.one_of("dataset_id", dataset_ids))


def lead_to(gateway: LocalAws, patched: pytest.MonkeyPatch) -> None:
    """Have settings that lead to a gateway, and nothing else: no session is handed to sagemaker-core."""
    patched.setenv("AWS_ENDPOINT_URL", gateway.url)
    patched.setenv("LOOKBOOK_SAGEMAKER_LINEAGE", "true")
    patched.setenv("AWS_ACCESS_KEY_ID", "testing")
    patched.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    get_settings.cache_clear()
    aws.client.cache_clear()


@pytest.fixture(autouse=True)
def settings(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings that lead to local AWS; no association of an earlier test is there."""
    monkeypatch.setenv("LOOKBOOK_CATALOG_URI", f"sqlite:///{account.gateway.state.parent}/catalog.db")
    lead_to(account.gateway, monkeypatch)
    yield
    for one in associations():
        account.sagemaker.delete_association(SourceArn=one["SourceArn"], DestinationArn=one["DestinationArn"])


def associations() -> list[dict[str, Any]]:
    pages = client("sagemaker").get_paginator("list_associations").paginate(PaginationConfig={"PageSize": 100})
    return [one for page in pages for one in page["AssociationSummaries"]]


def registered(dataset_id: str = "d1", **metadata: str) -> str:
    """Register a package that came from a data set; return its ARN."""
    told = {
        "dataset_id": dataset_id,
        "products_snapshot": "77",
        "training_job": "lookbook-train-1",
        "evaluation_job": "lookbook-evaluate-1",
        "evaluation_report": "s3://lookbook/training/jobs/lookbook-evaluate-1/evaluation.json",
        "image": IMAGE,
        "code_version": "abc123",
        "gate": "passed",
        "exact_match_challenger": "0.93",
        **metadata,
    }
    package = client("sagemaker").create_model_package(
        ModelPackageGroupName=GROUP,
        InferenceSpecification={
            "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://data/m.tar.gz"}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        CustomerMetadataProperties={name: value for name, value in told.items() if value},
    )
    return str(package["ModelPackageArn"])


@pytest.fixture
def package() -> str:
    """A package of the test's own."""
    return registered()


def dataset_of(package: str) -> str:
    return datasets.dataset_uri(registry.describe(package)["CustomerMetadataProperties"]["dataset_id"])


def uris(found: tuple[sagemaker_entities.Found, ...], kind: str) -> set[str]:
    return {one.uri for one in found if one.type == kind}


def everything() -> dict[str, Any]:
    """All that local AWS's lineage has, the times at which it was changed among it."""
    sagemaker = client("sagemaker")
    return {
        "artifacts": sagemaker.list_artifacts(MaxResults=100)["ArtifactSummaries"],
        "actions": sagemaker.list_actions(MaxResults=100)["ActionSummaries"],
        "contexts": sagemaker.list_contexts(MaxResults=100)["ContextSummaries"],
        "associations": associations(),
    }


def test_the_endpoint_leads_back_to_data_set_and_drops(package: str) -> None:
    record_deployment(package, CONFIG)
    endpoint = client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)["EndpointArn"]
    came_from = lineage_of(endpoint).came_from
    assert package in uris(came_from, "ModelPackage")
    assert dataset_of(package) in uris(came_from, "DataSet")
    assert uris(came_from, "Drop") >= {f"s3://lookbook/drops/{drop}/" for drop in DROPS}


def test_a_package_leads_to_all_that_it_came_from(package: str) -> None:
    record_model(package)
    came_from = lineage_of(package).came_from
    job = client("sagemaker").describe_training_job(TrainingJobName="lookbook-train-1")
    assert uris(came_from, "DataSet") == {dataset_of(package)}
    assert uris(came_from, "TrainingJob") == {job["TrainingJobArn"]}
    assert uris(came_from, "Model") == {BASE, job["ModelArtifacts"]["S3ModelArtifacts"]}
    assert uris(came_from, "Image") == {IMAGE}
    assert uris(came_from, "EvaluationReport") == {"s3://lookbook/training/jobs/lookbook-evaluate-1/evaluation.json"}
    [gate] = [one for one in came_from if one.type == "Gate"]
    assert (gate.kind, gate.properties["gate"], gate.properties["exact_match_challenger"]) == (
        "Action",
        "passed",
        "0.93",
    )


def test_a_drop_leads_forward_to_the_model_and_where_it_serves(package: str) -> None:
    record_deployment(package, CONFIG)
    went_into = lineage_of(f"s3://lookbook/drops/{DROPS[0]}/").went_into
    assert package in uris(went_into, "ModelPackage")
    [endpoint] = [one for one in went_into if one.type == "Endpoint"]
    assert endpoint.properties["model_version"] == registry.version_of(package)
    assert endpoint.properties["endpoint_config"] == CONFIG


def test_a_package_that_was_not_deployed_leads_nowhere(package: str) -> None:
    record_model(package)
    assert lineage_of(package).went_into == ()


def test_written_again_it_is_as_it_was(package: str) -> None:
    record_deployment(package, CONFIG)
    once = everything()
    record_model(package)
    record_deployment(package, CONFIG)
    assert everything() == once


def test_what_is_known_later_is_added_to_what_is_there(package: str) -> None:
    record_deployment(package, CONFIG)
    registry.reject(package, "by ada: it sees silk everywhere")
    record_deployment(package, CONFIG)
    [approval] = [one for one in lineage_of(package).went_into if one.type == "Approval"]
    assert approval.properties["status"] == "Rejected"
    assert approval.properties["because"] == "by ada: it sees silk everywhere"


def test_approving_a_model_records_it(package: str) -> None:
    with recording(TaskKey("retrain_attribute_model", "run-1", "promote")) as record:
        registry.approve(package, CONFIG)
    [approval] = [one for one in lineage_of(package).went_into if one.type == "Approval"]
    assert approval.properties["status"] == "Approved"
    assert approval.properties["in_service_since"]
    assert record.details["sagemaker_lineage"] == "15 entities, 18 associations"


def test_entities_that_sagemaker_made_are_used_as_they_are() -> None:
    package = registered("d-of-sagemaker")
    uri = dataset_of(package)
    made = client("sagemaker").create_artifact(
        Source={"SourceUri": uri}, ArtifactType="DataSet", Properties={"made": "by a job"}
    )["ArtifactArn"]
    record_model(package)
    [found] = [one for one in lineage_of(package).came_from if one.uri == uri]
    assert (found.arn, found.properties) == (made, {"made": "by a job"})


def test_an_endpoints_own_context_is_used(package: str, monkeypatch: pytest.MonkeyPatch, account: Account) -> None:
    monkeypatch.setenv("LOOKBOOK_ENDPOINT_NAME", "own-context")
    get_settings.cache_clear()
    endpoint = account.endpoint("own-context", CONFIG)["EndpointArn"]
    made = client("sagemaker").create_context(
        ContextName="own-context-aws-endpoint", ContextType="Endpoint", Source={"SourceUri": endpoint}
    )["ContextArn"]
    record_deployment(package, CONFIG)
    assert {one.arn for one in lineage_of(package).went_into if one.type == "Endpoint"} == {made}
    account.sagemaker.delete_endpoint(EndpointName="own-context")


def test_without_the_setting_nothing_is_written(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_SAGEMAKER_LINEAGE", "false")
    get_settings.cache_clear()
    before = everything()
    record_deployment(package, CONFIG)
    sagemaker_ml.dataset_expired(dataset_of(package))
    assert everything() == before


def refusing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Have SageMaker answer each creation of an artifact with an error."""

    def refuse(**_: Any) -> None:
        raise error

    monkeypatch.setattr(client("sagemaker"), "create_artifact", refuse)


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "CreateArtifact")


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceLimitExceeded", "ValidationException"])
def test_a_refusal_is_a_warning_and_the_model_is_approved(
    package: str, code: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refusing(monkeypatch, client_error(code))
    with recording(TaskKey("retrain_attribute_model", "run-1", "promote")) as record:
        registry.approve(package, CONFIG)
    assert registry.describe(package)["ModelApprovalStatus"] == "Approved"
    assert record.details["sagemaker_lineage"].startswith("not recorded")
    [warning] = [one for one in caplog.records if one.levelno == logging.WARNING and one.name == sagemaker_ml.__name__]
    assert code in warning.getMessage()


@pytest.mark.parametrize(
    "error", [client_error("ThrottlingException"), EndpointConnectionError(endpoint_url="https://sagemaker")]
)
def test_what_may_pass_is_tried_again_by_the_task(
    package: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(monkeypatch, error)
    with pytest.raises(RetryableError, match="can't be written now"):
        record_model(package)


def test_a_package_that_does_not_tell_what_it_came_from_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    record_model(registered("d-old", evaluation_job=""))
    assert "names no evaluation_job" in caplog.text


def test_an_artifact_that_somebody_makes_in_between_is_used(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sagemaker = client("sagemaker")
    create: Callable[..., Any] = sagemaker.create_artifact

    def first_another_then_this(**request: Any) -> Any:
        create(**request)
        return create(**request)

    monkeypatch.setattr(sagemaker, "create_artifact", first_another_then_this)
    record_model(package)
    assert uris(lineage_of(package).came_from, "DataSet") == {dataset_of(package)}


def test_an_association_that_shows_later_is_no_error(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    record_model(package)
    written = everything()
    with monkeypatch.context() as patched:
        patched.setattr(client("sagemaker"), "list_associations", lambda **_: {"AssociationSummaries": []})
        record_model(package)
    assert everything() == written


def test_a_data_set_that_goes_lets_its_drops_associations_go() -> None:
    package = registered("d2")
    record_model(package)
    uri = dataset_of(package)
    for _ in range(2):
        models.expire([Expiry("data_set", uri, "no kept package", registry.describe(package)["CreationTime"])])
    came_from = lineage_of(package).came_from
    [found] = [one for one in came_from if one.uri == uri]
    assert uris(came_from, "Drop") == set()
    assert found.properties["drops"] == ", ".join(DROPS)
    assert found.properties["expired"]


def test_a_model_that_was_registered_without_is_recorded_by_hand(
    package: str, capsys: pytest.CaptureFixture[str]
) -> None:
    version = registry.version_of(package)
    assert sagemaker_ml.main(["show", version]) == 1
    assert "knows nothing of" in capsys.readouterr().err
    assert sagemaker_ml.main(["record", version]) == 0
    assert f"Artifact DataSet: {dataset_of(package)}" in capsys.readouterr().out
    assert sagemaker_ml.main(["show", "v999"]) == 1


def test_what_is_too_long_or_on_several_lines_is_cut(package: str) -> None:
    entity = sagemaker_entities.Entity(
        "Action", "Approval", "arn:x", f"long-{time.monotonic_ns()}", {"because": "a\nb " + "x" * 3000, "empty": ""}
    )
    other = sagemaker_entities.Entity("Artifact", "DataSet", f"s3://x/{time.monotonic_ns()}", "other")
    sagemaker_entities.write([sagemaker_entities.Association(other, "AssociatedWith", entity)])
    [found] = lineage_of(other.uri).went_into
    assert found.properties["because"].startswith("a b xx")
    assert len(found.properties["because"]) == 2500
    assert "empty" not in found.properties
