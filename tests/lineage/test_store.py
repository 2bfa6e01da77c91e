"""A run's lineage records: an object each, then one commit."""

from __future__ import annotations

from lookbook import storage
from lookbook.catalog import tables
from lookbook.lineage import records, store
from lookbook.lineage.records import TaskKey
from lookbook.settings import recorded

RUN = "manual__2026-11-16T00:00:00+00:00"


def leave_record(task_id: str, map_index: int = -1, run_id: str = RUN, published: int = 1) -> None:
    task = TaskKey("describe_products", run_id, task_id, map_index, drop_id="2026-11-16")
    with records.recording(task) as record:
        records.reads("table", "catalog.products", 42, partition="2026-11-16")
        records.writes("request", "model", f"request-{map_index}")
        records.counts(published=published)
        records.details(link="https://example.com")
        records.costs(0.25)
    store.save(record)


def dataset(kind: str, name: str, version: str, **more: str) -> dict[str, str | None]:
    return {"kind": kind, "name": name, "version": version, "partition": None, "checksum": None, **more}


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
        "summary": "0.75 USD",
    }
    assert [(row["task_id"], row["map_index"]) for row in rows()] == [("describe", 0), ("describe", 1), ("plan", -1)]
    first = rows()[0]
    assert first["inputs"] == [dataset("table", "catalog.products", "42", partition="2026-11-16")]
    assert first["outputs"] == [dataset("request", "model", "request-0")]
    assert (first["code_version"], first["settings_sha256"]) == ("unknown", recorded().sha256)
    assert (first["cost_usd"], first["outputs_cost_usd"]) == (0.25, None)
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


def test_a_record_of_an_older_lookbook_is_collected_with_what_it_has(aws_server: str) -> None:
    leave_record("plan")
    uri = store.record_uri(TaskKey("describe_products", RUN, "plan"))
    new = ("code_version", "settings_sha256", "cost_usd", "outputs_cost_usd")
    older = {name: value for name, value in storage.read_json(uri).items() if name not in new}
    older["inputs"] = [{name: older["inputs"][0][name] for name in ("kind", "name", "version")}]
    storage.write_json(uri, older)
    store.collect("describe_products", RUN)
    (row,) = rows()
    assert row["inputs"] == [dataset("table", "catalog.products", "42")]
    assert [row[name] for name in new] == [None] * 4


def test_a_run_without_records_commits_nothing(aws_server: str) -> None:
    assert store.collect("describe_products", RUN).snapshot is None
    assert rows() == []


def test_run_ids_that_a_key_cannot_hold_stay_apart(aws_server: str) -> None:
    leave_record("plan", run_id="a/b:c")
    leave_record("plan", run_id="a_b_c")
    assert [stored.uri for stored in storage.list_objects("s3://lookbook/lineage/describe_products/")] == [
        "s3://lookbook/lineage/describe_products/a_b_c-" + storage.key_part("a/b:c")[-8:] + "/plan/-1.json",
        "s3://lookbook/lineage/describe_products/a_b_c/plan/-1.json",
    ]
