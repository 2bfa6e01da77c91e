"""The DAG `ingest_drop` as Airflow runs it: what it refuses, what it counts, and what its tasks link to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent
from airflow.utils.session import create_session
from sqlalchemy import select
from tests.drops import small
from tests.drops.small import DROP_ID, line

from lookbook import drops, storage
from lookbook.catalog import tables
from lookbook.catalog.publishing import PRODUCTS, QUARANTINE

DAGS = Path(__file__).resolve().parents[2] / "dags"


@pytest.fixture
def ingest(run_dag: Callable[..., Any], aws_server: str, tmp_path: Path) -> Callable[..., Any]:
    """A function that ingests a drop of five rows, of which one has no picture, with the given parameters."""
    drops.upload(small.write_directory(tmp_path / "drop", *(line(number) for number in range(1, 6))), DROP_ID)
    storage.delete(f"s3://lookbook/drops/{DROP_ID}/images/5.jpg")

    def run(**parameters: Any) -> Any:
        dag = DagBag(dag_folder=str(DAGS / "ingest_drop.py")).dags["ingest_drop"]
        return run_dag(dag, run_conf={"drop": DROP_ID} | parameters)

    return run


def states(dag_run: Any) -> dict[str, str]:
    return {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}


def test_a_drop_with_too_many_bad_rows_fails_before_anything_is_staged(ingest: Callable[..., Any]) -> None:
    dag_run = ingest(max_rejected_share=0.1)
    assert states(dag_run) == {
        **dict.fromkeys(("discover", "fingerprint", "changed", "read", "collect_lineage"), "success"),
        "validate": "failed",
        **dict.fromkeys(("stage", "publish"), "upstream_failed"),
    }
    for name in (PRODUCTS, QUARANTINE):
        assert set(tables.load(name).metadata.refs) <= {"main"}, "no audit branch was cut"
        assert len(tables.read(name)) == 0
    links = [ti.xcom_pull(task_ids="validate", key="_link_DataDocsLink") for ti in dag_run.get_task_instances()]
    assert set(links) == {f"/lookbook/data-docs/{DROP_ID}/index.html"}, "a refused drop is the one to look at"
    assert storage.find(f"s3://lookbook/data-docs/{DROP_ID}/index.html")


def test_a_drop_within_the_share_is_published_and_its_counts_add_up(ingest: Callable[..., Any]) -> None:
    dag_run = ingest(max_rejected_share=0.2)
    assert set(states(dag_run).values()) == {"success"}
    assert (len(tables.read(PRODUCTS)), len(tables.read(QUARANTINE))) == (4, 1)
    with create_session() as session:
        (event,) = session.scalars(select(AssetEvent).where(AssetEvent.source_run_id == dag_run.run_id)).all()
    counts = event.extra["counts"]
    assert counts["rows"] == counts["published"] + counts["quarantined"] == 5
    (row,) = (row for row in tables.read("lineage.runs").to_pylist() if row["task_id"] == "publish")
    assert dict(row["counts"]).items() >= {"rows": 5, "published": 4, "quarantined": 1}.items()
