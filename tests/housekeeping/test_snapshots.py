"""Versions, branches and files of the tables: what goes, and that all that stays can still be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.expressions import IsNull, Reference
from tests.catalog.conftest import StoreDrop, store_drop

from lookbook import storage
from lookbook.catalog import ingests, publishing, tables
from lookbook.catalog.schemas import DESCRIPTIONS, PREDICTED_ATTRIBUTES, TABLES
from lookbook.drops import lease
from lookbook.drops.lease import Holder
from lookbook.housekeeping import expiring, snapshots
from lookbook.lineage import records, store
from lookbook.lineage.records import TaskKey
from lookbook.settings import get_settings

__all__ = ["store_drop"]

DROP, PREDICTIONS = "2026-11-16", "predictions.attributes"
LATER = timedelta(days=15)

pytestmark = pytest.mark.usefixtures("bucket")


def answers(version: str) -> str:
    """Commit what a model answered; return the table's version."""
    row = {"drop_id": DROP, "product_id": "1", "attribute": "Fabric", "model_version": version}
    return tables.replace(PREDICTIONS, pa.Table.from_pylist([row], schema=PREDICTED_ATTRIBUTES), _of_drop())


def _of_drop() -> str:
    return f"drop_id == '{DROP}'"


def describe(run_id: str) -> None:
    """Describe a product in a run that reads the predictions as they are."""
    task = TaskKey("describe_products", run_id, "shard", drop_id=DROP)
    with records.recording(task) as record:
        tables.read(PREDICTIONS)
    store.save(record)
    store.collect("describe_products", run_id)
    row = {"drop_id": DROP, "product_id": "1", "status": "published", "dag_id": "describe_products", "run_id": run_id}
    tables.replace("descriptions.descriptions", pa.Table.from_pylist([row], schema=DESCRIPTIONS), _of_drop())


def keep_house(rounds: int = 1) -> None:
    for number in range(rounds):
        planned = expiring.plan_run("tables", f"run {number}", _no_run)
        expiring.carry_out(planned["uri"], _no_run, dry_run=False)


def _no_run(dag_id: str, run_id: str) -> None:
    """No run is known: tables are not judged by runs."""


def versions(name: str) -> set[str]:
    return {str(snapshot.snapshot_id) for snapshot in tables.load(name).metadata.snapshots}


def files(name: str) -> set[str]:
    return {stored.uri for stored in storage.list_objects(f"{tables.load(name).location()}/")}


@pytest.fixture
def everything_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_EXPIRE_AFTER_DAYS", "0.000000001")
    get_settings.cache_clear()


def test_only_the_versions_that_lineage_leads_to_stay(everything_is_old: None) -> None:
    overtaken = answers("v1")
    described = answers("v2")
    describe("run-1")
    newest = answers("v3")
    keep_house()
    assert versions(PREDICTIONS) == {described, newest}
    assert overtaken not in versions(PREDICTIONS)
    read = tables.read(PREDICTIONS, snapshot=described).to_pylist()
    assert [row["model_version"] for row in read] == ["v2"]


def test_files_go_when_no_version_has_them_and_what_is_there_reads_as_before(everything_is_old: None) -> None:
    for number in range(4):
        answers(f"v{number}")
    describe("run-1")
    before = {name: tables.read(name).to_pylist() for name in TABLES}
    many = files(PREDICTIONS)
    keep_house(rounds=2)
    assert len([uri for uri in files(PREDICTIONS) if uri.endswith(".parquet")]) == 1
    assert len(files(PREDICTIONS)) < len(many)
    assert {name: tables.read(name).to_pylist() for name in TABLES} == before
    answers("v5")
    assert [row["model_version"] for row in tables.read(PREDICTIONS).to_pylist()] == ["v5"]


def test_a_file_of_a_commit_that_never_came_goes(everything_is_old: None) -> None:
    answers("v1")
    stray = f"{tables.load(PREDICTIONS).location()}/data/stray.parquet"
    storage.write_bytes(stray, b"half a commit")
    keep_house()
    assert storage.find(stray) is None


def test_nothing_young_goes() -> None:
    for number in range(3):
        answers(f"v{number}")
    assert snapshots.plan().expiries == ()
    later = snapshots.plan(datetime.now(UTC) + LATER)
    assert {expiry.name.partition("@")[0] for expiry in later.expiries if expiry.kind == "snapshot"} == {PREDICTIONS}


def test_a_drops_whole_history_stays_so_that_it_is_known_to_be_unchanged(
    everything_is_old: None, store_drop: StoreDrop
) -> None:
    for drop_id in (DROP, "2026-11-23"):
        drop = store_drop(drop_id, ["1", "2"], rejected=("2",))
        publishing.publish(publishing.stage(drop.candidates_uri, drop.validation_uri))
    before = versions(publishing.PRODUCTS)
    keep_house(rounds=2)
    assert versions(publishing.PRODUCTS) == before
    known = ingests.last(DROP)
    assert known and known.drop_id == DROP


def test_the_branch_of_an_ingest_that_died_goes_with_its_version(
    everything_is_old: None, store_drop: StoreDrop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop = store_drop(DROP, ["1"])
    lease.take(DROP, Holder("ingest_drop", "run-1"), lambda holder: False)
    staged = publishing.stage(drop.candidates_uri, drop.validation_uri)
    keep_house()
    assert "audit-2026-11-16" in tables.load(publishing.PRODUCTS).metadata.refs

    monkeypatch.setattr(lease, "is_held", lambda drop_id: False)
    keep_house(rounds=2)
    assert set(tables.load(publishing.PRODUCTS).metadata.refs) == {"main"}
    assert staged.products_snapshot not in versions(publishing.PRODUCTS)
    # Cleared after all, the ingest begins its publishing anew.
    publishing.publish(staged)
    assert tables.read(publishing.PRODUCTS)["product_id"].to_pylist() == ["1"]


def test_a_lease_is_held_until_it_expires() -> None:
    assert not lease.is_held(DROP)
    lease.take(DROP, Holder("ingest_drop", "run-1"), lambda holder: False)
    assert lease.is_held(DROP)
    storage.write_json(
        f"s3://lookbook/staging/{DROP}/lease.json",
        {"dag_id": "ingest_drop", "run_id": "run-1", "expires_at": "2020-01-01T00:00:00+00:00"},
    )
    assert not lease.is_held(DROP)


def test_a_version_that_became_a_branchs_head_since_the_plan_stays(everything_is_old: None) -> None:
    first = answers("v1")
    answers("v2")
    [planned] = [expiry for expiry in snapshots.plan().expiries if expiry.name == f"{PREDICTIONS}@{first}"]
    tables.load(PREDICTIONS).manage_snapshots().create_branch(int(first), "kept").commit()
    snapshots.expire([planned])
    assert first in versions(PREDICTIONS)


@pytest.fixture
def few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "_FILES_A_PARTITION", 3)


def run_without_a_drop(number: int, drop_id: str | None = None) -> None:
    """Collect what a run left that is about no drop, or about one."""
    with records.recording(TaskKey("housekeeping", f"run-{number}", "report_costs", drop_id=drop_id)) as record:
        records.counts(days=number)
    store.save(record)
    store.collect("housekeeping", f"run-{number}")


def collected() -> list[str]:
    return sorted(row["run_id"] for row in tables.read("lineage.runs", columns=("run_id",)).to_pylist())


def files_at_head() -> int:
    return len(list(tables.load("lineage.runs").scan().plan_files()))


def test_rows_that_many_runs_added_are_gathered_in_one_file_and_none_changes(few_files: None) -> None:
    for number in range(4):
        run_without_a_drop(number)
    run_without_a_drop(4, DROP)
    before = tables.read("lineage.runs").sort_by("run_id")
    assert files_at_head() == 5
    keep_house()
    assert files_at_head() == 2
    assert tables.read("lineage.runs").sort_by("run_id") == before
    assert not snapshots.plan().expiries


def test_a_run_that_is_collected_while_rows_are_gathered_is_kept(
    few_files: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    overwrite, late = tables.overwrite_rows, iter([9])

    def overtaken(*arguments: Any, **options: Any) -> None:
        for number in late:  # the first time only
            run_without_a_drop(number)
        overwrite(*arguments, **options)

    for number in range(4):
        run_without_a_drop(number)
    monkeypatch.setattr(tables, "overwrite_rows", overtaken)
    tables.rewrite("lineage.runs", IsNull(term=Reference("drop_id")))
    assert collected() == ["run-0", "run-1", "run-2", "run-3", "run-9"]
    assert files_at_head() == 1


def test_few_files_stay_as_they_are() -> None:
    for number in range(4):
        run_without_a_drop(number)
    assert not snapshots.plan().expiries
