"""What two runs did otherwise, by their lineage records."""

from __future__ import annotations

import json

import pytest

from lookbook.errors import PermanentError
from lookbook.lineage import __main__ as command
from lookbook.lineage import records, store
from lookbook.lineage.comparison import Change, compare
from lookbook.lineage.records import TaskKey

DAG = "describe_products"


def leave(run_id: str, task_id: str, *, snapshot: str, published: int, dag_id: str = DAG, map_index: int = -1) -> None:
    """Leave the record of one task."""
    with records.recording(TaskKey(dag_id, run_id, task_id, map_index)) as record:
        records.reads("table", "catalog.products", snapshot)
        records.counts(published=published)
        records.details(facts_from="catalogue alone")
    store.save(record)


@pytest.fixture
def runs(aws_server: str) -> None:
    """Two runs that differ in what they read, in a count, and in one task."""
    leave("monday", "publish", snapshot="1", published=180)
    leave("tuesday", "publish", snapshot="2", published=190)
    for map_index in (0, 1):
        leave("monday", "describe", snapshot="1", published=90, map_index=map_index)
        leave("tuesday", "describe", snapshot="1", published=90, map_index=map_index)
    leave("tuesday", "export", snapshot="2", published=190)
    for run_id in ("monday", "tuesday"):
        store.collect(DAG, run_id)


def test_only_what_differs_is_told(runs: None) -> None:
    assert compare("monday", "tuesday").changes == (
        Change("export", "task", "did not run", "ran"),
        Change("publish", "count published", "180", "190"),
        Change("publish", "input table catalog.products", "1", "2"),
    )


def test_a_run_differs_in_nothing_from_itself(runs: None) -> None:
    found = compare("monday", "monday")
    assert found.changes == ()
    assert "Both did the same" in found.text()


def test_runs_of_the_same_name_need_their_dag(runs: None) -> None:
    for run_id in ("monday", "tuesday"):
        leave(run_id, "read", snapshot="1", published=0, dag_id="ingest_drop")
        store.collect("ingest_drop", run_id)
    with pytest.raises(PermanentError, match="--dag"):
        compare("monday", "tuesday")
    assert compare("monday", "tuesday", "ingest_drop").changes == ()


def test_a_run_without_a_record_is_named(runs: None) -> None:
    with pytest.raises(PermanentError, match="check sunday"):
        compare("monday", "sunday")


def test_the_command_prints_it(runs: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["diff", "monday", "tuesday"]) == 0
    assert "publish  count published: 180 → 190" in capsys.readouterr().out
    assert command.main(["diff", "monday", "tuesday", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["changes"]) == 3
