"""OpenLineage is told of each task what it read and wrote, and nothing that goes wrong there fails or holds a task."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.listeners.listener import get_listener_manager as get_listener_manager_of_the_scheduler
from airflow.providers.openlineage.plugins.listener import OpenLineageListener
from airflow.sdk import DAG
from airflow.sdk.listener import get_listener_manager
from tests.drops import small
from tests.drops.small import DROP_ID, line
from tests.lineage.openlineage import marquez
from tests.lineage.openlineage.marquez import Marquez, upstream
from tests.lineage.openlineage.schemas import problems
from tests.lineage.openlineage.test_datasets import VERDICT

from laptop.environment import _airflow_lineage
from laptop.places import places
from lookbook import drops, storage
from lookbook.catalog import tables
from lookbook.errors import PermanentError
from lookbook.lineage import records
from lookbook.lineage.openlineage import datasets
from lookbook_airflow.lineage import traced_task

DAGS = Path(__file__).resolve().parents[2] / "dags"
Event = dict[str, Any]
Told = Callable[[], list[Event]]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """The events of tasks that the provider, set up as on the laptop, has written to the laptop's file.

    Airflow loads the provider's plugin before it is set up, so that it adds no listener of its own: that one would
    send the events of runs as well, from a process that it forks.
    """
    get_listener_manager()
    get_listener_manager_of_the_scheduler()
    here = places(tmp_path)
    for name, value in _airflow_lineage(here).items():
        monkeypatch.setenv(name, value)
    listener = OpenLineageListener()  # type: ignore[no-untyped-call]
    manager = get_listener_manager()
    manager.add_listener(listener)  # type: ignore[no-untyped-call]
    yield lambda: [json.loads(text) for text in here.openlineage_file.read_text().splitlines()]
    manager.pm.unregister(listener)


def sends(monkeypatch: pytest.MonkeyPatch, *transports: dict[str, Any]) -> None:
    composite = {"type": "composite", "transports": list(transports), "continue_on_failure": True}
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", json.dumps(composite))


def ingest(run_dag: Callable[..., Any], directory: Path) -> Any:
    """Ingest a drop of five rows, of which one has no picture."""
    drops.upload(small.write_directory(directory / "drop", *(line(number) for number in range(1, 6))), DROP_ID)
    storage.delete(f"s3://lookbook/drops/{DROP_ID}/images/5.jpg")
    dag = DagBag(dag_folder=str(DAGS / "ingest_drop.py")).dags["ingest_drop"]
    return run_dag(dag, run_conf={"drop": DROP_ID})


def of_task(events: list[Event], task_id: str, state: str) -> Event:
    [found] = [one for one in events if one["job"]["name"].endswith(f".{task_id}") and one["eventType"] == state]
    return found


def a_task(name: str) -> DAG:
    """Return a DAG of one traced task."""
    with DAG(name, schedule=None, catchup=False) as dag:

        @traced_task
        def work() -> None:
            """Work."""
            records.writes("object", "s3://lookbook/result", "etag")

        work()
    return dag


@pytest.mark.usefixtures("aws_server")
def test_an_ingest_is_told_task_by_task_and_leads_back_to_the_drop(
    told: Told, run_dag: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = {"type": "file", "log_file_path": str(places(tmp_path).openlineage_file), "append": True}
    with marquez.serving(Marquez()) as url:
        sends(monkeypatch, file, {"type": "http", "url": url, "retry": {"total": 0}})
        dag_run = ingest(run_dag, tmp_path)
        start = "dataset:s3://lookbook/warehouse:catalog.products"
        graph = httpx.get(f"{url}/api/v1/lineage", params={"nodeId": start}, timeout=60).json()["graph"]
    assert dag_run.state == "success"

    events = told()
    assert [found for event in events for found in problems(event)] == []
    tasks = {ti.task_id for ti in dag_run.get_task_instances()}
    for state in ("START", "COMPLETE"):
        assert {event["job"]["name"] for event in events if event["eventType"] == state} == {
            f"ingest_drop.{task}" for task in tasks
        }

    published = of_task(events, "publish", "COMPLETE")
    written = {one["name"]: one for one in published["outputs"]}
    products, quarantine = written["catalog.products"], written["catalog.quarantine"]
    assert products["facets"]["version"]["datasetVersion"] == tables.current_snapshot("catalog.products")
    assert [one["outputFacets"]["outputStatistics"]["rowCount"] for one in (products, quarantine)] == [4, 1]
    assert published["job"]["facets"]["ownership"]["owners"] == [{"name": "data-platform"}]
    assert published["run"]["facets"]["lookbook_task"]["counts"]["published"] == 4

    origins = upstream(graph, start)
    assert {f"dataset:s3://lookbook:drops/{DROP_ID}/{part}" for part in ("styles.csv", "styles", "images")} < origins
    assert {f"job:lookbook:ingest_drop.{task}" for task in ("read", "validate", "stage", "publish")} < origins


@pytest.mark.usefixtures("aws_server")
def test_a_drop_that_is_refused_tells_what_was_wrong_with_it(told: Told, run_dag: Callable[..., Any]) -> None:
    staged = f"s3://lookbook/staging/{DROP_ID}/f"

    with DAG("told_of_a_refusal", schedule=None, catchup=False) as dag:

        @traced_task
        def validate() -> None:
            """Do what validation does to a drop that it refuses: leave its verdict and raise."""
            records.reads_object(storage.write_bytes(f"{staged}/candidates.parquet", b"rows"))
            records.writes_object(storage.write_json(f"{staged}/validation.json", VERDICT))
            raise PermanentError("the drop is refused")

        validate()

    assert run_dag(dag).state == "failed"
    refused = of_task(told(), "validate", "FAIL")
    assert problems(refused) == []
    [candidates] = refused["inputs"]
    found = {one["name"]: one for one in candidates["inputFacets"]["dataQualityAssertions"]["assertions"]}
    assert (found["picture_problem"]["success"], found["picture_problem"]["actual"]) == (False, "3 rows")
    assert found["no_rows"]["success"]


@pytest.mark.usefixtures("aws_server")
def test_a_collector_that_hangs_holds_no_task_and_fails_none(
    told: Told, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        host, port = mute.getsockname()
        sends(monkeypatch, {"type": "http", "url": f"http://{host}:{port}", "timeout": 60, "retry": {"total": 0}})
        assert run_dag(a_task("told_to_nobody")).state == "success"
    assert caplog.text.count("did not finish within execution_timeout=1s") == 2


@pytest.mark.usefixtures("aws_server")
def test_a_collector_that_is_down_fails_no_task(
    told: Told, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        host, port = closed.getsockname()
    sends(monkeypatch, {"type": "http", "url": f"http://{host}:{port}", "retry": {"total": 0}})
    assert run_dag(a_task("told_to_a_closed_door")).state == "success"
    assert caplog.text.count("failed to emit event with error: HTTPConnectionPool") == 2


@pytest.mark.usefixtures("aws_server")
def test_lineage_that_cannot_be_told_fails_no_task(
    told: Told, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(datasets, "task_lineage", broken)
    assert run_dag(a_task("told_in_vain")).state == "success"
    assert of_task(told(), "work", "COMPLETE")["outputs"] == []


@pytest.mark.usefixtures("aws_server")
def test_a_task_is_never_told_of_with_what_another_did(told: Told, run_dag: Callable[..., Any]) -> None:
    with DAG("told_apart", schedule=None, catchup=False) as dag:

        @traced_task
        def work() -> None:
            """Work."""
            records.writes("object", "s3://lookbook/result", "etag")

        @dag.task
        def idle() -> None:
            """Keeps no record."""

        work() >> idle()

    assert run_dag(dag).state == "success"
    assert [one["name"] for one in of_task(told(), "work", "COMPLETE")["outputs"]] == ["result"]
    assert of_task(told(), "idle", "COMPLETE")["outputs"] == []
