"""``housekeeping``, run from its first task to its last on an account with something to let go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

from lookbook import storage
from lookbook.aws import client
from lookbook.catalog import tables
from lookbook.housekeeping import plans
from lookbook.settings import get_settings

FILE = Path(__file__).resolve().parents[2] / "dags" / "housekeeping.py"
CHECKPOINT = "s3://lookbook/training/checkpoints/lookbook-train-1/trainer_state.json"
RunDag = Callable[..., Any]  # the fixture of tests/plugins/conftest.py


@pytest.fixture
def dag(bucket: str, monkeypatch: pytest.MonkeyPatch) -> DAG:
    monkeypatch.setenv("LOOKBOOK_EXPIRE_AFTER_DAYS", "0.000000001")
    get_settings.cache_clear()
    client("sagemaker").create_model_package_group(ModelPackageGroupName="lookbook-attributes")
    storage.write_bytes(CHECKPOINT, b"{}")
    return DagBag(dag_folder=str(FILE)).dags["housekeeping"]


def test_a_run_lets_go_what_its_plan_shows_and_tells_what_everything_cost(dag: DAG, run_dag: RunDag) -> None:
    run = run_dag(dag)
    assert run.state == "success"
    assert storage.find(CHECKPOINT) is None
    [expired] = tables.read("lineage.runs", f"task_id == 'expire_models' and run_id == '{run.run_id}'").to_pylist()
    assert dict(expired["counts"]) == {"checkpoints": 1}
    for page in plans.PAGES:
        assert plans.page(storage.key_part(run.run_id), page).startswith(b"<!doctype html>")
