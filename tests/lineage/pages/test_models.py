"""The pages of models: what the registry, the endpoint and the tables say of each."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from selectolax.lexbor import LexborHTMLParser
from tests.lineage.catalogue import describe
from tests.lineage.flow import retrain

from lookbook.lineage.pages import Links, PageNotFoundError, models
from lookbook.settings import get_settings
from lookbook.training import registry

pytestmark = pytest.mark.usefixtures("aws_server")

LINKS = Links("/airflow")


@pytest.fixture(autouse=True)
def forgotten_jobs() -> None:
    models._ended_training.cache_clear()


@pytest.fixture
def trained() -> str:
    """The package of a model that was registered, and is not in service."""
    retrain()
    return registry.all_packages()[0]


class Endpoint:
    """What SageMaker says of configs and their models; the one that is served, and the one that a rollout leads to.

    moto keeps neither shadow variants nor what a rollout has pending.
    """

    def __init__(
        self, patch: pytest.MonkeyPatch, serving: dict[str, str], pending: dict[str, str] | None = None
    ) -> None:
        self._configs = {"serving": serving, "pending": pending or {}}
        moving = {"PendingDeploymentSummary": {"EndpointConfigName": "pending"}} if pending else {}
        patch.setattr(registry, "describe_endpoint", lambda _name: {"EndpointConfigName": "serving", **moving})
        patch.setattr(models, "_training", lambda _job: None)
        patch.setattr(models, "client", lambda _service: self)

    def describe_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        return {kind: [{"ModelName": arn}] for kind, arn in self._configs[EndpointConfigName].items()}

    def describe_model(self, ModelName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        return {"PrimaryContainer": {"Environment": {registry.PACKAGE_VARIABLE: ModelName}}}


def another(**metadata: str) -> str:
    arn: str = boto3.client("sagemaker").create_model_package(
        ModelPackageGroupName=get_settings().model_package_group,
        ModelApprovalStatus="PendingManualApproval",
        CustomerMetadataProperties=metadata,
    )["ModelPackageArn"]
    return arn


def test_a_model_is_shown_with_what_was_measured_and_who_decided(trained: str) -> None:
    (model,) = models.overview().models
    assert (model.version, model.arn, model.approval) == ("v1", trained, "Approved")
    assert (model.exact_match, model.gate, model.promoted_by, model.dataset_id) == (0.91, "overridden", "ada", "d1")
    assert model.lift is None, "the package has no majority answer to compare with"


def test_lift_is_exact_match_above_the_majority_answer(trained: str) -> None:
    another(exact_match_challenger="0.91", exact_match_majority="0.40", lead_over_champion="-0.01")
    newest = models.overview().models[0]
    assert newest.lift == pytest.approx(0.51)
    assert newest.lead == -0.01


def test_training_is_priced_by_the_time_that_was_billed(trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class SageMaker:
        def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
            kind = {"InstanceType": "ml.g5.xlarge", "InstanceCount": 2}
            return {"TrainingJobArn": "arn:…", "ResourceConfig": kind, "BillableTimeInSeconds": 1800}

    monkeypatch.setattr(models, "client", lambda _service: SageMaker())
    training = models._training("a job")
    assert training and (training.hours, training.usd) == (1.0, pytest.approx(1.408))


def test_a_job_that_sagemaker_has_no_more_leaves_the_model_without_training(trained: str) -> None:
    another(training_job="gone")
    assert models.overview().models[0].training is None
    assert "SageMaker has none of it" in models.render_detail(LINKS, "v2")


def test_descriptions_that_used_its_answers_are_counted(trained: str) -> None:
    describe("2026-11-16", {"1": "published", "2": "withheld"})
    describe("2026-11-09", {"3": "published"})
    describe("2026-11-02", {"4": "published"}, attribute_model_version=None)
    model = models.detail("v1")
    assert model.descriptions == {"published": 2, "withheld": 1}
    assert model.drops == ("2026-11-16", "2026-11-09")


def test_the_model_that_serves_and_the_one_in_its_shadow_are_marked(
    trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Endpoint(monkeypatch, {"ProductionVariants": trained, "ShadowProductionVariants": another()})
    roles = [(model.version, model.role) for model in models.overview().models]
    assert roles == [("v2", "shadow"), ("v1", "in service")]


def test_the_model_that_an_update_rolls_out_is_marked(trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Endpoint(monkeypatch, {"ProductionVariants": trained}, pending={"ProductionVariants": another()})
    roles = [(model.version, model.role) for model in models.overview().models]
    assert roles == [("v2", "being rolled out"), ("v1", "in service")]


@pytest.mark.parametrize(
    ("metadata", "promoter"),
    [
        ({}, "nobody yet"),
        ({"in_service_since": "2026-11-16T12:00:00+00:00"}, "the gate alone"),
        ({"in_service_since": "2026-11-16T12:00:00+00:00", "approved_by": "ada"}, "ada, who was asked"),
        ({"promoted_by": "ada", "approved_by": "bob"}, "ada, against the gate"),
    ],
)
def test_who_promoted_a_model_is_told(trained: str, metadata: dict[str, str], promoter: str) -> None:
    another(**metadata)
    facts = LexborHTMLParser(models.render_detail(LINKS, "v2")).css_first(".facts")
    told = dict(
        zip([dt.text() for dt in facts.css("dt")], [dd.text(strip=True) for dd in facts.css("dd")], strict=True)
    )
    assert told["Promoted by"] == promoter


def test_a_group_that_does_not_exist_yet_has_no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"Code": "ValidationException", "Message": "ModelPackageGroup arn:aws:… does not exist."}

    def refuse() -> list[str]:
        raise ClientError({"Error": absent}, "ListModelPackages")

    monkeypatch.setattr(registry, "all_packages", refuse)
    assert models.overview().models == ()


def test_models_come_a_page_at_a_time_the_newest_first(trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    another()
    monkeypatch.setattr(models, "ROWS", 1)
    assert [models.overview(page).models[0].version for page in (1, 2)] == ["v2", "v1"]
    assert (models.overview().pages, models.overview(3).models) == (2, ())


def test_the_page_names_the_run_that_registered_it(trained: str) -> None:
    page = LexborHTMLParser(models.render_detail(LINKS, "v1"))
    links = {link.attributes["href"] for link in page.css("a")}
    assert "/airflow/dags/retrain_attribute_model/runs/run-1" in links
    assert "/airflow/lookbook/lineage/models/v1/depends" in links


def test_what_depends_on_a_model_is_named_with_the_command_that_marks_it(trained: str) -> None:
    describe("2026-11-16", {"1": "published"})
    page = LexborHTMLParser(models.render_impact(LINKS, "v1"))
    assert page.css_first("pre").text() == 'python -m lookbook.lineage model v1 --mark-stale "what was wrong"'
    assert page.css_first(".figure dd").text() == "1"


@pytest.mark.parametrize("version", ["v9", "1", "<b>"])
def test_what_is_no_model_has_no_page(trained: str, version: str) -> None:
    with pytest.raises(PageNotFoundError, match="no model"):
        models.render_detail(LINKS, version)
    with pytest.raises(PageNotFoundError, match="no model"):
        models.render_impact(LINKS, version)


def test_before_the_first_model_the_page_says_how_descriptions_are_written() -> None:
    assert "No model is registered yet" in models.render_overview(LINKS)


def test_what_a_person_wrote_is_text_and_never_markup(trained: str) -> None:
    boto3.client("sagemaker").update_model_package(
        ModelPackageArn=trained, ModelApprovalStatus="Rejected", ApprovalDescription="<script>alert(1)</script>"
    )
    for page in (models.render_overview(LINKS), models.render_detail(LINKS, "v1")):
        assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
