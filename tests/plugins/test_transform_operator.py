"""One paid transform job per request, whose results count even if some pictures have none."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTransformOperator
from tests.local_aws.conftest import Account, wait_for
from tests.plugins.operators import Run, one_task, ours_and, result, unique

from lookbook import storage
from lookbook_airflow.operators.transform import TransformJobOperator
from lookbook_airflow.triggers import TransformJobTrigger

Job = dict[str, Any]


@pytest.fixture(scope="module")
def model(gateway: Any) -> str:
    return Account(gateway).bare_model(unique("model"), "v1")


def request(account: Account, model: str, *pictures: bytes) -> Job:
    """Put pictures and their manifest into S3; return a request about them."""
    name = unique("transform")
    names = [f"{number}.jpg" for number in range(len(pictures))]
    account.put(f"{name}/in/", **dict(zip(names, pictures, strict=True)))
    manifest = [{"prefix": f"s3://data/{name}/in/"}, *names]
    account.s3.put_object(Bucket="data", Key=f"{name}/manifest.json", Body=json.dumps(manifest).encode())
    source = {"S3DataType": "ManifestFile", "S3Uri": f"s3://data/{name}/manifest.json"}
    return {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {"DataSource": {"S3DataSource": source}, "ContentType": "application/x-image"},
        "TransformOutput": {"S3OutputPath": f"s3://data/{name}/out/"},
        "TransformResources": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
        "ModelClientConfig": {"InvocationsMaxRetries": 0},
    }


def run(run_dag: Run, job: Job, operator: Any = TransformJobOperator, **arguments: Any) -> Any:
    stock = {"check_interval": 1} if operator is SageMakerTransformOperator else {}
    return run_dag(one_task(operator, config=job, **stock, **arguments))


def jobs(account: Account, name: str) -> list[str]:
    found = account.sagemaker.list_transform_jobs(NameContains=name)["TransformJobSummaries"]
    return sorted(job["TransformJobName"] for job in found)


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_transform_task_returns_a_reference_shows_its_progress_and_leaves_lineage(
    account: Account,
    model: str,
    run_dag: Run,
    deferrable: bool,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    job = request(account, model, b"shirt", b"skirt")
    dag_run = run(run_dag, job, deferrable=deferrable)
    name = job["TransformJobName"]
    reference = result(dag_run)
    assert (reference["job_name"], reference["model_name"]) == (name, model)
    assert reference["manifest_uri"] == f"s3://data/{name}/manifest.json"
    assert reference["output_uri"] == f"s3://data/{name}/out/"
    (ti,) = dag_run.get_task_instances()
    lineage = ti.xcom_pull(task_ids="task", key="lineage")
    made = {(dataset["kind"], dataset["name"], dataset["version"]) for dataset in lineage["outputs"]}
    assert ("transform_job", name, reference["job_arn"]) in made
    manifest = storage.find(reference["manifest_uri"])
    read = {(dataset["kind"], dataset["name"], dataset["version"]) for dataset in lineage["inputs"]}
    assert manifest and ("object", manifest.uri, manifest.etag) in read
    assert lineage["cost_usd"] > 0
    assert lineage["counts"] == {"results": 2}
    assert f"Pictures of transform job {name}: 2 of 2" in capsys.readouterr().out + caplog.text


@ours_and(TransformJobOperator, SageMakerTransformOperator, "appends a timestamp and starts a second paid job")
def test_a_transform_task_that_runs_again_attaches_to_its_job(
    account: Account, model: str, run_dag: Run, operator: Any
) -> None:
    job = request(account, model, b"shirt")
    for _ in range(2):
        assert run(run_dag, dict(job), operator).state == "success"
    assert jobs(account, job["TransformJobName"]) == [job["TransformJobName"]]


def test_a_job_that_failed_for_one_picture_is_a_success_with_the_others_results(
    account: Account, model: str, run_dag: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    job = request(account, model, b"shirt", b"error 415", b"skirt")
    for _ in range(2):
        assert run(run_dag, dict(job)).state == "success"
    assert "ended Failed: ClientError" in capsys.readouterr().out
    assert jobs(account, job["TransformJobName"]) == [job["TransformJobName"]]


def test_a_job_that_left_nothing_fails_and_is_followed_by_one_of_the_next_name(
    account: Account, model: str, run_dag: Run, caplog: pytest.LogCaptureFixture
) -> None:
    job = request(account, model, b"error 415")
    name = job["TransformJobName"]
    assert run(run_dag, dict(job)).state == "failed"
    assert jobs(account, name) == [name]  # a permanent error is not tried again
    assert f"{name} ended Failed: ClientError" in caplog.text
    account.put(f"{name}/in/", **{"0.jpg": b"mended"})
    assert result(run(run_dag, dict(job)))["job_name"] == f"{name}-2"


@pytest.mark.parametrize("by", ["trigger", "operator"])
def test_killing_the_task_stops_the_job(account: Account, model: str, by: str) -> None:
    job = request(account, model, b"sleep 30")
    account.sagemaker.create_transform_job(**job)
    if by == "trigger":
        trigger = TransformJobTrigger(job["TransformJobName"], 1, {"aws_conn_id": "aws_default"})
        asyncio.run(trigger.on_kill())
    else:
        TransformJobOperator(task_id="task", config=job).on_kill()
    described = account.sagemaker.describe_transform_job
    assert wait_for(
        lambda: described(TransformJobName=job["TransformJobName"])["TransformJobStatus"] in ("Stopping", "Stopped")
    )
