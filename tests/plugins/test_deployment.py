"""The deployment's tasks in real DAGs against local AWS, in which the models of tests/serving really answer."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from tests.serving import conftest as serving

from lookbook.aws import client
from lookbook.settings import get_settings
from lookbook.training import registry
from lookbook_airflow.defaults import DEFAULT_ARGS
from lookbook_airflow.deployment import deployed

Run = Callable[..., Any]
ROLLBACK = Path(__file__).resolve().parents[2] / "dags" / "rollback_attribute_model.py"

gateway, aws_account = serving.gateway, serving.account


@pytest.fixture
def account(aws_account: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An account with models to deploy, which hooks reach by the environment."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    monkeypatch.setenv("LOOKBOOK_POLL_INTERVAL_S", "1")
    get_settings.cache_clear()
    return aws_account


def deploy(run_dag: Run, package: str) -> dict[str, str]:
    """Deploy a package as the DAGs do; return the state of each task."""
    name = f"deployment-{get_settings().endpoint_name}"
    # One try each: a retry of a task waits for half a minute.
    with DAG(name, schedule=None, catchup=False, default_args=DEFAULT_ARGS | {"retries": 0}) as dag:
        deployed(package, after=EmptyOperator(task_id="start"))
    return {ti.task_id: ti.state for ti in run_dag(dag).get_task_instances()}


def first(account: Any) -> str:
    """Put a first model in service; return its endpoint config."""
    package = account.register()
    config: str = account.deploy(package)
    registry.approve(package, config)
    return config


def test_a_model_that_answers_rubbish_is_taken_back_and_rejected_with_its_answers(account: Any, run_dag: Run) -> None:
    config, package = first(account), account.register(serving.RUBBISH, approval="PendingManualApproval")
    states = deploy(run_dag, package)
    assert (states["deploy"], states["verify"]) == ("success", "failed")
    assert (states["put_back"], states["reject_package"]) == ("success", "success")
    assert account.endpoint()["EndpointConfigName"] == config
    rejected = registry.describe(package)
    assert rejected["ModelApprovalStatus"] == "Rejected"
    assert "'rubbish', expected 'so'" in rejected["ApprovalDescription"]
    assert registry.champion().version == "v1"


def test_a_first_model_that_never_comes_up_leaves_no_endpoint_and_sagemakers_reason(account: Any, run_dag: Run) -> None:
    package = account.register(serving.BROKEN, approval="PendingManualApproval")
    states = deploy(run_dag, package)
    assert (states["deploy"], states["verify"], states["reject_package"]) == ("failed", "upstream_failed", "success")
    serving.wait_for(lambda: registry.describe_endpoint(account.name) is None)
    assert "Its deployment failed: Endpoint " in registry.describe(package)["ApprovalDescription"]


def test_where_nothing_is_deployed_nothing_is_put_back(account: Any, run_dag: Run) -> None:
    states = deploy(run_dag, "{{ no such package }}")
    assert states["serving_requests"] == "failed"
    assert (states["put_back"], states["reject_package"]) == ("upstream_failed", "upstream_failed")


def test_the_rollback_dag_restores_the_champion_before(
    account: Any, run_dag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = first(account)
    bad = account.register()
    registry.approve(bad, account.deploy(bad))
    spec = importlib.util.spec_from_file_location("rollback_attribute_model", ROLLBACK)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    conf = {"reason": "It sees no skirts.", "mark_stale": True}
    monkeypatch.setattr("lookbook.serving.rollback.choose", _by_ada())
    dag_run = run_dag(module.rollback_attribute_model(), run_conf=conf)
    states = {ti.task_id: ti.state for ti in dag_run.get_task_instances()}
    assert dag_run.state == "success", states
    assert (states["put_back"], states["reject_package"]) == ("skipped", "skipped")
    assert len(client("cloudwatch").describe_alarms(AlarmNamePrefix=account.name)["MetricAlarms"]) == 4
    assert account.endpoint()["EndpointConfigName"] == config
    assert registry.champion().version == "v1"
    assert registry.describe(bad)["ApprovalDescription"] == "Rolled back to v1 by ada: It sees no skirts."


def _by_ada() -> Callable[..., Any]:
    """Choose as a person would have it: a run of a test is triggered by nobody."""
    from lookbook.serving.rollback import choose

    return lambda version, _by: choose(version, "ada")
