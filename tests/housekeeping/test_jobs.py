"""Which running jobs are stopped, and which are only told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from lookbook.aws import client
from lookbook.housekeeping import jobs
from lookbook.housekeeping.plans import Expiry
from lookbook.training.requests import training_request

RUN = "manual__2026-11-16T03:00:00+00:00"
DATASET = {"uri": "s3://lookbook/training/datasets/d1/", "dataset_id": "d1"}
LATER = datetime.now(UTC) + timedelta(hours=3)

pytestmark = pytest.mark.usefixtures("bucket")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> str:
    """A job that runs: moto's end at once."""
    request = training_request(DATASET, RUN)
    request["ResourceConfig"]["InstanceType"] = "ml.g4dn.xlarge"  # one that moto knows
    client("sagemaker").create_training_job(**request)
    _listed_as_running(monkeypatch)
    name: str = request["TrainingJobName"]
    return name


def _listed_as_running(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = jobs.listed

    def running(operation: str, member: str, **arguments: Any) -> Any:
        assert arguments.pop("StatusEquals") == "InProgress"
        return listed(operation, member, **arguments)

    monkeypatch.setattr(jobs, "listed", running)


def test_a_job_whose_run_is_over_is_stopped(started: str) -> None:
    asked: list[tuple[str, str]] = []

    def has_ended(dag_id: str, run_id: str) -> bool:
        asked.append((dag_id, run_id))
        return True

    plan = jobs.plan(has_ended, LATER)
    assert [(one.kind, one.name) for one in plan.expiries] == [("training_job", started)]
    assert asked == [("retrain_attribute_model", RUN)]


def test_a_job_whose_run_goes_on_is_left_alone(started: str) -> None:
    plan = jobs.plan(lambda dag_id, run_id: False, LATER)
    assert (plan.expiries, plan.left) == ((), ())


def test_there_is_time_to_clear_the_task_first(started: str) -> None:
    assert jobs.plan(lambda dag_id, run_id: True).expiries == ()


def test_a_job_of_no_known_run_is_told_and_left(started: str) -> None:
    plan = jobs.plan(lambda dag_id, run_id: None, LATER)
    assert plan.expiries == ()
    assert len(plan.left) == 1 and started in plan.left[0]


def test_another_projects_job_is_no_business_of_ours(started: str) -> None:
    arn = client("sagemaker").describe_training_job(TrainingJobName=started)["TrainingJobArn"]
    client("sagemaker").delete_tags(ResourceArn=arn, TagKeys=["project"])
    plan = jobs.plan(lambda dag_id, run_id: None, LATER)
    assert (plan.expiries, plan.left) == ((), ())


@pytest.mark.parametrize(("all_over", "stopped"), [(True, ["lookbook-predict-1"]), (False, [])])
def test_a_transform_job_that_runs_may_share_is_stopped_when_they_all_are_over(
    monkeypatch: pytest.MonkeyPatch, all_over: bool, stopped: list[str]
) -> None:
    arn = "arn:aws:sagemaker:us-east-1:000000000000:transform-job/lookbook-predict-1"
    job = {"TransformJobName": "lookbook-predict-1", "TransformJobArn": arn, "CreationTime": datetime.now(UTC)}
    monkeypatch.setattr(jobs, "listed", lambda operation, *_, **__: [job] if "transform" in operation else [])
    monkeypatch.setattr(jobs, "tags", lambda _: {"project": "lookbook"})
    plan = jobs.plan(
        lambda dag_id, run_id: all_over if (dag_id, run_id) == ("describe_products", None) else None, LATER
    )
    assert [expiry.name for expiry in plan.expiries] == stopped
    assert plan.left == ()


def test_jobs_are_stopped_and_one_that_ended_by_itself_is_no_error() -> None:
    going = [
        Expiry("training_job", "lookbook-train-1", "its run is over", LATER),
        Expiry("transform_job", "lookbook-predict-1", "every run is over", LATER),
    ]
    with Stubber(client("sagemaker")) as sagemaker:
        sagemaker.add_client_error(
            "stop_training_job", "ValidationException", "The training job is in status Completed."
        )
        sagemaker.add_response("stop_transform_job", {}, {"TransformJobName": "lookbook-predict-1"})
        jobs.expire(going, lambda dag_id, run_id: True)
        sagemaker.assert_no_pending_responses()


def test_a_refusal_to_stop_a_job_is_not_passed_over() -> None:
    with Stubber(client("sagemaker")) as sagemaker, pytest.raises(ClientError, match="AccessDenied"):
        sagemaker.add_client_error("stop_training_job", "AccessDeniedException", "no")
        jobs.expire([Expiry("training_job", "lookbook-train-1", "", LATER)], lambda dag_id, run_id: True)
