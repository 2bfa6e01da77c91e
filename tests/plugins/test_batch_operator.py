"""One paid Bedrock batch job per request, whatever becomes of the task; the provider's operator must fail some."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.amazon.aws.operators.bedrock import BedrockBatchInferenceOperator
from tests.local_aws.conftest import Account, LocalAws, wait_for
from tests.plugins.operators import Run, one_task, ours_and, result, unique

from lookbook import storage
from lookbook.descriptions import batch_files, batch_jobs
from lookbook.descriptions.batch_records import line_of
from lookbook.descriptions.conversation import message
from lookbook.errors import PermanentError
from lookbook.settings import get_settings
from lookbook_airflow.operators import jobs as ours
from lookbook_airflow.operators.batch import BatchJobOperator
from lookbook_airflow.triggers import BatchJobTrigger

Job = dict[str, Any]

MODEL = "anthropic.claude-3-5-haiku-20241022-v1:0"
RECORDS = 100  # AWS takes no smaller job


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """Local AWS that takes its time over the records of a job."""
    gateway = LocalAws(tmp_path_factory.mktemp("local-aws") / "state", LOCAL_AWS_BATCH_RATE="100").start()
    gateway.client("s3").create_bucket(Bucket="lookbook")
    yield gateway
    gateway.stop()


def request(tmp_path: Path, records: int = RECORDS) -> Job:
    """Upload the input of a job that no other test asks for; return its request."""
    facts = message("user", f"<facts>\n- Name: {unique('shirt')}\n- Fabric: Cotton\n</facts>\nDescribe it.")
    asked = {"system": [{"text": "You write."}], "messages": [facts], "inferenceConfig": {"maxTokens": 100}}
    lines = ((f"record{number}", line_of(f"record{number}", asked)) for number in range(records))
    (job,) = [batch_jobs.submission(job, MODEL, "2026-11-16") for job in batch_files.write_jobs(lines, tmp_path)]
    return job


def run(run_dag: Run, job: Job, operator: Any = BatchJobOperator, **arguments: Any) -> Any:
    if operator is BedrockBatchInferenceOperator:
        arguments |= {
            "job_name": job["jobName"],
            "role_arn": job["roleArn"],
            "model_id": job["modelId"],
            "input_uri": batch_jobs.input_of(job),
            "output_uri": batch_jobs.output_of(job),
            "waiter_delay": 1,
        }
    else:
        arguments["config"] = job
    return run_dag(one_task(operator, **arguments))


def jobs(account: Account, job: Job) -> list[tuple[str, str]]:
    """Return name and state of the jobs of a request, in their order."""
    found = account.gateway.client("bedrock").list_model_invocation_jobs(nameContains=job["jobName"])
    return sorted((one["jobName"], one["status"]) for one in found["invocationJobSummaries"])


def answered(job: Job) -> list[str]:
    """Return the ids of the records that the jobs of a request answered."""
    return sorted(record["recordId"] for record in batch_files.read_answers(batch_jobs.output_of(job)))


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_batch_task_returns_a_reference_shows_its_progress_and_leaves_lineage(
    account: Account,
    run_dag: Run,
    tmp_path: Path,
    deferrable: bool,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    job = request(tmp_path)
    dag_run = run(run_dag, job, deferrable=deferrable)
    reference = result(dag_run)
    assert (reference["job_name"], reference["asked_name"]) == (job["jobName"], job["jobName"])
    assert (reference["status"], reference["output_uri"]) == ("Completed", batch_jobs.output_of(job))
    assert len(answered(job)) == RECORDS
    (ti,) = dag_run.get_task_instances()
    lineage = ti.xcom_pull(task_ids="task", key="lineage")
    made = {(dataset["kind"], dataset["name"], dataset["version"]) for dataset in lineage["outputs"]}
    assert ("batch_job", job["jobName"], reference["job_arn"]) in made
    assert f"Records of batch job {job['jobName']}: {RECORDS} of {RECORDS}" in capsys.readouterr().out + caplog.text


@ours_and(BatchJobOperator, BedrockBatchInferenceOperator, "sends no client token and starts a second paid job")
def test_a_batch_task_that_runs_again_attaches_to_its_job(
    account: Account, run_dag: Run, tmp_path: Path, operator: Any
) -> None:
    job = request(tmp_path)
    for _ in range(2):
        assert run(run_dag, dict(job), operator, deferrable=False).state == "success"
    assert jobs(account, job) == [(job["jobName"], "Completed")]


def test_a_job_that_failed_says_why_and_is_followed_by_another_when_the_task_is_cleared(
    account: Account, run_dag: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = request(tmp_path)
    too_many = f"{batch_jobs.input_of(job)}more.jsonl"
    storage.write_bytes(too_many, b"".join(b'{"recordId": "more%d"}\n' % number for number in range(50_000)))
    assert run(run_dag, dict(job)).state == "failed"
    assert jobs(account, job) == [(job["jobName"], "Failed")]  # a permanent error is not tried again
    assert f"Batch job {job['jobName']} ended Failed" in caplog.text and "clear this task" in caplog.text
    storage.delete(too_many)
    assert result(run(run_dag, dict(job)))["job_name"] == f"{job['jobName']}-2"
    assert len(answered(job)) == RECORDS


def begun(account: Account, job: Job) -> str:
    """Start a job and return its ARN once some of it is answered."""
    bedrock = account.gateway.client("bedrock")
    arn: str = bedrock.create_model_invocation_job(**job)["jobArn"]
    wait_for(lambda: bedrock.get_model_invocation_job(jobIdentifier=arn).get("processedRecordCount"))
    return arn


@pytest.mark.parametrize("by", ["trigger", "operator"])
def test_killing_the_task_stops_the_job_and_a_cleared_one_asks_only_the_rest(
    account: Account, run_dag: Run, tmp_path: Path, by: str
) -> None:
    job = request(tmp_path, records=400)
    arn = begun(account, job)
    if by == "trigger":
        asyncio.run(BatchJobTrigger(arn, 1, {"aws_conn_id": "aws_default"}).on_kill())
    else:
        BatchJobOperator(task_id="task", config=dict(job)).on_kill()
    wait_for(lambda: jobs(account, job) == [(job["jobName"], "Stopped")])
    before = answered(job)
    assert 0 < len(before) < 300
    assert result(run(run_dag, dict(job)))["job_name"] == f"{job['jobName']}-2"
    assert len(answered(job)) == len(set(answered(job))) == 400


def test_a_job_that_somebody_stopped_is_a_failure(account: Account, tmp_path: Path) -> None:
    job = request(tmp_path, records=400)
    arn = begun(account, job)
    account.gateway.client("bedrock").stop_model_invocation_job(jobIdentifier=arn)
    task = BatchJobOperator(task_id="task", config=dict(job), deferrable=False)
    wait_for(lambda: jobs(account, job) == [(job["jobName"], "Stopped")])
    with pytest.raises(PermanentError, match=r"ended Stopped: .* clear this task"):
        task.execute_complete({}, {"job_name": arn})


def test_a_job_that_is_late_is_stopped_and_what_it_answered_counts(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = request(tmp_path, records=400)
    begun(account, job)
    monkeypatch.setenv("LOOKBOOK_BATCH_DEADLINE_HOURS", "0.0001")
    get_settings.cache_clear()
    monkeypatch.setattr(ours, "traced", lambda context: nullcontext())
    reference = BatchJobOperator(task_id="task", config=dict(job), deferrable=False).execute({})
    assert (reference["job_name"], reference["status"]) == (job["jobName"], "Stopped")
    assert 0 < len(answered(job)) < 400
    assert jobs(account, job) == [(job["jobName"], "Stopped")]  # no job follows: there is no time for it
