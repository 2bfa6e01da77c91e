"""Batch transform, through plain boto3: every object of a prefix answered by the model's container."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.local_aws.conftest import Account, LocalAws, wait_for


@pytest.fixture(scope="module")
def model(account: Account) -> str:
    return account.model("transforms", "weights", RELEASE="7")


@pytest.fixture(scope="module")
def done(account: Account, model: str) -> dict[str, Any]:
    """A job that went well, over three objects."""
    account.put("done/in/", **{"a.jpg": b"one", "deep/b.jpg": bytes(range(256)), "c.jpg": b"three"})
    variables = {"Environment": {"FOR": "this job"}, "MaxConcurrentTransforms": 2}
    return account.transformed(account.transform("done", model, **variables))


def _refused(call: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refusal:
        call(**request)
    error = refusal.value.response["Error"]
    return error["Code"], error["Message"]


def _logged(account: Account, name: str) -> dict[str, str]:
    """Return what a job's log streams hold, by stream."""
    group = "/aws/sagemaker/TransformJobs"
    streams = account.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
    read = account.logs.get_log_events
    return {
        stream["logStreamName"]: "\n".join(
            event["message"]
            for event in read(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)["events"]
        )
        for stream in streams
    }


def test_each_object_of_the_prefix_gets_a_result(account: Account, done: dict[str, Any]) -> None:
    assert done["TransformJobStatus"] == "Completed"
    results = account.objects("done/out/")
    assert sorted(results) == ["a.jpg.out", "c.jpg.out", "deep/b.jpg.out"]
    answer = json.loads(results["deep/b.jpg.out"])
    assert (answer["model"], answer["release"], answer["length"]) == ("weights", "7", 256)
    assert (answer["content_type"], answer["accept"]) == ("application/x-image", "application/json")


def test_a_job_describes_itself(done: dict[str, Any], model: str) -> None:
    assert done["ModelName"] == model
    assert done["CreationTime"] <= done["TransformStartTime"] <= done["TransformEndTime"]
    assert done["TransformJobArn"].endswith(":transform-job/done")


def test_the_container_is_told_that_it_serves_a_job(account: Account, done: dict[str, Any]) -> None:
    variables = json.loads(account.objects("done/out/")["a.jpg.out"])["variables"]
    assert variables["SAGEMAKER_BATCH"] == "true"
    assert variables["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] == "2"


def test_what_the_container_prints_is_in_cloudwatch_logs(account: Account, done: dict[str, Any]) -> None:
    logged = _logged(account, "done")
    assert any("POST /invocations" in text for name, text in logged.items() if not name.endswith("data-log"))
    assert any("MaxConcurrentTransforms=2" in text for name, text in logged.items() if name.endswith("data-log"))


def test_jobs_are_listed(account: Account, done: dict[str, Any]) -> None:
    (job,) = account.sagemaker.list_transform_jobs(NameContains="done")["TransformJobSummaries"]
    assert (job["TransformJobName"], job["TransformJobStatus"]) == ("done", "Completed")


def test_a_manifest_names_the_objects(account: Account, model: str) -> None:
    account.put("named/in/", **{"a.jpg": b"one", "b.jpg": b"two", "c.jpg": b"three"})
    manifest = [{"prefix": "s3://data/named/in/"}, "a.jpg", "c.jpg"]
    account.put("named/", manifest=json.dumps(manifest).encode())
    source = {"S3DataType": "ManifestFile", "S3Uri": "s3://data/named/manifest"}
    account.transform("named", model, TransformInput={"DataSource": {"S3DataSource": source}})
    assert account.transformed("named")["TransformJobStatus"] == "Completed"
    assert sorted(account.objects("named/out/")) == ["a.jpg.out", "c.jpg.out"]


def test_an_object_that_the_container_refuses_fails_the_job_and_the_others_are_answered(
    account: Account, model: str
) -> None:
    account.put("refused/in/", good=b"one", bad=b"error 415", other=b"two")
    job = account.transformed(account.transform("refused", model))
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"] == "ClientError: See job logs for more information"
    assert sorted(account.objects("refused/out/")) == ["good.out", "other.out"]
    logged = "\n".join(_logged(account, "refused").values())
    assert "data/refused/in/bad: ClientError: 415" in logged
    assert "data/refused/in/bad: the container says no" in logged


def test_a_failing_container_is_asked_again_as_often_as_the_job_allows(account: Account, model: str) -> None:
    account.put("again/in/", passes=b"once 503 passes", stays=b"once 500 stays")
    job = account.transformed(account.transform("again", model, ModelClientConfig={"InvocationsMaxRetries": 1}))
    assert job["TransformJobStatus"] == "Completed"
    assert set(account.objects("again/out/").values()) == {b"the second time"}

    account.put("never/in/", fails=b"once 500 fails")
    job = account.transformed(account.transform("never", model, ModelClientConfig={"InvocationsMaxRetries": 0}))
    assert job["FailureReason"] == "AlgorithmError: See job logs for more information"
    assert "Bad HTTP status received from algorithm: 500" in "\n".join(_logged(account, "never").values())


def test_a_container_that_takes_longer_than_the_job_allows_has_failed(account: Account, model: str) -> None:
    account.put("slow/in/", slow=b"sleep 3")
    limits = {"InvocationsTimeoutInSeconds": 1, "InvocationsMaxRetries": 0}
    job = account.transformed(account.transform("slow", model, ModelClientConfig=limits))
    assert job["FailureReason"].startswith("AlgorithmError")


def test_an_object_above_the_payload_is_not_sent(account: Account, model: str) -> None:
    account.put("large/in/", large=bytes((1 << 20) + 1), right=bytes(1 << 20))
    job = account.transformed(account.transform("large", model, MaxPayloadInMB=1))
    assert job["FailureReason"].startswith("ClientError")
    assert sorted(account.objects("large/out/")) == ["right.out"]


def test_results_may_end_with_a_line_break(account: Account, model: str) -> None:
    account.put("lines/in/", a=b"sleep 0")
    account.transform("lines", model, TransformOutput={"S3OutputPath": "s3://data/lines/out/", "AssembleWith": "Line"})
    account.transformed("lines")
    assert account.objects("lines/out/") == {"a.out": b"slept\n"}


def test_several_instances_share_the_objects_and_the_container_says_how_many_at_a_time(account: Account) -> None:
    model = account.model("two-at-a-time", "weights", CONCURRENCY="2")
    account.put("shared/in/", **{f"{number}": b"sleep 0.2" for number in range(2)}, a=b"1", b=b"2", c=b"3", d=b"4")
    account.transform("shared", model, TransformResources={"InstanceType": "ml.g5.xlarge", "InstanceCount": 2})
    assert account.transformed("shared")["TransformJobStatus"] == "Completed"
    answers = [body for body in account.objects("shared/out/").values() if body != b"slept"]
    assert len(answers) == 4
    logged = _logged(account, "shared")
    assert "MaxConcurrentTransforms=2" in "\n".join(logged.values())
    assert sum("POST /invocations" in text for text in logged.values()) == 2


def test_a_container_that_does_not_come_up_fails_the_job(account: Account) -> None:
    account.put("broken/in/", a=b"one")
    job = account.transformed(account.transform("broken", account.model("transforms-nothing", DO="exit")))
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: The container did not pass the ping health check.")
    assert "no weights to serve" in job["FailureReason"]


def test_a_container_that_dies_fails_the_job(account: Account, model: str) -> None:
    account.put("deadly/in/", a=b"die")
    job = account.transformed(account.transform("deadly", model))
    assert job["FailureReason"].startswith("AlgorithmError: The container ended while the job ran.")


def test_a_prefix_without_objects_fails_the_job(account: Account, model: str) -> None:
    job = account.transformed(account.transform("empty", model))
    assert job["FailureReason"].startswith("ClientError: No S3 objects found")


def test_a_stopped_job_keeps_what_it_has(account: Account, model: str) -> None:
    account.put("stopped/in/", **{"1": b"one", "2": b"sleep 30"})
    account.transform("stopped", model)
    account.transform("waits", model)
    wait_for(lambda: account.objects("stopped/out/"))
    for name in ("waits", "stopped"):
        account.sagemaker.stop_transform_job(TransformJobName=name)
    assert account.transformed("stopped")["TransformJobStatus"] == "Stopped"
    assert account.transformed("waits")["TransformJobStatus"] == "Stopped"
    assert sorted(account.objects("stopped/out/")) == ["1.out"]
    code, message = _refused(account.sagemaker.stop_transform_job, TransformJobName="stopped")
    assert code == "ValidationException" and "is in status Stopped" in message


def test_requests_that_can_not_be_honoured_are_refused(account: Account, model: str, done: dict[str, Any]) -> None:
    def refusal(**request: Any) -> str:
        return _refused(account.transform, name="refused-request", model=model, **request)[1]

    place = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/done/in/"}}
    assert "SplitType Line" in refusal(TransformInput={"DataSource": place, "SplitType": "Line"})
    assert "CompressionType Gzip" in refusal(TransformInput={"DataSource": place, "CompressionType": "Gzip"})
    assert "DataProcessing" in refusal(DataProcessing={"JoinSource": "Input"})
    assert "must not exceed 100" in refusal(MaxPayloadInMB=20, MaxConcurrentTransforms=6)
    assert "Could not find model" in _refused(account.transform, name="x", model="nowhere")[1]
    assert _refused(account.transform, name="done", model=model)[0] == "ResourceInUse"
    assert "Could not find" in _refused(account.sagemaker.describe_transform_job, TransformJobName="nowhere")[1]


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_job_goes_on_where_it_was_after_a_restart(
    own_gateway: LocalAws, own_account: Account, tmp_path: Path, how: str
) -> None:
    account, release = own_account, tmp_path / "release"
    account.put("goes-on/in/", **{"1": b"one", "2": f"until {release}".encode(), "3": b"three"})
    account.transform("goes-on", account.model("serves"))
    first = wait_for(lambda: account.objects("goes-on/out/"))["1.out"]
    getattr(own_gateway, how)()
    own_gateway.start()
    release.touch()
    assert account.transformed("goes-on")["TransformJobStatus"] == "Completed"
    results = account.objects("goes-on/out/")
    assert sorted(results) == ["1.out", "2.out", "3.out"]
    assert results["1.out"] == first, "what was done is not done again"
    assert json.loads(results["3.out"])["pid"] != json.loads(first)["pid"]
