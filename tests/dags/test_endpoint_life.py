"""The tasks around whatever needs the endpoint: in order, and to the end even when the work fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from lookbook_airflow.defaults import DEFAULT_ARGS
from lookbook_airflow.endpoint_life import with_endpoint

DAGS = Path(__file__).resolve().parents[2] / "dags"
RunDag = Callable[..., Any]  # the fixture of tests/plugins/conftest.py


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    return DagBag(dag_folder=str(DAGS)).dags


@pytest.mark.parametrize("dag_id", ["retrain_attribute_model", "rollback_attribute_model"])
def test_nobody_deletes_the_endpoint_under_a_deployment(dag_id: str, dags: dict[str, DAG]) -> None:
    held, closed = dags[dag_id].get_task("hold_endpoint"), dags[dag_id].get_task("close_endpoint")
    assert held.is_setup and "deploy" in held.downstream_task_ids
    assert closed.is_teardown
    assert {"verify", "reject_package"} <= closed.upstream_task_ids


def test_the_endpoint_is_not_held_while_a_model_is_trained(dags: dict[str, DAG]) -> None:
    held = dags["retrain_attribute_model"].get_task("hold_endpoint")
    assert "approve_model" in held.upstream_task_ids


def test_products_are_asked_about_when_the_endpoint_is_there(dags: dict[str, DAG]) -> None:
    opened, closed = (
        dags["describe_products"].get_task("open_endpoint"),
        dags["describe_products"].get_task("close_endpoint"),
    )
    assert opened.is_setup and "transform" in opened.upstream_task_ids
    assert "open_endpoint" in dags["describe_products"].get_task("predict_attributes").get_flat_relative_ids(
        upstream=True
    )
    assert closed.is_teardown and "predict_attributes" in closed.upstream_task_ids


def test_the_endpoint_is_there_from_the_choice_of_a_challenger_until_it_is_gone(dags: dict[str, DAG]) -> None:
    dag = dags["shadow_attribute_model"]
    assert "choose" in dag.get_task("open_endpoint").upstream_task_ids
    assert "verify_alone" in dag.get_task("close_endpoint").upstream_task_ids
    assert "open_endpoint" in dag.get_task("shadow_on").get_flat_relative_ids(upstream=True)


def test_a_challenger_is_taken_off_whatever_became_of_putting_it_on(dags: dict[str, DAG]) -> None:
    off = dags["shadow_attribute_model"].get_task("shadow_off")
    assert off.is_teardown and {"shadow_requests", "compare"} == off.upstream_task_ids
    assert not dags["shadow_attribute_model"].get_task("shadow_on").is_setup


def test_the_endpoint_is_let_go_of_after_work_that_failed(aws_server: str, run_dag: RunDag) -> None:
    @dag(schedule=None, default_args=DEFAULT_ARGS | {"retries": 0})
    def asking() -> None:
        @task
        def job() -> None:
            """Answer nothing."""
            raise AirflowSkipException

        @task
        def ask() -> None:
            """Fail."""
            raise ValueError("no answer")

        with_endpoint(job(), ask())

    run = run_dag(asking())
    states = {ti.task_id: ti.state for ti in run.get_task_instances()}
    assert states == {
        "job": "skipped",
        "open_endpoint": "success",
        "endpoint_is_there": "success",
        "ask": "failed",
        "close_endpoint": "success",
    }
    assert run.state == "failed"
