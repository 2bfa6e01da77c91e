"""``review_descriptions`` where there is nobody to ask; answers are tested with the operator and the library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag

from lookbook_airflow.operators.review import ReviewOperator

FILE = Path(__file__).resolve().parents[2] / "dags" / "review_descriptions.py"


def test_where_nothing_is_withheld_nobody_is_asked_and_nothing_is_committed(
    aws_server: str, run_dag: Callable[..., Any]
) -> None:
    run = run_dag(DagBag(dag_folder=str(FILE)).dags["review_descriptions"])
    states = {ti.task_id: ti.state for ti in run.get_task_instances()}
    skipped = dict.fromkeys(("ask", "commit", "export"), "skipped")
    assert states == {"choose": "success", "collect_lineage": "success", **skipped}
    assert run.state == "success"


def test_a_question_waits_for_a_person_and_not_as_long_as_a_worker_may_take() -> None:
    ask = DagBag(dag_folder=str(FILE)).dags["review_descriptions"].get_task("ask")
    assert issubclass(ask.operator_class, ReviewOperator)
    assert ask.unmap({"question": {}}).execution_timeout is None
