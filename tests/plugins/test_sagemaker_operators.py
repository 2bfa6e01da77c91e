"""What the stock operators get wrong and ours must not: run in real DAGs against local AWS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from airflow.sdk import DAG
from tests.local_aws.conftest import IMAGE, ROLE, Account, tar, training_request, wait_for

from lookbook_airflow.defaults import DEFAULT_ARGS
from lookbook_airflow.operators.sagemaker import (
    EndpointConfigOperator,
    EndpointOperator,
    ModelOperator,
    RegisterModelVersionOperator,
    TrainingJobOperator,
)

Run = Callable[..., Any]


def unique(name: str) -> str:
    return f"{name}-{uuid4().hex[:8]}"


def one_task(operator: type, **arguments: Any) -> DAG:
    """Return a DAG of one task of ``operator``, with the arguments that all our tasks have."""
    with DAG(unique("operators"), schedule=None, catchup=False, default_args=DEFAULT_ARGS) as dag:
        operator(task_id="task", **arguments)
    return dag


def result(dag_run: Any) -> Any:
    (ti,) = dag_run.get_task_instances()
    return ti.xcom_pull(task_ids="task")


def jobs(account: Account, prefix: str) -> list[str]:
    summaries = account.sagemaker.list_training_jobs(NameContains=prefix)["TrainingJobSummaries"]
    return sorted(summary["TrainingJobName"] for summary in summaries)


def train(run_dag: Run, request: dict[str, Any]) -> Any:
    return run_dag(one_task(TrainingJobOperator, config=request))


def test_a_training_task_returns_a_reference_and_leaves_lineage(account: Account, run_dag: Run) -> None:
    name = unique("job")
    dag_run = train(run_dag, training_request(name, {"do": "succeed"}))
    assert dag_run.state == "success"
    reference = result(dag_run)
    assert reference["job_name"] == name
    assert reference["model_data"] == f"s3://data/jobs/{name}/output/model.tar.gz"
    (ti,) = dag_run.get_task_instances()
    outputs = ti.xcom_pull(task_ids="task", key="lineage")["outputs"]
    assert {"kind": "training_job", "name": name, "version": reference["job_arn"]} in outputs


def test_a_training_task_that_runs_again_attaches_to_its_job(account: Account, run_dag: Run) -> None:
    name = unique("job")
    first, second = (train(run_dag, training_request(name, {"do": "succeed"})) for _ in range(2))
    assert (first.state, second.state) == ("success", "success")
    assert result(first)["job_arn"] == result(second)["job_arn"]
    assert jobs(account, name) == [name]


def test_a_training_task_waits_for_a_job_that_already_runs(account: Account, run_dag: Run) -> None:
    name = unique("job")
    base = account.waiting(name)
    (base / "release").touch()
    assert train(run_dag, training_request(name, {"do": "wait"})).state == "success"
    assert jobs(account, name) == [name]


def test_after_a_job_that_failed_the_next_one_gets_the_next_name(account: Account, run_dag: Run) -> None:
    name = unique("job")
    account.train(name, {"do": "fail"})
    account.finished(name)
    dag_run = train(run_dag, training_request(name, {"do": "succeed"}))
    assert result(dag_run)["job_name"] == f"{name}-2"


def test_a_job_that_fails_by_its_own_fault_is_not_paid_for_again(
    account: Account, run_dag: Run, caplog: pytest.LogCaptureFixture
) -> None:
    name = unique("job")
    dag_run = train(run_dag, training_request(name, {"do": "fail"}))
    assert dag_run.state == "failed"
    assert jobs(account, name) == [name]
    assert "no labels in channel train" in caplog.text


def deploy(run_dag: Run, endpoint: str, config: str) -> Any:
    return run_dag(one_task(EndpointOperator, config={"EndpointName": endpoint, "EndpointConfigName": config}))


def test_an_endpoint_is_created_then_updated_then_left_alone(account: Account, run_dag: Run) -> None:
    endpoint, one, two = unique("endpoint"), account.model(unique("m")), account.model(unique("m"), weights="v2")
    assert deploy(run_dag, endpoint, one).state == "success"
    assert account.ask(endpoint)["model"] == "v1"
    assert deploy(run_dag, endpoint, two).state == "success"
    answer = account.ask(endpoint)
    assert answer["model"] == "v2"
    assert deploy(run_dag, endpoint, two).state == "success"
    assert account.ask(endpoint)["pid"] == answer["pid"]


@pytest.mark.parametrize("fault", ["no-ping", "exit"])
def test_an_update_that_was_rolled_back_fails_the_task(
    account: Account, run_dag: Run, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint, good, bad = unique("endpoint"), account.model(unique("m")), account.model(unique("m"), DO=fault)
    assert deploy(run_dag, endpoint, good).state == "success"
    assert deploy(run_dag, endpoint, bad).state == "failed"
    assert "the update was rolled back" in caplog.text
    assert account.ask(endpoint)["model"] == "v1"


def test_a_deployment_waits_for_an_update_that_is_under_way(account: Account, run_dag: Run) -> None:
    endpoint, one, two = unique("endpoint"), account.model(unique("m")), account.model(unique("m"), weights="v2")
    account.endpoint(endpoint, one)
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=two)
    dag_run = deploy(run_dag, endpoint, two)
    assert dag_run.state == "success"
    assert account.ask(endpoint)["model"] == "v2"


def test_a_model_and_its_config_are_made_once(account: Account, run_dag: Run) -> None:
    name = unique("model")
    account.s3.put_object(Bucket="data", Key=f"{name}.tar.gz", Body=tar({"weights.txt": b"v1"}))
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://data/{name}.tar.gz"}
    model = {"ModelName": name, "PrimaryContainer": container, "ExecutionRoleArn": ROLE}
    variant = {"VariantName": "all", "ModelName": name, "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1}
    config = {"EndpointConfigName": name, "ProductionVariants": [variant]}
    for _ in range(2):
        assert run_dag(one_task(ModelOperator, config=model)).state == "success"
        assert run_dag(one_task(EndpointConfigOperator, config=config)).state == "success"
    assert len(account.sagemaker.list_models(NameContains=name)["Models"]) == 1


def test_an_artefact_is_registered_once(account: Account, run_dag: Run) -> None:
    group, url = unique("group"), "s3://data/model.tar.gz"
    arguments = {
        "image_uri": IMAGE,
        "model_url": url,
        "package_group_name": group,
        "extras": {"ClientToken": unique("token")},
    }
    arns = {result(run_dag(one_task(RegisterModelVersionOperator, **arguments))) for _ in range(2)}
    packages = account.sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    assert arns == {package["ModelPackageArn"] for package in packages}
    assert len(packages) == 1


def test_killing_a_waiting_task_stops_the_job(account: Account) -> None:
    import asyncio

    from lookbook_airflow.triggers import TrainingJobTrigger

    name = unique("job")
    account.waiting(name)
    asyncio.run(TrainingJobTrigger(job_name=name, job_type="Training").on_kill())
    assert wait_for(lambda: account.job(name)["TrainingJobStatus"] == "Stopped")
