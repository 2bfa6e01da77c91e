"""What every DAG file promises, checked on the DAGs as the dag-processor sees them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, RetryAction, TriggerRule, XComArg

from lookbook.errors import PermanentError, RetryableError
from lookbook_airflow.clearing import parts
from lookbook_airflow.defaults import POOL_SLOTS, RETRY_POLICY, Tag
from lookbook_airflow.notifiers import FailureNotifier, QuestionNotifier, RefusalNotifier, RunFailureNotifier
from lookbook_airflow.operators.approval import ApprovalIfNeededOperator

DAGS = Path(__file__).resolve().parents[2] / "dags"
FILES = sorted(DAGS.glob("*.py"))
TASKS_OF_A_MINUTE = {"collect_lineage"}
# It starts another DAG and touches no data of its own.
WITHOUT_LINEAGE = {"watch_drops"}


@pytest.fixture(scope="module")
def dags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DAG]:
    bag = DagBag(dag_folder=str(DAGS))
    assert bag.import_errors == {}
    return bag.dags


def test_the_three_dags_are_there(dags: dict[str, DAG]) -> None:
    assert {"ingest_drop", "retrain_attribute_model", "describe_products"} <= set(dags)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dag_file_is_named_after_its_dag_and_only_wires(path: Path, dags: dict[str, DAG]) -> None:
    assert path.stem in dags
    assert len(path.read_text().splitlines()) <= 150


@pytest.mark.parametrize("dag_id", [path.stem for path in FILES])
def test_a_dag_documents_itself(dag_id: str, dags: dict[str, DAG]) -> None:
    dag = dags[dag_id]
    assert dag.doc_md and "Safe to clear?" in dag.doc_md and "docs/runbooks" in dag.doc_md
    assert dag.dag_display_name != dag_id
    assert dag.description and not set("*`") & set(dag.description)
    params = [dag.params.get_param(name) for name in dag.params]
    assert all(param.schema.get("title") and param.description for param in params)


@pytest.mark.parametrize("dag_id", [path.stem for path in FILES])
def test_the_runbook_that_a_dag_names_exists(dag_id: str) -> None:
    assert (DAGS.parent / "docs" / "runbooks" / f"{dag_id}.md").is_file()


@pytest.mark.parametrize("dag_id", [path.stem for path in FILES])
def test_a_dag_carries_only_known_tags(dag_id: str, dags: dict[str, DAG]) -> None:
    assert dags[dag_id].tags
    assert dags[dag_id].tags <= {tag.value for tag in Tag}


@pytest.mark.parametrize("dag_id", [path.stem for path in FILES])
def test_a_dag_states_its_limits(dag_id: str, dags: dict[str, DAG]) -> None:
    dag = dags[dag_id]
    assert dag.catchup is False
    assert 1 <= dag.max_active_runs <= 64
    for task in dag.tasks:
        assert task.owner == "data-platform"
        waits = isinstance(task, ApprovalIfNeededOperator) and task.response_timeout
        assert task.execution_timeout or waits or task.task_id in TASKS_OF_A_MINUTE
        assert task.pool == "default_pool" or task.pool in {pool.value for pool in POOL_SLOTS}


@pytest.mark.parametrize("dag_id", [path.stem for path in FILES])
def test_every_task_fails_at_once_on_a_permanent_error(dag_id: str, dags: dict[str, DAG]) -> None:
    for task in dags[dag_id].tasks:
        rules = task.retry_policy.serialize()["rules"]
        assert "lookbook.errors.PermanentError" in [rule["exception"] for rule in rules]


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (PermanentError("no such drop"), RetryAction.FAIL),
        (KeyError("uri"), RetryAction.FAIL),
        (ModuleNotFoundError("lookbok"), RetryAction.FAIL),
        (RetryableError("throttled"), RetryAction.DEFAULT),
        (ConnectionError("reset"), RetryAction.DEFAULT),
    ],
)
def test_what_cannot_pass_is_not_tried_again(error: Exception, action: RetryAction) -> None:
    assert RETRY_POLICY.evaluate(error, try_number=1, max_tries=3).action == action


@pytest.mark.parametrize("dag_id", [path.stem for path in FILES])
def test_every_task_says_what_it_does_and_whether_it_is_safe_to_clear(dag_id: str, dags: dict[str, DAG]) -> None:
    for task in dags[dag_id].tasks:
        does, clear = parts(task.doc_md)
        assert does, task.task_id
        assert clear.startswith(("Yes: ", "Not once ", "While the run goes on. ")), task.task_id


def test_a_task_that_must_not_be_cleared_at_any_time_says_so(dags: dict[str, DAG]) -> None:
    assert parts(dags["rollback_attribute_model"].get_task("choose").doc_md)[1].startswith("Not once `settle` is done")
    assert parts(dags["shadow_attribute_model"].get_task("watch").doc_md)[1].startswith("While the run goes on.")


def kinds(callbacks: Any) -> list[type]:
    """What is called, whether Airflow keeps it as one or as a list."""
    return [type(callback) for callback in (callbacks if isinstance(callbacks, list) else [callbacks])]


@pytest.mark.parametrize("dag_id", [path.stem for path in FILES])
def test_people_are_told_when_a_task_or_a_run_fails(dag_id: str, dags: dict[str, DAG]) -> None:
    assert kinds(dags[dag_id].on_failure_callback) == [RunFailureNotifier]
    for task in dags[dag_id].tasks:
        assert kinds(task.on_failure_callback) == [FailureNotifier]


def test_people_are_told_when_the_gate_refuses_and_when_a_question_waits(dags: dict[str, DAG]) -> None:
    retrain, describe = dags["retrain_attribute_model"], dags["describe_products"]
    assert kinds(retrain.get_task("gate").on_success_callback) == [RefusalNotifier]
    for asking in (
        retrain.get_task("approve_cost"),
        retrain.get_task("approve_model"),
        describe.get_task("approve_cost"),
    ):
        assert kinds(asking.notifiers) == [QuestionNotifier]


@pytest.mark.parametrize(
    ("dag_id", "hours"), [("ingest_drop", 4), ("retrain_attribute_model", 24), ("describe_products", 12)]
)
def test_the_runs_of_a_week_have_deadlines(dag_id: str, hours: float, dags: dict[str, DAG]) -> None:
    [alert] = dags[dag_id].deadline
    assert alert.interval == timedelta(hours=hours)


@pytest.mark.parametrize("dag_id", sorted({path.stem for path in FILES} - WITHOUT_LINEAGE))
def test_every_run_ends_with_its_lineage_committed(dag_id: str, dags: dict[str, DAG]) -> None:
    last = dags[dag_id].get_task("collect_lineage")
    assert last.is_teardown
    assert last.downstream_task_ids == set()
    before = last.get_flat_relative_ids(upstream=True)
    leaving = {task.task_id for task in dags[dag_id].tasks if not isinstance(task, EmptyOperator)} - {last.task_id}
    assert leaving - before == set(), "what these leave would not be committed with the run"


def test_nothing_watches_for_drops_unless_a_queue_is_set(dags: dict[str, DAG]) -> None:
    (asset,) = dags["watch_drops"].timetable.asset_condition.objects
    assert asset.watchers == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_parsing_opens_no_connection_and_no_data_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError(f"{path.name} opens a connection while it is parsed: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert DagBag(dag_folder=str(path)).import_errors == {}


def test_no_dag_reads_settings_or_data_libraries_while_it_is_parsed() -> None:
    script = (
        "import runpy, sys\n"
        f"for path in {[str(path) for path in FILES]!r}: runpy.run_path(path)\n"
        "heavy = {'pandas', 'pyarrow', 'great_expectations', 'pyiceberg', 'PIL', 'lookbook.catalog.tables'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    path = os.pathsep.join(str(DAGS.parent / room) for room in ("include", "plugins"))
    answer = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip().splitlines()[-1] == "[]"


def test_nothing_is_paid_or_deployed_before_a_person_may_say_no(dags: dict[str, DAG]) -> None:
    dag = dags["retrain_attribute_model"]
    assert "approve_cost" in dag.get_task("train").get_flat_relative_ids(upstream=True)
    for task_id in ("create_model", "create_endpoint_config", "deploy", "promote"):
        assert "approve_model" in dag.get_task(task_id).get_flat_relative_ids(upstream=True)


@pytest.mark.parametrize("dag_id", ["retrain_attribute_model", "rollback_attribute_model"])
def test_what_is_deployed_and_not_verified_is_taken_back(dag_id: str, dags: dict[str, DAG]) -> None:
    back = dags[dag_id].get_task("put_back")
    assert {"serving_requests", "deploy", "verify"} == back.upstream_task_ids
    assert back.trigger_rule == TriggerRule.ALL_DONE_MIN_ONE_SUCCESS
    assert back.downstream_task_ids == {"reject_package"}


@pytest.mark.parametrize("dag_id", [path.stem for path in FILES])
def test_a_part_of_a_result_is_asked_only_of_tasks_that_store_parts(dag_id: str, dags: dict[str, DAG]) -> None:
    for task in (task for task in dags[dag_id].tasks if not task.is_mapped):
        for source, key in XComArg.iter_xcom_references(task):
            assert key == "return_value" or source.multiple_outputs, f"{task.task_id} asks {source.task_id} for {key}"
