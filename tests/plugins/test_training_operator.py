"""One paid job per request. Tests that take ``operator`` also run with the provider's, which must fail them."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.amazon.aws.hooks import sagemaker as hooks
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator
from airflow.providers.amazon.aws.triggers.sagemaker import SageMakerTrigger
from airflow.sdk.exceptions import TaskDeferred
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from tests.local_aws.conftest import IMAGE, Account, training_request, wait_for
from tests.plugins.operators import Run, one_task, ours_and, result, unique

from lookbook import storage
from lookbook.settings import get_settings
from lookbook.training import cost
from lookbook_airflow.console_links import TrainingJobLink, TrainingLogLink
from lookbook_airflow.operators import jobs as ours
from lookbook_airflow.operators.training import TrainingJobOperator
from lookbook_airflow.training_jobs import TrainingJobWatch
from lookbook_airflow.triggers import TrainingJobTrigger

Job = dict[str, Any]


def jobs(account: Account, prefix: str) -> list[str]:
    summaries = account.sagemaker.list_training_jobs(NameContains=prefix)["TrainingJobSummaries"]
    return sorted(summary["TrainingJobName"] for summary in summaries)


def train(run_dag: Run, request: Job, operator: Any = TrainingJobOperator, **arguments: Any) -> Any:
    if operator is SageMakerTrainingOperator:  # ours has the interval from its settings
        arguments = {"check_interval": 1, "print_log": False, **arguments}
    else:
        arguments.pop("print_log", None)
    return run_dag(one_task(operator, config=request, **arguments))


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_training_task_returns_a_reference_and_leaves_lineage(
    account: Account, run_dag: Run, deferrable: bool
) -> None:
    name = unique("job")
    dag_run = train(run_dag, training_request(name, {"do": "succeed"}), deferrable=deferrable)
    assert dag_run.state == "success"
    reference = result(dag_run)
    assert reference["job_name"] == name
    assert reference["model_data"] == f"s3://data/jobs/{name}/output/model.tar.gz"
    (ti,) = dag_run.get_task_instances()
    lineage = ti.xcom_pull(task_ids="task", key="lineage")
    artefact = storage.find(reference["model_data"])
    assert artefact and [(made["kind"], made["name"], made["version"]) for made in lineage["outputs"]] == [
        ("training_job", name, reference["job_arn"]),
        ("model_artifact", artefact.uri, artefact.etag),
    ]
    assert {(read["kind"], read["name"]) for read in lineage["inputs"]} == {
        ("prefix", "s3://data/train/"),
        ("image", IMAGE),
    }
    assert lineage["cost_usd"] == cost.usd_of("ml.g5.xlarge", lineage["counts"]["billable_seconds"])


@ours_and(TrainingJobOperator, SageMakerTrainingOperator, "appends a timestamp and starts a second paid job on a retry")
def test_a_training_task_that_runs_again_attaches_to_its_job(account: Account, run_dag: Run, operator: Any) -> None:
    name = unique("job")
    first, second = (train(run_dag, training_request(name, {"do": "succeed"}), operator) for _ in range(2))
    assert (first.state, second.state) == ("success", "success")
    assert jobs(account, name) == [name]


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_training_task_waits_for_a_job_that_already_runs(account: Account, run_dag: Run, deferrable: bool) -> None:
    name = unique("job")
    (account.waiting(name) / "release").touch()
    assert train(run_dag, training_request(name, {"do": "wait"}), deferrable=deferrable).state == "success"
    assert jobs(account, name) == [name]


def test_after_a_job_that_failed_the_next_one_gets_the_next_name(account: Account, run_dag: Run) -> None:
    name = unique("job")
    account.train(name, {"do": "fail"})
    account.finished(name)
    dag_run = train(run_dag, training_request(name, {"do": "succeed"}))
    assert result(dag_run)["job_name"] == f"{name}-2"


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_job_that_fails_by_its_own_fault_is_not_paid_for_again(
    account: Account, run_dag: Run, deferrable: bool, caplog: pytest.LogCaptureFixture
) -> None:
    name = unique("job")
    dag_run = train(run_dag, training_request(name, {"do": "fail"}), deferrable=deferrable)
    assert dag_run.state == "failed"
    assert jobs(account, name) == [name]
    assert "no labels in channel train" in caplog.text


@ours_and(
    TrainingJobOperator, SageMakerTrainingOperator, "gives up after 60 polls of 30 s, however long the job may take"
)
def test_the_wait_is_as_long_as_the_job_may_take(account: Account, operator: Any) -> None:
    allowed = {"MaxRuntimeInSeconds": 36_000, "MaxWaitTimeInSeconds": 39_600}
    request = training_request(unique("job"), {"do": "wait"}) | {
        "StoppingCondition": allowed,
        "EnableManagedSpotTraining": True,
    }
    stock = {"print_log": False} if operator is SageMakerTrainingOperator else {}
    task = operator(task_id="task", config=request, deferrable=True, **stock)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute({})
    account.sagemaker.stop_training_job(TrainingJobName=request["TrainingJobName"])
    assert patience(deferred.value) >= timedelta(seconds=allowed["MaxWaitTimeInSeconds"])


def patience(deferred: TaskDeferred) -> timedelta:
    """Return how long a deferred task waits at most."""
    limits = [deferred.timeout] if deferred.timeout else []
    if isinstance(deferred.trigger, SageMakerTrigger):
        limits.append(timedelta(seconds=deferred.trigger.attempts * deferred.trigger.waiter_delay))
    return min(limits)


@ours_and(
    lambda name: TrainingJobTrigger(name, 1, {}),
    lambda name: SageMakerTrigger(job_name=name, job_type="Training"),
    "has no on_kill: the job runs on and costs money",
)
def test_killing_a_waiting_task_stops_the_job(account: Account, operator: Callable[[str], Any]) -> None:
    name = unique("job")
    release = account.waiting(name) / "release"
    asyncio.run(operator(name).on_kill())
    status = account.job(name)["TrainingJobStatus"]
    release.touch()
    assert status in ("Stopping", "Stopped")


@ours_and(TrainingJobOperator, SageMakerTrainingOperator, "has no on_kill either when it waits in the worker")
def test_killing_a_task_that_waits_in_the_worker_stops_the_job(account: Account, operator: Any) -> None:
    name = unique("job")
    release = account.waiting(name) / "release"
    operator(task_id="task", config=training_request(name, {}), deferrable=False).on_kill()
    status = account.job(name)["TrainingJobStatus"]
    release.touch()
    assert status in ("Stopping", "Stopped")


@ours_and(
    TrainingJobOperator, SageMakerTrainingOperator, "calls a job that was stopped a success, with print_log=False"
)
def test_a_job_that_was_stopped_is_a_failure(account: Account, run_dag: Run, operator: Any) -> None:
    name = unique("job")
    stopper = threading.Thread(target=stop_when_it_runs, args=(account, name))
    stopper.start()
    dag_run = train(run_dag, training_request(name, {"do": "wait"}), operator, deferrable=False)
    stopper.join()
    assert dag_run.state == "failed"


def stop_when_it_runs(account: Account, name: str) -> None:
    wait_for(lambda: name in jobs(account, name))
    wait_for(lambda: account.job(name)["SecondaryStatus"] == "Training")
    account.sagemaker.stop_training_job(TrainingJobName=name)


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let waiting take no time by the operators' clocks; return how long each wait would have been."""
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        time.sleep(0.02)

    clock = SimpleNamespace(sleep=nap, monotonic=lambda: sum(naps))
    for module in (hooks, ours):
        monkeypatch.setattr(module, "time", clock)
    return naps


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the calls of DescribeTrainingJob that this process makes."""
    looks: list[str] = []
    call = BaseClient._make_api_call

    def counted(client: Any, operation: str, arguments: Any) -> Any:
        looks.extend([operation] if operation == "DescribeTrainingJob" else [])
        return call(client, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    return looks


@ours_and(
    TrainingJobOperator,
    SageMakerTrainingOperator,
    "looks at the job every 30 s whatever check_interval says, with print_log=True",
)
def test_a_waiting_worker_looks_at_the_pace_that_was_asked_for(
    account: Account, run_dag: Run, naps: list[float], looks: list[str], operator: Any
) -> None:
    name = unique("job")
    releasing = threading.Thread(target=release_after, args=(account.base(name), naps, 5))
    releasing.start()
    request = training_request(name, {"do": "wait"})
    assert train(run_dag, request, operator, deferrable=False, print_log=True).state == "success"
    releasing.join()
    assert set(naps) == {1}
    assert len(looks) >= len(naps) >= 5


def release_after(job: Path, naps: list[float], number: int) -> None:
    """Let a waiting job go on after as many naps."""
    wait_for((job / "checkpoints/progress").exists)
    wait_for(lambda: len(naps) >= number)
    (job / "release").touch()


@ours_and(TrainingJobOperator, SageMakerTrainingOperator, "reads lineage from what only its wait sets")
def test_openlineage_knows_what_a_job_read_that_had_ended_already(
    account: Account, run_dag: Run, monkeypatch: pytest.MonkeyPatch, operator: Any
) -> None:
    name = unique("job")
    account.train(name, {"do": "succeed"})
    ended = account.finished(name)
    monkeypatch.setattr(hooks.SageMakerHook, "describe_training_job", lambda self, name: ended)
    created = {"ResponseMetadata": {"HTTPStatusCode": 200}}
    monkeypatch.setattr(hooks.SageMakerHook, "create_training_job", lambda self, *args, **kwargs: created)
    stock = {"check_if_job_exists": False, "print_log": False} if operator is SageMakerTrainingOperator else {}
    task = operator(task_id="task", config=training_request(name, {}), deferrable=True, **stock)
    monkeypatch.setattr(ours, "traced", lambda context: nullcontext())
    task.execute({})
    assert [dataset.name for dataset in task.get_openlineage_facets_on_complete(None).inputs] == ["train/"]


@ours_and(TrainingJobOperator, SageMakerTrainingOperator, "returns dates as texts of Python")
def test_the_result_is_json_of_plain_values(account: Account, run_dag: Run, operator: Any) -> None:
    dag_run = train(run_dag, training_request(unique("job"), {"do": "succeed"}), operator)
    assert "datetime" not in json.dumps(result(dag_run), default=repr)


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_jobs_log_shows_in_the_tasks_once(
    account: Account, run_dag: Run, deferrable: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    train(run_dag, training_request(unique("job"), {"do": "succeed"}), deferrable=deferrable)
    assert capfd.readouterr().out.count("epoch=1 train_loss=0.5 pictures=ü") == 1


class Log(list[str]):
    """A log that keeps what it is told."""

    def info(self, text: str, *values: Any) -> None:
        self.append(text % values)

    warning = info


def test_lines_show_while_the_job_runs(account: Account) -> None:
    name, log = unique("job"), Log()
    release = account.waiting(name) / "release"
    watch = TrainingJobWatch(name, account.sagemaker, account.logs, log)
    assert wait_for(lambda: watch.look() and any("started with" in line for line in log))
    release.touch()
    wait_for(lambda: not watch.look())
    assert sum("started with" in line for line in log) == 1
    assert any("Completed" in line for line in log)


def test_a_job_whose_log_may_not_be_read_is_waited_for_all_the_same(account: Account) -> None:
    name, log = unique("job"), Log()
    (account.waiting(name) / "release").touch()
    denied = account.gateway.client("logs")
    denied.meta.events.register("before-call", refuse)
    watch = TrainingJobWatch(name, account.sagemaker, denied, log)
    wait_for(lambda: not watch.look())
    assert sum("cannot be shown here" in line for line in log) == 1


def refuse(**_: Any) -> None:
    raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeLogStreams")


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (TrainingJobLink, "https://console.aws.amazon.com/sagemaker/home?region=eu-west-1#/jobs/job-1"),
        (
            TrainingLogLink,
            "https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/"
            "$252Faws$252Fsagemaker$252FTrainingJobs$3FlogStreamNameFilter$3Djob-1",
        ),
    ],
)
def test_on_aws_buttons_lead_to_the_job_and_its_log(
    monkeypatch: pytest.MonkeyPatch, link: type[TrainingJobLink], expected: str
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("LOOKBOOK_AWS_ENDPOINT_URL", raising=False)
    get_settings.cache_clear()
    hook = SimpleNamespace(conn_region_name="eu-west-1", conn_partition="aws")
    operator = SimpleNamespace(config={"TrainingJobName": "job-1"}, hook=hook)
    assert link().get_link(operator, ti_key=None) == expected


def test_on_one_machine_there_is_no_console_to_lead_to(account: Account) -> None:
    operator = TrainingJobOperator(task_id="task", config=training_request("job-1", {}))
    assert TrainingJobLink().get_link(operator, ti_key=None) == ""
