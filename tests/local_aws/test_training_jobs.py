"""Training jobs, through plain boto3."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.local_aws.conftest import IMAGE, Account, training_request, wait_for


def _seen(account: Account, job: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(account.archive(job["ModelArtifacts"]["S3ModelArtifacts"])["seen.json"]))


@pytest.fixture(scope="module")
def completed(account: Account) -> dict[str, Any]:
    """A job that did everything right."""
    tags = [{"Key": "team", "Value": "catalogue"}]
    return account.finished(account.train("completes", {"epochs": "3"}, Environment={"OWN": "1"}, Tags=tags))


def test_a_job_goes_through_sagemakers_statuses_to_completed(completed: dict[str, Any]) -> None:
    transitions = completed["SecondaryStatusTransitions"]
    assert [one["Status"] for one in transitions] == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert len({one["StatusMessage"] for one in transitions}) == 5
    assert all("EndTime" in one for one in transitions[:-1])
    assert completed["TrainingJobStatus"] == completed["SecondaryStatus"] == "Completed"


def test_a_job_reports_times_and_billable_seconds(completed: dict[str, Any]) -> None:
    assert completed["CreationTime"] <= completed["TrainingStartTime"] <= completed["TrainingEndTime"]
    assert completed["TrainingTimeInSeconds"] == completed["BillableTimeInSeconds"] >= 1


def test_channels_hyperparameters_and_variables_reach_the_container(
    account: Account, completed: dict[str, Any]
) -> None:
    seen = _seen(account, completed)
    assert seen["files"] == ["train/a.csv", "train/deep/b.csv"]
    assert seen["parameters"] == {"epochs": "3"}
    assert seen["argv"] == ["train"]
    variables = seen["variables"]
    assert variables["SM_CHANNELS"] == '["train"]'
    assert variables["SM_CHANNEL_TRAIN"].endswith("/ml/input/data/train")
    assert (variables["SM_HP_EPOCHS"], variables["OWN"]) == ("3", "1")
    assert variables["TRAINING_JOB_NAME"] == "completes"


def test_the_hosts_variables_do_not_reach_the_container(account: Account, completed: dict[str, Any]) -> None:
    variables = _seen(account, completed)["variables"]
    assert not [name for name in variables if name.startswith("LOCAL_AWS_")]
    assert variables["AWS_ACCESS_KEY_ID"] == "local"
    assert variables["AWS_ENDPOINT_URL"] == account.gateway.url


def test_output_data_is_archived_beside_the_model(account: Account, completed: dict[str, Any]) -> None:
    assert completed["ModelArtifacts"]["S3ModelArtifacts"] == "s3://data/jobs/completes/output/model.tar.gz"
    assert account.archive("s3://data/jobs/completes/output/output.tar.gz") == {"report.txt": b"fine"}


def test_metrics_are_the_last_numbers_printed(completed: dict[str, Any]) -> None:
    (metric,) = completed["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("train:loss", 0.25)


def test_what_the_container_prints_is_in_cloudwatch_logs(account: Account, completed: dict[str, Any]) -> None:
    group = "/aws/sagemaker/TrainingJobs"
    streams = account.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="completes/")["logStreams"]
    (stream,) = [stream["logStreamName"] for stream in streams]
    assert stream.startswith("completes/algo-1-")
    events = account.logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
    assert [event["message"] for event in events][1:] == [
        "epoch=1 train_loss=0.5 pictures=ü",
        "epoch=2 train_loss=2.5e-1 pictures=ü",
        "epoch=3 train_loss=nan pictures=ü",
    ]


def test_a_finished_job_leaves_no_data_on_disk(account: Account, completed: dict[str, Any]) -> None:
    assert not account.base(completed["TrainingJobName"]).exists()


def test_a_job_can_be_tagged_and_its_tags_listed(account: Account, completed: dict[str, Any]) -> None:
    arn = completed["TrainingJobArn"]
    account.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "drop", "Value": "2026-11-16"}])
    account.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team"])
    assert account.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "drop", "Value": "2026-11-16"}]


def test_a_failed_job_carries_the_containers_reason(account: Account) -> None:
    job = account.finished(account.train("fails", {"do": "fail"}))
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: no labels in channel train, exit code: 3"
    assert account.archive("s3://data/jobs/fails/output/output.tar.gz") == {"report.txt": b"not fine"}
    assert "ModelArtifacts" not in job or not job["ModelArtifacts"]


def test_a_job_that_crashes_without_a_reason_shows_the_end_of_its_log(account: Account) -> None:
    job = account.finished(account.train("crashes", {"do": "crash"}))
    reason = "AlgorithmError: ExecuteUserScriptError: ZeroDivisionError: division by zero, exit code: 1"
    assert job["FailureReason"] == reason


def test_a_channel_without_objects_fails_the_job(account: Account) -> None:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/nothing-here/"}}
    job = account.finished(account.train("starves", InputDataConfig=[{"ChannelName": "train", "DataSource": source}]))
    assert 'No S3 objects found under S3 URL "s3://data/nothing-here/"' in job["FailureReason"]


def test_a_command_that_does_not_exist_fails_the_job(account: Account) -> None:
    algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": "File", "ContainerEntrypoint": ["/no/such/program"]}
    job = account.finished(account.train("cannot-run", AlgorithmSpecification=algorithm))
    assert "/no/such/program" in job["FailureReason"]
    assert job["FailureReason"].endswith("exit code: 127")


def test_container_arguments_replace_train(account: Account) -> None:
    algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": "FastFile", "ContainerArguments": ["--quick", "train"]}
    job = account.finished(account.train("argues", AlgorithmSpecification=algorithm))
    assert _seen(account, job)["argv"] == ["--quick", "train"]


def test_a_model_can_be_left_uncompressed(account: Account) -> None:
    output = {"S3OutputPath": "s3://data/jobs/", "CompressionType": "NONE"}
    job = account.finished(account.train("plain", OutputDataConfig=output))
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == "s3://data/jobs/plain/output/model/"
    account.s3.head_object(Bucket="data", Key="jobs/plain/output/model/seen.json")


def test_a_stopped_job_ends_in_its_own_time_and_keeps_its_model(account: Account) -> None:
    account.waiting("stops")
    account.sagemaker.stop_training_job(TrainingJobName="stops")
    job = account.finished("stops")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert _seen(account, job)["parameters"]["do"] == "wait"


def test_a_job_that_ignores_sigterm_is_killed_after_the_grace(account: Account) -> None:
    account.waiting("stubborn", stubborn="1")
    account.sagemaker.stop_training_job(TrainingJobName="stubborn")
    job = account.finished("stubborn")
    assert (job["TrainingJobStatus"], job.get("FailureReason")) == ("Stopped", None)


def test_a_job_is_stopped_at_its_runtime_limit(account: Account) -> None:
    account.train("too-long", {"do": "wait"}, StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = account.finished("too-long")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_checkpoints_are_uploaded_while_the_job_runs_and_restored_for_the_next(account: Account) -> None:
    base = account.waiting("first")
    key = "checkpoints/first/progress"
    wait_for(lambda: account.s3.list_objects_v2(Bucket="data", Prefix=key)["KeyCount"])
    (base / "release").touch()
    account.finished("first")
    reached = int(account.s3.get_object(Bucket="data", Key=key)["Body"].read())
    limits = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120}
    account.train(
        "second",
        {"do": "wait"},
        CheckpointConfig={"S3Uri": "s3://data/checkpoints/first"},
        EnableManagedSpotTraining=True,
        StoppingCondition=limits,
    )
    log = account.gateway.state / "training-jobs" / "second" / "output.log"
    wait_for(lambda: log.exists() and f"resumed from {reached}" in log.read_text())
    (account.base("second") / "release").touch()
    job = account.finished("second")
    assert job["EnableManagedSpotTraining"] and job["BillableTimeInSeconds"] >= 1


def test_a_second_job_waits_for_capacity_and_then_runs(account: Account) -> None:
    base = account.waiting("ahead")
    account.train("behind")
    job = account.job("behind")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("InProgress", "Pending")
    assert "capacity" in job["SecondaryStatusTransitions"][-1]["StatusMessage"]
    (base / "release").touch()
    assert account.finished("behind")["TrainingJobStatus"] == "Completed"


def test_a_job_that_waits_is_stopped_at_once(account: Account) -> None:
    base = account.waiting("holds")
    account.train("never-runs")
    account.sagemaker.stop_training_job(TrainingJobName="never-runs")
    job = account.job("never-runs")
    assert job["TrainingJobStatus"] == "Stopped" and "TrainingStartTime" not in job
    (base / "release").touch()
    account.finished("holds")


def test_a_job_whose_runner_is_killed_fails_and_says_so(account: Account) -> None:
    account.waiting("orphaned")
    processes = json.loads((account.base("orphaned").parent / "processes.json").read_text())
    os.kill(processes["runner"]["pid"], signal.SIGKILL)
    job = account.finished("orphaned")
    assert job["TrainingJobStatus"] == "Failed"
    assert "ended without leaving an exit status" in job["FailureReason"]
    wait_for(lambda: not Path(f"/proc/{processes['container']['pid']}").exists())


def test_jobs_are_listed_by_filter_order_and_page(account: Account, completed: dict[str, Any]) -> None:
    for name in ("listed-a", "listed-b", "listed-c"):
        account.finished(account.train(name))
    pages = account.sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains="listed",
        StatusEquals="Completed",
        SortBy="Name",
        SortOrder="Descending",
        PaginationConfig={"PageSize": 2},
    )
    assert [[job["TrainingJobName"][-1] for job in page["TrainingJobSummaries"]] for page in pages] == [
        ["c", "b"],
        ["a"],
    ]


def _refused(account: Account, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refusal:
        account.sagemaker.create_training_job(**{**training_request("refused", {}), **request})
    error = refusal.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_name_can_be_used_once(account: Account, completed: dict[str, Any]) -> None:
    code, message = _refused(account, TrainingJobName="completes")
    assert code == "ResourceInUse" and message.startswith("Training job names must be unique")


def test_an_unknown_job_is_a_validation_exception(account: Account) -> None:
    with pytest.raises(ClientError, match="Requested resource not found") as refusal:
        account.job("no-such-job")
    assert refusal.value.response["Error"]["Code"] == "ValidationException"


def test_a_finished_job_can_not_be_stopped(account: Account, completed: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="training job is in status Completed"):
        account.sagemaker.stop_training_job(TrainingJobName="completes")


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"TrainingJobName": "no_underscores"}, "Member must satisfy regular expression pattern"),
        ({"RoleArn": "arn:aws:iam::me:role/x"}, "'roleArn'"),
        ({"ResourceConfig": {"InstanceType": "ml.huge", "InstanceCount": 1, "VolumeSizeInGB": 1}}, "enum value set"),
        ({"HyperParameters": {"do": "x" * 3000}}, "less than or equal to 2500"),
        (
            {"AlgorithmSpecification": {"TrainingImage": "other", "TrainingInputMode": "File"}},
            "Cannot find image: other",
        ),
        ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds"),
    ],
)
def test_bad_requests_are_refused_with_the_reason(account: Account, request_: dict[str, Any], told: str) -> None:
    code, message = _refused(account, **request_)
    assert code == "ValidationException" and told in message


def test_more_instances_than_one_are_beyond_the_limit(account: Account) -> None:
    resources = {"InstanceType": "ml.g5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 1}
    assert _refused(account, ResourceConfig=resources)[0] == "ResourceLimitExceeded"


def test_a_metric_that_captures_nothing_is_refused(account: Account) -> None:
    metrics = [{"Name": "loss", "Regex": "loss=.*"}]
    algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": "File", "MetricDefinitions": metrics}
    assert "no group" in _refused(account, AlgorithmSpecification=algorithm)[1]
