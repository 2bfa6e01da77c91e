"""The buttons of tasks: each is on the tasks it belongs to, as the API server will show it."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

DAGS = Path(__file__).resolve().parents[2] / "dags"
ENDPOINT, MODEL, DOCS, PLAN = {"Endpoint"}, {"Model package"}, {"Data Docs"}, {"Plan"}
JOB = {"Training job", "Training log"}
BUTTONS = {
    "describe_products": {
        "one_run_each": {"Triggered DAG"},
        "transform": {"Transform job", "Transform log"},
        "predict_attributes": ENDPOINT,
        "describe": {"Product"},
        "describe_rest": {"Product"},
        "run_batch": {"Batch jobs"},
        "report_findings": {"Findings"},
    },
    "housekeeping": {
        "report_costs": {"Costs"},
        **dict.fromkeys(("plan_models", "plan_tables", "plan_jobs"), PLAN),
    },
    "ingest_drop": {"validate": DOCS},
    "requeue_drop": {"validate": DOCS},
    "retrain_attribute_model": {
        "train": JOB,
        "evaluate": JOB,
        "gate": {"Evaluation"},
        "register": MODEL,
        "approve_model": {"Evaluation"} | MODEL,
        **dict.fromkeys(("deploy", "verify", "put_back"), ENDPOINT),
        "promote": MODEL,
    },
    "review_descriptions": {},
    "rollback_attribute_model": dict.fromkeys(("deploy", "verify", "put_back"), ENDPOINT),
    "shadow_attribute_model": {
        **dict.fromkeys(("shadow_on", "shadow_off"), ENDPOINT),
        "compare": {"Comparison"},
    },
    "watch_drops": {"start_ingest": {"Triggered DAG"}},
}


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    return DagBag(dag_folder=str(DAGS)).dags


def test_every_dag_is_looked_at(dags: dict[str, DAG]) -> None:
    assert dags.keys() == BUTTONS.keys()


@pytest.mark.parametrize("dag_id", BUTTONS)
def test_the_buttons_of_a_dags_tasks(dag_id: str, dags: dict[str, DAG]) -> None:
    stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dags[dag_id]))
    shown = {task.task_id: set(task.operator_extra_link_dict) for task in stored.tasks}
    assert {task_id: names for task_id, names in shown.items() if names} == BUTTONS[dag_id]
