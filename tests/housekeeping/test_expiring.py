"""A plan is kept, shown and carried out on an account: what is there before and after."""

from __future__ import annotations

from typing import Any

import pytest

from lookbook import storage
from lookbook.aws import client
from lookbook.errors import PermanentError
from lookbook.housekeeping import __main__ as command
from lookbook.housekeeping import expiring, plans
from lookbook.housekeeping.plans import Outcome, TooMuchError
from lookbook.serving import rollback
from lookbook.serving.requests import serving_requests
from lookbook.settings import get_settings
from lookbook.training import registry

RUN = "manual__2026-11-21T05:00:00+00:00"


@pytest.fixture(autouse=True)
def everything_is_old(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_EXPIRE_AFTER_DAYS", "0.000000001")
    monkeypatch.setenv("LOOKBOOK_KEEP_CHAMPIONS", "1")
    monkeypatch.setenv("LOOKBOOK_ENDPOINT_INSTANCE_TYPE", "ml.g4dn.xlarge")  # one that moto knows
    get_settings.cache_clear()


def never(dag_id: str, run_id: str) -> None:
    """No run is known: models are not judged by runs."""


def plan_run(run_key: str = RUN) -> dict[str, Any]:
    return expiring.plan_run("models", run_key, never)


def carry_out(uri: str, **arguments: Any) -> Outcome:
    return expiring.carry_out(uri, never, **arguments)


def job(number: int) -> str:
    return f"s3://lookbook/training/jobs/lookbook-train-{number}/"


def dataset(number: int) -> str:
    return f"s3://lookbook/training/datasets/d{number}/"


def release(number: int, status: str = "Approved") -> dict[str, str]:
    """Train, register and prepare to serve a model; return the names of its resources."""
    archive = f"{job(number)}output/model.tar.gz"
    storage.write_bytes(archive, b"weights")
    storage.write_json(f"{job(number)}evaluation.json", {"format": 2})
    storage.write_bytes(f"{dataset(number)}train/pictures-00000.tar", b"pictures")
    storage.write_json(f"{dataset(number)}dataset.json", {"products_snapshot": "1"})
    package_arn = client("sagemaker").create_model_package(
        ModelPackageGroupName="lookbook-attributes",
        ModelApprovalStatus=status,
        InferenceSpecification={"Containers": [{"Image": "image", "ModelDataUrl": archive}]},
        CustomerMetadataProperties={"dataset_id": f"d{number}", "training_job": f"lookbook-train-{number}"},
    )["ModelPackageArn"]
    asked = serving_requests(package_arn)
    client("sagemaker").create_model(**asked["model"])
    client("sagemaker").create_endpoint_config(**asked["endpoint_config"])
    return {
        "package": package_arn,
        "model": asked["model"]["ModelName"],
        "config": asked["endpoint_config"]["EndpointConfigName"],
    }


@pytest.fixture
def releases(everything_is_old: None) -> list[dict[str, str]]:
    """Three models, the third in service."""
    client("sagemaker").create_model_package_group(ModelPackageGroupName="lookbook-attributes")
    released = [release(number) for number in range(1, 4)]
    client("sagemaker").create_endpoint(
        EndpointName=get_settings().endpoint_name, EndpointConfigName=released[-1]["config"]
    )
    return released


def there(operation: str, member: str, name: str) -> list[str]:
    return sorted(item[name] for item in getattr(client("sagemaker"), operation)()[member])


def configs() -> list[str]:
    return there("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName")


def models() -> list[str]:
    return there("list_models", "Models", "ModelName")


def objects(prefix: str) -> list[str]:
    return [stored.uri.removeprefix(prefix) for stored in storage.list_objects(prefix)]


def test_what_nothing_refers_to_goes_and_the_reports_and_packages_stay(releases: list[dict[str, str]]) -> None:
    outcome = carry_out(plan_run()["uri"], dry_run=False)
    assert outcome.deleted == {"endpoint_config": 2, "model": 2, "artefact": 2, "data_set": 2}
    assert configs() == sorted(one["config"] for one in releases[2:])
    assert models() == sorted(one["model"] for one in releases[2:])
    assert objects(job(1)) == objects(job(2)) == ["evaluation.json"]
    assert objects(job(3)) == ["evaluation.json", "output/model.tar.gz"]
    assert objects(dataset(1)) == []
    assert objects(dataset(3)) == ["dataset.json", "train/pictures-00000.tar"]


def test_a_model_whose_artefact_is_gone_cannot_be_rolled_back_to(releases: list[dict[str, str]]) -> None:
    for one in releases:
        registry.approve(one["package"], one["config"])
    carry_out(plan_run()["uri"], dry_run=False)
    assert [(one.version, one.expired) for one in registry.served()] == [("v3", False), ("v2", True), ("v1", True)]
    with pytest.raises(PermanentError, match=r"v1 can't be restored: .* deleted its artefact"):
        rollback.choose("v1", by="ada")


def test_what_a_kept_model_is_verified_by_stays_with_it(releases: list[dict[str, str]]) -> None:
    def evaluation(number: int) -> str:
        return f"s3://lookbook/training/jobs/lookbook-evaluate-{number}/"

    for number, one in enumerate(releases, start=1):
        for name in ("evaluation.json", "golden.json"):
            storage.write_json(f"{evaluation(number)}{name}", [])
        registry.annotate(one["package"], {"evaluation_report": f"{evaluation(number)}evaluation.json"})
        registry.approve(one["package"], one["config"])
    carry_out(plan_run()["uri"], dry_run=False)
    assert objects(evaluation(1)) == objects(evaluation(2)) == ["evaluation.json"]
    assert objects(evaluation(3)) == ["evaluation.json", "golden.json"]


def test_a_dry_run_deletes_nothing_and_says_what_would_go(releases: list[dict[str, str]]) -> None:
    planned = plan_run()
    outcome = carry_out(planned["uri"], dry_run=True)
    assert (outcome.dry_run, outcome.deleted["model"]) == (True, 2)
    assert len(configs()) == len(models()) == 3
    assert objects(job(1)) == ["evaluation.json", "output/model.tar.gz"]


def test_carried_out_again_a_plan_changes_nothing(releases: list[dict[str, str]]) -> None:
    uri = plan_run()["uri"]
    carry_out(uri, dry_run=False)
    before = configs(), models(), objects("s3://lookbook/training/")
    assert carry_out(uri, dry_run=False).deleted == {}
    assert (configs(), models(), objects("s3://lookbook/training/")) == before


def test_what_is_deployed_after_it_was_planned_to_go_stays(releases: list[dict[str, str]]) -> None:
    uri = plan_run()["uri"]
    client("sagemaker").create_endpoint(EndpointName="a-rollback", EndpointConfigName=releases[0]["config"])
    carry_out(uri, dry_run=False)
    assert releases[0]["config"] in configs()
    assert releases[0]["model"] in models()
    assert "output/model.tar.gz" in objects(job(1))
    assert releases[1]["model"] not in models()


def test_a_run_that_was_killed_halfway_is_finished_by_the_next(
    releases: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = plan_run()["uri"]
    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete", _killed)
        with pytest.raises(KeyboardInterrupt):
            carry_out(uri, dry_run=False)
    assert len(models()) == 1
    carry_out(plan_run("the next")["uri"], dry_run=False)
    assert objects(job(1)) == ["evaluation.json"]
    assert objects(dataset(1)) == []


def _killed(uri: str) -> None:
    raise KeyboardInterrupt


def test_a_model_that_nobody_tagged_as_lookbooks_stays(releases: list[dict[str, str]]) -> None:
    arn = client("sagemaker").describe_model(ModelName=releases[0]["model"])["ModelArn"]
    client("sagemaker").delete_tags(ResourceArn=arn, TagKeys=["project"])
    carry_out(plan_run()["uri"], dry_run=False)
    assert releases[0]["model"] in models()
    assert "output/model.tar.gz" in objects(job(1))


def test_more_than_the_share_that_may_go_is_refused_whole(releases: list[dict[str, str]]) -> None:
    for number in range(4, 16):
        storage.write_bytes(f"{job(number)}output/model.tar.gz", b"weights")
    uri = plan_run()["uri"]
    with pytest.raises(TooMuchError, match="14 of 15 things of kind artefact"):
        carry_out(uri, dry_run=False)
    assert len(configs()) == 3
    carry_out(uri, dry_run=False, max_share=1)
    assert objects(job(15)) == []


def test_another_groups_packages_keep_their_artefacts(
    releases: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBOOK_MODEL_PACKAGE_GROUP", "another")
    get_settings.cache_clear()
    assert [expiry.kind for expiry in expiring.plan("models", never).expiries] == []


def test_the_plan_and_its_page_say_what_goes_and_why(releases: list[dict[str, str]]) -> None:
    planned = plan_run()
    assert planned["expiries"] == len(plans.read(planned["uri"]).expiries) == 8
    page = storage.read_bytes(planned["uri"].replace("plan.json", "page.html")).decode()
    assert releases[0]["config"] in page and "no kept model or package" in page
    assert "<script" not in page and "http" not in page


def test_the_command_prints_what_would_go_and_deletes_nothing(
    releases: list[dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["plan"]) == 0
    printed = capsys.readouterr().out
    assert f"endpoint_config {releases[0]['config']}" in printed
    assert printed.startswith("models: 8 things")
    assert len(configs()) == 3
