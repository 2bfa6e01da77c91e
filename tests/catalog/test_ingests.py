from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lookbook import storage
from lookbook.catalog import ingests, publishing
from lookbook.catalog.ingests import Difference
from lookbook.catalog.publishing import PRODUCTS, Staged
from lookbook.lineage.records import LineageRecord, TaskKey, recording

StoreDrop = Callable[..., Any]  # the fixture of conftest.py

DROP = "2026-11-16"
FINGERPRINT = "f1"  # of every drop that the fixture stores


@contextmanager
def run(run_id: str) -> Iterator[LineageRecord]:
    with recording(TaskKey("ingest_drop", run_id, "publish", drop_id=DROP)) as record:
        yield record


def ingest(run_id: str, drop: Any) -> Difference:
    with run(run_id):
        published = publishing.publish(publishing.stage(drop.candidates_uri, drop.validation_uri))
        return ingests.record_difference(published, drop.validation_uri)


def lists(difference: Difference) -> dict[str, list[str]]:
    content = storage.read_json(difference.uri)
    return {name: content[name] for name in ("added", "removed", "changed")}


def test_a_drop_that_never_came_is_ingested(store_drop: StoreDrop) -> None:
    assert ingests.last(DROP) is None
    assert ingests.decide(DROP, FINGERPRINT, force=False).passed


def test_the_same_drop_again_is_skipped_and_the_run_that_brought_it_named(store_drop: StoreDrop) -> None:
    ingest("run 1", store_drop(DROP, ["1", "2"], rejected=("2",)))
    with run("run 2") as record:
        decision = ingests.decide(DROP, FINGERPRINT, force=False)
    assert not decision.passed
    assert decision.reason == "unchanged since run run 1; run with Force to ingest it again"
    assert record.details["decision"] == decision.reason


def test_force_ingests_the_same_drop_again(store_drop: StoreDrop) -> None:
    ingest("run 1", store_drop(DROP, ["1"]))
    decision = ingests.decide(DROP, FINGERPRINT, force=True)
    assert decision.passed
    assert "by force" in decision.reason


def test_a_changed_drop_is_ingested(store_drop: StoreDrop) -> None:
    ingest("run 1", store_drop(DROP, ["1"]))
    decision = ingests.decide(DROP, "f2", force=False)
    assert decision.passed
    assert decision.reason == "changed since run run 1, whose fingerprint was f1"


def test_a_drop_without_a_usable_row_is_known_too(store_drop: StoreDrop) -> None:
    ingest("run 1", store_drop(DROP, ["1"], rejected=("1",)))
    assert not ingests.decide(DROP, FINGERPRINT, force=False).passed


def test_a_drop_without_a_rejected_row_is_known_too(store_drop: StoreDrop) -> None:
    ingest("run 1", store_drop(DROP, ["1", "2"]))
    assert not ingests.decide(DROP, FINGERPRINT, force=False).passed


def test_other_drops_between_change_nothing_of_it(store_drop: StoreDrop) -> None:
    ingest("run 1", store_drop(DROP, ["1"]))
    ingest("run 2", store_drop("2026-11-09", ["2"]))
    assert not ingests.decide(DROP, FINGERPRINT, force=False).passed
    assert ingests.decide("2026-11-02", FINGERPRINT, force=False).passed


def test_a_run_that_died_between_the_two_tables_is_ingested_again(store_drop: StoreDrop) -> None:
    drop = store_drop(DROP, ["1", "2"], rejected=("2",))
    staged: Staged = publishing.stage(drop.candidates_uri, drop.validation_uri)
    publishing._advance(PRODUCTS, staged)
    assert ingests.last(DROP) is None
    assert ingests.decide(DROP, FINGERPRINT, force=False).passed


def test_the_first_ingest_adds_every_product(store_drop: StoreDrop) -> None:
    ingest("run 1", store_drop("2026-11-09", ["7"]))
    difference = ingest("run 2", store_drop(DROP, ["2", "1", "3"], rejected=("3",)))
    assert (difference.added, difference.removed, difference.changed) == (2, 0, 0)
    assert lists(difference) == {"added": ["1", "2"], "removed": [], "changed": []}
    assert difference.uri == f"s3://lookbook/staging/{DROP}/{FINGERPRINT}/difference.json"


def test_added_removed_and_changed_products_are_told_apart(store_drop: StoreDrop) -> None:
    ingest("run 1", store_drop(DROP, ["1", "2", "3"]))
    ingest("run 2", store_drop("2026-11-09", ["7"]))
    drop = store_drop(DROP, ["1", "3", "4"], raw_lines={"3": "3,Women"})
    assert lists(ingest("run 3", drop)) == {"added": ["4"], "removed": ["2"], "changed": ["3"]}


def test_the_difference_is_counted_in_the_tasks_record(store_drop: StoreDrop) -> None:
    drop = store_drop(DROP, ["1", "2"])
    with run("run 1") as record:
        published = publishing.publish(publishing.stage(drop.candidates_uri, drop.validation_uri))
        difference = ingests.record_difference(published, drop.validation_uri)
    assert {name: record.counts[name] for name in ("added", "removed", "changed")} == {
        "added": 2,
        "removed": 0,
        "changed": 0,
    }
    assert record.details["difference"] == difference.uri


def test_a_retry_after_the_commit_tells_the_same_difference(store_drop: StoreDrop) -> None:
    ingest("run 1", store_drop(DROP, ["1"]))
    drop = store_drop(DROP, ["1", "2"])
    assert ingest("run 2", drop) == ingest("run 2", drop)
    assert lists(ingest("run 2", drop))["added"] == ["2"]


def test_a_forced_run_that_found_everything_published_changed_nothing(store_drop: StoreDrop) -> None:
    drop = store_drop(DROP, ["1", "2"])
    ingest("run 1", drop)
    difference = ingest("run 2", drop)
    assert (difference.added, difference.removed, difference.changed) == (0, 0, 0)
