"""A drop of this week goes before those of a backfill."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from lookbook_airflow.priorities import behind_fresh_drops

TODAY = datetime.now(UTC).date()
OLD, FRESH = "2018-06-04", (TODAY - timedelta(days=TODAY.weekday())).isoformat()


def weight(dag_id: str = "describe_products", run_type: str = "asset_triggered", **run: Any) -> int:
    """The priority of a task of such a run that Airflow gave 7, after the policy was asked twice."""
    instance = SimpleNamespace(priority_weight=7)
    for _ in range(2):
        given = {"partition_key": None, "conf": {}} | run
        behind_fresh_drops(instance, SimpleNamespace(dag_id=dag_id, run_type=run_type, **given))
    return instance.priority_weight


@pytest.mark.parametrize(
    "run",
    [
        {"partition_key": OLD},
        {"partition_key": OLD, "dag_id": "ingest_drop", "run_type": "backfill"},
        {"conf": {"drop": OLD}, "run_type": "operator_triggered"},
        {"conf": {"drop": f"s3://lookbook/drops/{OLD}/"}, "run_type": "operator_triggered"},
    ],
)
def test_a_run_about_an_older_drop_goes_behind_every_other(run: dict[str, Any]) -> None:
    assert weight(**run) == 7 - 1000


@pytest.mark.parametrize(
    "run",
    [
        {"partition_key": FRESH},
        {"partition_key": FRESH, "run_type": "backfill"},
        {"partition_key": OLD, "run_type": "manual"},
        {"partition_key": OLD, "dag_id": "somebody_elses"},
        {"conf": None},
        {"conf": {"drop": None}},
    ],
)
def test_everything_else_keeps_its_priority(run: dict[str, Any]) -> None:
    assert weight(**run) == 7


def test_a_task_that_belongs_to_no_run_yet_keeps_its_priority() -> None:
    instance = SimpleNamespace(priority_weight=7)
    behind_fresh_drops(instance, None)
    assert instance.priority_weight == 7


def test_airflow_takes_it_as_its_policy(airflow_db: None) -> None:
    from airflow import settings

    instance = SimpleNamespace(priority_weight=7)
    run = SimpleNamespace(dag_id="describe_products", run_type="asset_triggered", partition_key=OLD, conf={})
    settings.task_instance_mutation_hook(instance, dag_run=run)
    assert instance.priority_weight == 7 - 1000
    assert settings.task_instance_mutation_hook.is_noop is False  # else Airflow makes task instances past it
