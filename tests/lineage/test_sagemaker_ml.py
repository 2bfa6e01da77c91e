"""What is written into SageMaker's lineage, on local AWS: who asks there finds the way back to data set and drops."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from lookbook.lineage.records import LineageRecord, TaskKey, recording
from lookbook.lineage.sagemaker_entities import Association, Entity, Found
from lookbook.lineage.sagemaker_ml import lineage_of, record_deployment, record_model
from lookbook.settings import get_settings
from lookbook.training import registry
from lookbook.vqa import datasets

GROUP, ENDPOINT, CONFIG = "lookbook-attributes", "lookbook-attributes", "config-v1"
TRAINED, EVALUATED, RETRAINED = JOBS = ("lookbook-train-1", "lookbook-evaluate-1", "lookbook-train-2")
REPORT = "s3://lookbook/training/jobs/lookbook-evaluate-1/evaluation.json"
BASE = "s3://data/models/base/"
DROPS = ("2026-11-09", "2026-11-16")


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Local AWS with jobs that ended well, two data sets' pairs and an endpoint."""
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
def settings(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that lead to local AWS."""
    monkeypatch.setenv("LOOKBOOK_CATALOG_URI", f"sqlite:///{account.gateway.state.parent}/catalog.db")
    lead_to(account.gateway, monkeypatch)


def registered(dataset_id: str = "d2", training_job: str = RETRAINED, **metadata: str) -> str:
    """Register a package that came from a data set; return its ARN."""
    told = {
        "dataset_id": dataset_id,
        "products_snapshot": "77",
        "training_job": training_job,
        "evaluation_job": EVALUATED,
        "evaluation_report": REPORT,
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


@dataclass(frozen=True)
class Promoted:
    """A package that was approved, and what its task recorded of that."""

    package: str
    record: LineageRecord


@pytest.fixture(scope="module")
def kept() -> list[Promoted]:
    return []


@pytest.fixture
def promoted(kept: list[Promoted]) -> Promoted:
    """The package of a data set and a training job that no other package has; approved once for all tests."""
    if not kept:
        package = registered("d1", TRAINED)
        with recording(TaskKey("retrain_attribute_model", "run-1", "promote")) as record:
            registry.approve(package, CONFIG)
        kept.append(Promoted(package, record))
    return kept[0]


@pytest.fixture
def package() -> str:
    """A package of the test's own."""
    return registered()


def dataset_of(package: str) -> str:
    return datasets.dataset_uri(registry.describe(package)["CustomerMetadataProperties"]["dataset_id"])


def uris(found: tuple[Found, ...], kind: str) -> set[str]:
    return {one.uri for one in found if one.type == kind}


def everything() -> dict[str, Any]:
    """All that local AWS's lineage has, the times at which it was changed among it."""
    listed = {"artifacts": "Artifact", "actions": "Action", "contexts": "Context", "associations": "Association"}
    pages = {name: getattr(client("sagemaker"), f"list_{name}")(MaxResults=100) for name in listed}
    return {name: pages[name][f"{member}Summaries"] for name, member in listed.items()}


def test_the_endpoint_leads_back_to_data_set_and_drops(promoted: Promoted) -> None:
    endpoint = client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)["EndpointArn"]
    came_from = lineage_of(endpoint).came_from
    assert uris(came_from, "ModelPackage") == {promoted.package}
    assert uris(came_from, "DataSet") == {dataset_of(promoted.package)}
    assert uris(came_from, "Drop") == {f"s3://lookbook/drops/{drop}/" for drop in DROPS}


def test_a_package_leads_to_all_that_it_came_from(promoted: Promoted) -> None:
    came_from = lineage_of(promoted.package).came_from
    job = client("sagemaker").describe_training_job(TrainingJobName=TRAINED)
    assert uris(came_from, "TrainingJob") == {job["TrainingJobArn"]}
    assert uris(came_from, "Model") >= {BASE, job["ModelArtifacts"]["S3ModelArtifacts"]}
    assert uris(came_from, "Image") == {IMAGE}
    assert uris(came_from, "EvaluationReport") == {REPORT}
    [gate] = [one for one in came_from if one.type == "Gate"]
    figures = gate.properties["gate"], gate.properties["exact_match_challenger"]
    assert (gate.kind, *figures) == ("Action", "passed", "0.93")


def test_a_drop_leads_forward_to_the_model_and_where_it_serves(promoted: Promoted) -> None:
    went_into = lineage_of(f"s3://lookbook/drops/{DROPS[0]}/").went_into
    assert promoted.package in uris(went_into, "ModelPackage")
    [endpoint] = [one for one in went_into if one.type == "Endpoint"]
    assert endpoint.properties["model_version"] == registry.version_of(promoted.package)
    assert endpoint.properties["endpoint_config"] == CONFIG


def test_approving_a_model_records_it(promoted: Promoted) -> None:
    [approval] = [one for one in lineage_of(promoted.package).went_into if one.type == "Approval"]
    assert approval.properties["status"] == "Approved"
    assert approval.properties["in_service_since"]
    assert promoted.record.details["sagemaker_lineage"] == "15 entities, 18 associations"


def test_written_again_it_is_as_it_was(promoted: Promoted) -> None:
    once = everything()
    record_deployment(promoted.package, CONFIG)
    assert everything() == once


def test_what_is_known_later_is_added_to_what_is_there(promoted: Promoted) -> None:
    registry.reject(promoted.package, "by ada: it sees silk everywhere")
    record_deployment(promoted.package, CONFIG)
    [approval] = [one for one in lineage_of(promoted.package).went_into if one.type == "Approval"]
    assert approval.properties["status"] == "Rejected"
    assert approval.properties["because"] == "by ada: it sees silk everywhere"


def test_a_package_that_was_not_deployed_leads_nowhere(package: str) -> None:
    record_model(package)
    assert lineage_of(package).went_into == ()


def test_entities_that_sagemaker_made_are_used_as_they_are() -> None:
    package = registered("d-of-sagemaker")
    uri = dataset_of(package)
    made = client("sagemaker").create_artifact(
        Source={"SourceUri": uri}, ArtifactType="DataSet", Properties={"made": "by a job"}
    )["ArtifactArn"]
    record_model(package)
    [found] = [one for one in lineage_of(package).came_from if one.uri == uri]
    assert (found.arn, found.properties) == (made, {"made": "by a job"})


def test_an_endpoints_own_context_is_used() -> None:
    made = client("sagemaker").create_context(
        ContextName="other-aws-endpoint", ContextType="Endpoint", Source={"SourceUri": "arn:other"}
    )["ContextArn"]
    deployment = Entity("Action", "ModelDeployment", "arn:config", "other-deployment")
    endpoint = Entity("Context", "Endpoint", "arn:other", "other", {"model_version": "v1"})
    sagemaker_entities.write([Association(deployment, "AssociatedWith", endpoint)])
    [came_from] = lineage_of("arn:other").came_from
    assert (came_from.type, sagemaker_entities.find("arn:other")) == ("ModelDeployment", made)


def test_without_the_setting_nothing_is_written(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_SAGEMAKER_LINEAGE", "false")
    get_settings.cache_clear()
    before = everything()
    record_deployment(package, CONFIG)
    sagemaker_ml.dataset_expired(dataset_of(package))
    assert everything() == before


def refusing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Have SageMaker answer whoever asks for an artifact with an error."""

    def refuse(**_: Any) -> None:
        raise error

    monkeypatch.setattr(client("sagemaker"), "list_artifacts", refuse)


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "ListArtifacts")


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
    assert dataset_of(package) in uris(lineage_of(package).came_from, "DataSet")


def test_an_association_that_shows_later_is_no_error(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    record_model(package)
    written = everything()
    with monkeypatch.context() as patched:
        patched.setattr(client("sagemaker"), "list_associations", lambda **_: {"AssociationSummaries": []})
        record_model(package)
    assert everything() == written


def test_a_data_set_that_goes_lets_its_drops_associations_go(package: str) -> None:
    record_model(package)
    uri = dataset_of(package)
    for _ in range(2):
        models.expire([Expiry("data_set", uri, "no kept package", registry.describe(package)["CreationTime"])])
    [found] = [one for one in lineage_of(package).came_from if one.uri == uri]
    assert [one.type for one in lineage_of(uri).came_from] == []
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


def test_what_is_too_long_or_on_several_lines_is_cut() -> None:
    told = {"because": "a\nb " + "x" * 3000, "empty": ""}
    data, approval = Entity("Artifact", "DataSet", "s3://x/", "x"), Entity("Action", "Approval", "arn:x", "x", told)
    sagemaker_entities.write([Association(data, "AssociatedWith", approval)])
    [found] = lineage_of(data.uri).went_into
    assert found.properties["because"].startswith("a b xx")
    assert len(found.properties["because"]) == 2500
    assert "empty" not in found.properties
