"""Tasks leave their lineage in S3, in XCom and on the asset events they emit, without doing anything for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.models.asset import AssetEvent
from airflow.sdk import DAG, Asset, TaskInstanceState
from airflow.utils.session import create_session
from sqlalchemy import select

from lookbook import storage
from lookbook.catalog import tables
from lookbook.lineage import records
from lookbook_airflow.lineage import collect_lineage, traced_short_circuit, traced_task

SHELF = Asset(name="shelf", uri="lookbook://catalog/shelf")


def events_of(dag_run: Any) -> list[AssetEvent]:
    with create_session() as session:
        return list(session.scalars(select(AssetEvent).where(AssetEvent.source_run_id == dag_run.run_id)))


def a_dag(name: str) -> tuple[DAG, list[str]]:
    """Return a DAG of two traced tasks, one of them mapped and async, and the list its tasks write to."""
    seen: list[str] = []
    with DAG(name, schedule=None, catchup=False) as dag:

        @traced_task
        def plan() -> list[str]:
            """Plan."""
            records.reads("table", "catalog.products", 42)
            return ["a", "b"]

        @traced_task
        async def work(item: str) -> str:
            """Work."""
            records.writes("object", f"s3://lookbook/{item}", "etag")
            seen.append(item)
            return item

        @traced_task(outlets=[SHELF])
        def publish(items: Any) -> dict[str, int]:
            """Publish."""
            records.counts(published=len(items[:]))
            records.writes("table", "catalog.shelf", 7)
            records.outputs_cost(1.5)
            return {"published": 2}

        publish(work.expand(item=plan())) >> collect_lineage()
    return dag, seen


@pytest.mark.usefixtures("aws_server")
def test_every_task_instance_leaves_its_record_where_people_look(run_dag: Callable[..., Any]) -> None:
    dag, seen = a_dag("lineage_everywhere")
    dag_run = run_dag(dag)
    assert dag_run.state == "success"
    assert sorted(seen) == ["a", "b"]

    stored = list(storage.list_objects("s3://lookbook/lineage/lineage_everywhere/"))
    assert len(stored) == 4
    mapped = {
        ti.map_index: ti.xcom_pull(task_ids="work", key="lineage", map_indexes=ti.map_index)
        for ti in dag_run.get_task_instances()
        if ti.task_id == "work"
    }
    assert [(made["name"], made["version"]) for made in mapped[1]["outputs"]] == [("s3://lookbook/b", "etag")]

    rows = tables.read("lineage.runs").to_pylist()
    assert {(row["task_id"], row["map_index"]) for row in rows} == {
        ("plan", -1),
        ("work", 0),
        ("work", 1),
        ("publish", -1),
    }
    assert {row["run_id"] for row in rows} == {dag_run.run_id}


@pytest.mark.usefixtures("aws_server")
def test_an_asset_event_says_in_short_what_was_published_and_where_the_record_is(run_dag: Callable[..., Any]) -> None:
    dag, _ = a_dag("lineage_of_an_event")
    dag_run = run_dag(dag)
    (event,) = events_of(dag_run)
    record = storage.read_json(event.extra["record"])
    assert event.extra == {
        "task": record["task"],
        "snapshot": "7",
        "counts": {"published": 2},
        "cost_usd": 1.5,
        "record": f"s3://lookbook/lineage/lineage_of_an_event/{storage.key_part(dag_run.run_id)}/publish/-1.json",
    }


@pytest.mark.usefixtures("aws_server")
def test_a_failed_task_fails_the_run_although_lineage_is_collected(run_dag: Callable[..., Any]) -> None:
    with DAG("lineage_of_a_failure", schedule=None, catchup=False) as dag:

        @traced_task
        def good() -> None:
            """Good."""
            records.reads("table", "catalog.products", 1)

        @traced_task
        def bad() -> None:
            """Bad."""
            raise ValueError("no such thing")

        good() >> bad() >> collect_lineage()

    dag_run = run_dag(dag)
    assert dag_run.state == "failed"
    assert [row["task_id"] for row in tables.read("lineage.runs").to_pylist()] == ["good"]


@pytest.mark.usefixtures("aws_server")
def test_a_refusal_skips_what_follows_but_not_the_lineage(run_dag: Callable[..., Any]) -> None:
    with DAG("lineage_of_a_refusal", schedule=None, catchup=False) as dag:

        @traced_short_circuit()
        def gate() -> bool:
            """Gate."""
            records.details(decision="refused")
            return False

        @traced_task
        def deploy() -> None:
            """Deploy."""

        gate() >> deploy() >> collect_lineage()

    dag_run = run_dag(dag)
    assert dag_run.state == "success"
    states = {ti.task_id: ti.state for ti in dag_run.get_task_instances()}
    assert states["deploy"] == TaskInstanceState.SKIPPED
    assert [dict(row["details"]) for row in tables.read("lineage.runs").to_pylist()] == [{"decision": "refused"}]
