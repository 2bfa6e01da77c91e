"""``describe_products``, started by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

FILE = Path(__file__).resolve().parents[2] / "dags" / "describe_products.py"


def test_a_run_without_a_partition_key_is_about_the_drop_of_its_parameter(
    aws_server: str, run_dag: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    run = run_dag(DagBag(dag_folder=str(FILE)).dags["describe_products"], run_conf={"drop": "2026-11-16"})
    assert run.state == "failed"
    assert "2026-11-16" in caplog.text and "ingest_drop" in caplog.text
    assert "KeyError" not in caplog.text


def test_nothing_is_written_or_published_before_a_person_may_say_no() -> None:
    dag = DagBag(dag_folder=str(FILE)).dags["describe_products"]
    for task_id in ("shard", "describe", "publish"):
        assert "approve_cost" in dag.get_task(task_id).get_flat_relative_ids(upstream=True)
    # What comes before the question succeeds whatever the answer: publishing must not hang on it.
    before = dag.get_task("approve_cost").get_flat_relative_ids(upstream=True)
    assert before.isdisjoint(dag.get_task("publish").upstream_task_ids)


def test_a_run_for_which_nothing_is_left_skips_everything_and_says_so(
    aws_server: str, run_dag: Callable[..., Any]
) -> None:
    run = run_dag(DagBag(dag_folder=str(FILE)).dags["describe_products"], run_conf={"redrive": "failed"})
    states = {ti.task_id: ti.state for ti in run.get_task_instances()}
    assert run.state == "success"
    done = {task_id for task_id, state in states.items() if state != "skipped"}
    assert done == {"find_drops", "plan", "collect_lineage"}
