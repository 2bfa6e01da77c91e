"""A run's lineage records: an object each, then one commit."""

from __future__ import annotations

from lookbook import storage
from lookbook.catalog import tables
from lookbook.lineage import records, store
from lookbook.lineage.records import TaskKey

RUN = "manual__2026-11-16T00:00:00+00:00"


def leave_record(task_id: str, map_index: int = -1, run_id: str = RUN, published: int = 1) -> None:
    task = TaskKey("describe_products", run_id, task_id, map_index, drop_id="2026-11-16")
    with records.recording(task) as record:
        records.reads("table", "catalog.products", 42)
        records.writes("request", "model", f"request-{map_index}")
        records.counts(published=published)
        records.details(link="https://example.com")
    store.save(record)


def rows() -> list[dict]:
    found = tables.read("lineage.runs").to_pylist(maps_as_pydicts="strict")
    return sorted(found, key=lambda row: (row["run_id"], row["task_id"], row["map_index"]))


def test_all_records_of_a_run_are_committed_at_once(aws_server: str) -> None:
    leave_record("plan")
    leave_record("describe", 0)
    leave_record("describe", 1)
    collected = store.collect("describe_products", RUN)
    assert collected.reference() == {
        "dag_id": "describe_products",
        "run_id": RUN,
        "records": 3,
        "snapshot": tables.current_snapshot("lineage.runs"),
    }
    assert [(row["task_id"], row["map_index"]) for row in rows()] == [("describe", 0), ("describe", 1), ("plan", -1)]
    first = rows()[0]
    assert first["inputs"] == [{"kind": "table", "name": "catalog.products", "version": "42"}]
    assert first["outputs"] == [{"kind": "request", "name": "model", "version": "request-0"}]
    assert (first["counts"], first["details"]) == ({"published": 1}, {"link": "https://example.com"})
    assert first["drop_id"] == "2026-11-16"
    assert first["started_at"] <= first["finished_at"]


def test_collecting_again_replaces_the_run_and_no_other(aws_server: str) -> None:
    leave_record("plan", run_id="another")
    store.collect("describe_products", "another")
    leave_record("plan")
    store.collect("describe_products", RUN)
    leave_record("plan", published=7)
    store.collect("describe_products", RUN)
    assert [(row["run_id"], row["counts"]["published"]) for row in rows()] == [("another", 1), (RUN, 7)]


def test_a_run_without_records_commits_nothing(aws_server: str) -> None:
    assert store.collect("describe_products", RUN).snapshot is None
    assert rows() == []


def test_run_ids_that_a_key_cannot_hold_stay_apart(aws_server: str) -> None:
    leave_record("plan", run_id="a/b:c")
    leave_record("plan", run_id="a_b_c")
    assert [stored.uri for stored in storage.list_objects("s3://lookbook/lineage/")] == [
        "s3://lookbook/lineage/describe_products/a_b_c-" + storage.key_part("a/b:c")[-8:] + "/plan/-1.json",
        "s3://lookbook/lineage/describe_products/a_b_c/plan/-1.json",
    ]
