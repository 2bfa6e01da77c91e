"""A plan's pictures asked about by a batch transform job on local AWS, with and without an endpoint."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator
from tests.serving.conftest import Account, wait_for
from tests.serving.test_prediction import DROP, plan, publish, rows

from lookbook import storage
from lookbook.aws import client
from lookbook.errors import RetryableError
from lookbook.lineage.records import TaskKey, recording
from lookbook.serving import endpoint, prediction, transform, transform_jobs
from lookbook.serving.inputs import Input
from lookbook.settings import get_settings


@pytest.fixture(autouse=True)
def transform_from_one(monkeypatch: pytest.MonkeyPatch, account: Account) -> None:
    """Every plan is large enough."""
    monkeypatch.setattr(endpoint, "_FIRST_WAIT_S", 0.0)
    transform_from(monkeypatch, 1)


def transform_from(monkeypatch: pytest.MonkeyPatch, pictures: int | None) -> None:
    monkeypatch.delenv("LOOKBOOK_TRANSFORM_FROM", raising=False)
    if pictures is not None:
        monkeypatch.setenv("LOOKBOOK_TRANSFORM_FROM", str(pictures))
    get_settings.cache_clear()


def publish_pictures(account: Account, *texts: str, **columns: Any) -> str:
    """Publish a product for each picture, with the version of the object that ingest keeps; return the plan."""
    publish(account, {str(number): text for number, text in enumerate(texts, start=1)}, **columns)
    return plan()


def ran(plan_uri: str) -> dict[str, Any]:
    """Run the plan's transform job to its end and return the reference that its task returns."""
    asked = transform.transform_requests(plan_uri)
    assert asked is not None
    sagemaker, job = client("sagemaker"), asked["job"]
    if not sagemaker.list_models(NameContains=asked["model"]["ModelName"])["Models"]:
        sagemaker.create_model(**asked["model"])
    sagemaker.create_transform_job(**job)

    def described() -> dict[str, Any]:
        found: dict[str, Any] = sagemaker.describe_transform_job(TransformJobName=job["TransformJobName"])
        return found

    wait_for(lambda: described()["TransformJobStatus"] not in ("InProgress", "Stopping"))
    return transform_jobs.reference(described())


async def test_history_is_answered_without_an_endpoint(account: Account) -> None:
    account.register(attributes=("Fabric", "baseColour"))
    uri = publish_pictures(account, "shirt one", "shirt two")
    job = ran(uri)
    predictions = await prediction.predict(uri, job)
    assert (predictions.model_version, predictions.answered) == ("v1", 2)
    assert (predictions.transform_job, predictions.endpoint_config) == (job["job_name"], None)
    assert [(row["product_id"], row["attribute"], row["value"]) for row in rows()] == [
        ("1", "Fabric", "Cotton"),
        ("1", "baseColour", "Red"),
        ("2", "Fabric", "Cotton"),
        ("2", "baseColour", "Red"),
    ]
    assert {(row["transform_job"], row["endpoint_config"]) for row in rows()} == {(job["job_name"], None)}


async def test_answers_that_do_not_apply_to_the_article_type_are_dropped(account: Account) -> None:
    account.register(attributes=("Fabric", "baseColour"))
    uri = publish_pictures(account, "belt", attributes=[("baseColour", "Black")])
    await prediction.predict(uri, ran(uri))
    assert [row["attribute"] for row in rows()] == ["baseColour"]


async def test_a_refused_picture_sinks_neither_the_job_nor_the_plan(account: Account) -> None:
    account.register()
    uri = publish_pictures(account, "shirt", "refuse this", "skirt", "garbage please")
    job = ran(uri)
    assert (
        client("sagemaker").describe_transform_job(TransformJobName=job["job_name"])["TransformJobStatus"] == "Failed"
    )
    predictions = await prediction.predict(uri, job)
    assert (predictions.answered, predictions.unanswered) == (2, 2)


async def test_what_the_job_left_no_answer_to_is_asked_of_the_endpoint(account: Account) -> None:
    account.deploy(account.register())
    uri = publish_pictures(account, "shirt", "refuse this", "skirt")
    job = ran(uri)
    asked_by_job = len(account.calls())
    predictions = await prediction.predict(uri, job)
    assert (predictions.answered, predictions.refused, predictions.unanswered) == (2, 1, 0)
    assert [call["picture"] for call in account.calls()[asked_by_job:]] == ["refuse this"]


async def test_an_endpoint_with_another_model_has_no_say_in_the_jobs_plan(account: Account) -> None:
    account.register()
    uri = publish_pictures(account, "shirt", "refuse this", "skirt")
    job = ran(uri)
    account.deploy(account.register())
    predictions = await prediction.predict(uri, job)
    assert (predictions.model_version, predictions.answered, predictions.unanswered) == ("v1", 2, 1)


async def test_what_a_job_answered_is_asked_neither_again_nor_of_another_job(account: Account) -> None:
    account.deploy(account.register())
    uri = publish_pictures(account, "shirt", "skirt")
    first = await prediction.predict(uri, ran(uri))
    calls = len(account.calls())
    assert transform.transform_requests(uri) is None
    assert (await prediction.predict(uri)).answered == first.answered == 2
    assert len(account.calls()) == calls


async def test_a_job_that_left_hardly_anything_and_no_endpoint_is_no_success(account: Account) -> None:
    account.register()
    uri = publish_pictures(account, "shirt", "refuse one", "refuse two")
    with pytest.raises(RetryableError, match=r"no answer about 2 of 3 pictures.*left no answer, and no endpoint"):
        await prediction.predict(uri, ran(uri))


async def test_an_answer_about_a_picture_that_was_replaced_is_not_used(account: Account) -> None:
    account.register()
    uri = publish_pictures(account, "shirt", "skirt", "socks")
    job = ran(uri)
    storage.write_bytes(f"s3://{account.name}/drops/{DROP}/images/2.jpg", b"another")
    assert (await prediction.predict(uri, job)).unanswered == 1
    assert [row["product_id"] for row in rows()] == ["1", "3"]


def test_the_request_is_one_that_sagemaker_takes(account: Account) -> None:
    account.register()
    asked = transform.transform_requests(publish_pictures(account, "shirt", "skirt"))
    assert asked is not None
    model = boto3.client("sagemaker").meta.service_model
    for operation, request in (("CreateModel", asked["model"]), ("CreateTransformJob", asked["job"])):
        assert not ParamValidator().validate(request, model.operation_model(operation).input_shape).has_errors()
    assert asked["job"]["MaxPayloadInMB"] * asked["job"]["MaxConcurrentTransforms"] <= 100


def test_the_same_pictures_and_model_are_the_same_job(account: Account) -> None:
    account.register()
    uri = publish_pictures(account, "shirt", "skirt")
    first = transform.transform_requests(uri)
    assert first == transform.transform_requests(uri)
    account.register()
    second = transform.transform_requests(uri)
    assert first and second
    assert first["job"]["TransformJobName"] != second["job"]["TransformJobName"]


def test_a_picture_that_changed_or_is_gone_is_not_sent(account: Account) -> None:
    account.register()
    uri = publish_pictures(account, "shirt", "skirt", "socks")
    storage.write_bytes(f"s3://{account.name}/drops/{DROP}/images/1.jpg", b"another")
    storage.delete(f"s3://{account.name}/drops/{DROP}/images/2.jpg")
    asked = transform.transform_requests(uri)
    assert asked is not None
    source = asked["job"]["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    assert storage.read_json(source) == [{"prefix": f"s3://{account.name}/drops/{DROP}/images/"}, "3.jpg"]


@pytest.mark.parametrize("pictures", [None, 3])
def test_a_small_plan_goes_to_the_endpoint_and_it_is_recorded(
    account: Account, monkeypatch: pytest.MonkeyPatch, pictures: int | None
) -> None:
    transform_from(monkeypatch, pictures)
    account.register()
    uri = publish_pictures(account, "shirt", "skirt")
    with recording(TaskKey("describe_products", "r", "transform_requests")) as record:
        assert transform.transform_requests(uri) is None
    assert record.details["transform_job"] == "none"
    assert "LOOKBOOK_TRANSFORM_FROM" in record.details["because"]


def test_without_any_model_there_is_nothing_to_transform_with(account: Account) -> None:
    assert transform.transform_requests(publish_pictures(account, "shirt")) is None


@pytest.mark.parametrize("below", ["", "images/", "drops/2026-11-16/images/"])
def test_results_are_found_from_wherever_on_sagemaker_names_them(account: Account, below: str) -> None:
    root, pictures = f"s3://{account.name}/transforms/job", f"s3://{account.name}/drops/{DROP}/images/"
    stored = [storage.write_bytes(f"{pictures}{name}", b"x") for name in ("1.jpg", "11.jpg")]
    storage.write_json(f"{root}/manifest.json", [{"prefix": pictures}, "1.jpg", "11.jpg"])
    left = storage.write_bytes(f"{root}/results/{below}11.jpg.out", b"{}").uri
    asked = [Input(one.uri, "sha256", ("Fabric",), one.etag) for one in stored]
    job = {"job_name": "job", "manifest_uri": f"{root}/manifest.json", "output_uri": f"{root}/results/"}
    assert transform.outputs_of(job, asked).by_picture == {f"{pictures}11.jpg": left}
