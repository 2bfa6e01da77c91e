"""Whatever task emits an asset leaves a lineage record, which the event names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import CellType, FunctionType
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, BaseOperator
from airflow.utils.session import create_session
from sqlalchemy import select

from lookbook import storage

DAGS = Path(__file__).resolve().parents[2] / "dags"


def nothing(*arguments: Any, **named: Any) -> None:
    """Stand in for what a task does."""


def emptied(task: BaseOperator) -> Callable[..., Any]:
    """Return a task's function as it is declared, decorators and all, with nothing for its body."""
    declared = inspect.getattr_static(task, "python_callable")
    body = getattr(declared, "__wrapped__", declared)
    if body is declared:
        return nothing
    cells = [CellType(nothing) if cell.cell_contents is body else cell for cell in declared.__closure__ or ()]
    return FunctionType(declared.__code__, declared.__globals__, closure=tuple(cells))


def emitting() -> dict[str, BaseOperator]:
    """Return every task of every DAG that has an outlet, by DAG and task id."""
    found = DagBag(dag_folder=str(DAGS)).dags.values()
    return {f"{dag.dag_id}__{task.task_id}": task for dag in found for task in dag.tasks if task.outlets}


@pytest.mark.usefixtures("aws_server")
def test_every_task_with_an_outlet_leaves_a_record_that_its_event_names(run_dag: Callable[..., Any]) -> None:
    tasks = emitting()
    assert len(tasks) >= 6
    with DAG("outlets", schedule=None, catchup=False) as dag:
        for name, task in tasks.items():
            PythonOperator(task_id=name, python_callable=emptied(task), outlets=task.outlets)
    dag_run = run_dag(dag)
    assert dag_run.state == "success"
    with create_session() as session:
        events = session.scalars(select(AssetEvent).where(AssetEvent.source_run_id == dag_run.run_id)).all()
    untraced = [event.source_task_id for event in events if "record" not in event.extra]
    assert untraced == [], "declare these with traced_task, or open traced() around an operator's work"
    records = {event.source_task_id: storage.read_json(event.extra["record"]) for event in events}
    assert {name: record["task"]["task_id"] for name, record in records.items()} == {name: name for name in tasks}
