from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lookbook.catalog import publishing, tables
from lookbook.catalog.publishing import PRODUCTS, QUARANTINE, AuditError, Staged
from lookbook.errors import PermanentError
from lookbook.lineage.records import TaskKey, recording

StoreDrop = Callable[..., Any]  # the fixture of conftest.py

DROP = "2026-11-16"


def stage(store_drop: StoreDrop, *args: object, **kwargs: object) -> Staged:
    drop = store_drop(*args, **kwargs)
    return publishing.stage(drop.candidates_uri, drop.validation_uri)


def published_names() -> list[str]:
    return sorted(tables.read(PRODUCTS, columns=["display_name"])["display_name"].to_pylist())


def branches() -> set[str]:
    return {ref for name in (PRODUCTS, QUARANTINE) for ref in tables.load(name).metadata.refs}


def test_a_staged_drop_is_out_of_every_readers_sight(store_drop: StoreDrop) -> None:
    staged = stage(store_drop, DROP, ["1", "2", "3"], rejected=("2",))
    assert (staged.rows, staged.accepted, staged.quarantined) == (3, 2, 1)
    assert published_names() == []
    assert len(tables.read(PRODUCTS, snapshot=staged.products_snapshot)) == 2


def test_publishing_moves_main_and_leaves_no_branch(store_drop: StoreDrop) -> None:
    published = publishing.publish(stage(store_drop, DROP, ["1", "2", "3"], rejected=("2",)))
    assert published.rows == published.published + published.quarantined == 3
    assert published_names() == ["shirt 1", "shirt 3"]
    assert tables.current_snapshot(PRODUCTS) == published.products_snapshot
    assert tables.current_snapshot(QUARANTINE) == published.quarantine_snapshot
    assert branches() == {"main"}


def test_quarantine_keeps_the_raw_row_and_why(store_drop: StoreDrop) -> None:
    publishing.publish(stage(store_drop, DROP, ["1", "2"], rejected=("2",)))
    [row] = tables.read(QUARANTINE).to_pylist()
    assert row["product_id"] == "2"
    assert row["raw_line"] == "2,Men"
    assert row["line_number"] == 3
    assert row["reasons"] == ["no_picture"]
    assert row["detail"] == "images/2.jpg is missing"


def test_a_drop_with_every_row_rejected_publishes_its_quarantine(store_drop: StoreDrop) -> None:
    published = publishing.publish(stage(store_drop, DROP, ["1"], rejected=("1",)))
    assert (published.published, published.quarantined) == (0, 1)


def test_publishing_twice_leaves_what_once_leaves(store_drop: StoreDrop) -> None:
    staged = stage(store_drop, DROP, ["1", "2"], rejected=("2",))
    assert publishing.publish(staged) == publishing.publish(staged)
    assert published_names() == ["shirt 1"]


def test_a_published_drop_that_comes_again_changes_nothing(store_drop: StoreDrop) -> None:
    first = publishing.publish(stage(store_drop, DROP, ["1", "2"], rejected=("2",)))
    again = publishing.publish(stage(store_drop, DROP, ["1", "2"], rejected=("2",)))
    assert again == first
    assert branches() == {"main"}


def test_a_changed_drop_replaces_its_rows(store_drop: StoreDrop) -> None:
    publishing.publish(stage(store_drop, "2026-11-09", ["7"]))
    publishing.publish(stage(store_drop, DROP, ["1", "2"], rejected=("2",)))
    publishing.publish(stage(store_drop, DROP, ["2", "3"], name="dress"))
    assert published_names() == ["dress 2", "dress 3", "shirt 7"]
    assert len(tables.read(QUARANTINE)) == 0


def test_a_drop_changed_back_is_published_again(store_drop: StoreDrop) -> None:
    for name in ("shirt", "dress", "shirt"):
        publishing.publish(stage(store_drop, DROP, ["1"], name=name))
    assert published_names() == ["shirt 1"]


def test_staging_twice_replaces_the_branch(store_drop: StoreDrop) -> None:
    stage(store_drop, DROP, ["1", "2"])
    publishing.publish(stage(store_drop, DROP, ["3"]))
    assert published_names() == ["shirt 3"]


def test_drops_staged_on_the_same_main_both_land(store_drop: StoreDrop) -> None:
    first = stage(store_drop, "2026-11-09", ["1"], rejected=())
    second = stage(store_drop, DROP, ["2", "3"], rejected=("3",))
    publishing.publish(first)
    published = publishing.publish(second)
    assert published.products_snapshot != second.products_snapshot
    assert published_names() == ["shirt 1", "shirt 2"]
    assert branches() == {"main"}


def test_runs_of_different_drops_at_once_all_land(store_drop: StoreDrop) -> None:
    days = ["2026-11-02", "2026-11-09", "2026-11-16"]
    drops = [store_drop(day, [f"{day}-1", f"{day}-2"], rejected=(f"{day}-2",)) for day in days]
    tables.ensure_tables()

    def run(drop: Any) -> None:
        publishing.publish(publishing.stage(drop.candidates_uri, drop.validation_uri))

    with ThreadPoolExecutor(len(drops)) as pool:
        list(pool.map(run, drops))
    assert published_names() == [f"shirt {day}-1" for day in days]
    assert sorted(tables.read(QUARANTINE)["product_id"].to_pylist()) == [f"{day}-2" for day in days]
    assert branches() == {"main"}


def test_a_publish_that_died_between_the_tables_is_finished(
    store_drop: StoreDrop, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = stage(store_drop, DROP, ["1", "2"], rejected=("2",))
    whole = publishing._advance

    def die_at_quarantine(name: str, staged: Staged) -> str:
        if name == QUARANTINE:
            raise KeyboardInterrupt
        return whole(name, staged)

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "_advance", die_at_quarantine)
        with pytest.raises(KeyboardInterrupt):
            publishing.publish(staged)
    assert len(tables.read(QUARANTINE)) == 0

    published = publishing.publish(staged)
    assert published.products_snapshot == staged.products_snapshot
    assert (published_names(), len(tables.read(QUARANTINE))) == (["shirt 1"], 1)


def test_a_half_published_drop_is_finished_after_another_came_first(store_drop: StoreDrop) -> None:
    staged = stage(store_drop, DROP, ["1", "2"], rejected=("2",))
    publishing._advance(PRODUCTS, staged)
    publishing.publish(stage(store_drop, "2026-11-23", ["5", "6"], rejected=("6",)))
    publishing.publish(staged)
    assert published_names() == ["shirt 1", "shirt 5"]
    assert sorted(tables.read(QUARANTINE)["product_id"].to_pylist()) == ["2", "6"]


def test_an_id_accepted_twice_stops_the_drop_at_the_audit(store_drop: StoreDrop) -> None:
    staged = stage(store_drop, DROP, ["1", "2", "1"])
    with pytest.raises(AuditError, match=r"product ids \['1'\] \(1 in all\)"):
        publishing.publish(staged)
    assert published_names() == []


def test_branches_that_lack_rows_are_not_published(store_drop: StoreDrop) -> None:
    staged = stage(store_drop, DROP, ["1", "2"], rejected=("2",))
    lossy = Staged(**staged.reference() | {"accepted": 2, "rows": 3})
    with pytest.raises(AuditError, match=r"3 rows were read, 2 accepted and 1 quarantined.*hold 1 and 1"):
        publishing.publish(lossy)
    assert published_names() == []


def test_a_validation_of_other_rows_is_refused(store_drop: StoreDrop) -> None:
    drop = store_drop(DROP, ["1", "2"], rows_validated=7)
    with pytest.raises(PermanentError, match=r"validation.json is about 7 rows.*has 2 rows"):
        publishing.stage(drop.candidates_uri, drop.validation_uri)


def test_a_validation_of_another_drop_is_refused(store_drop: StoreDrop) -> None:
    drop = store_drop(DROP, ["1"])
    other = store_drop("2026-11-23", ["1"])
    with pytest.raises(PermanentError, match="holds rows of drops"):
        publishing.stage(drop.candidates_uri, other.validation_uri)


def test_a_position_beyond_the_rows_is_refused(store_drop: StoreDrop) -> None:
    drop = store_drop(DROP, ["1"], verdicts=[{"position": 9, "reasons": ["no_picture"]}])
    with pytest.raises(PermanentError, match="rejects positions beyond the 1 rows"):
        publishing.stage(drop.candidates_uri, drop.validation_uri)


def test_a_staged_drop_survives_the_way_through_json(store_drop: StoreDrop) -> None:
    staged = stage(store_drop, DROP, ["1"])
    assert Staged(**json.loads(json.dumps(staged.reference()))) == staged


def test_publishing_is_lineage_with_its_counts(store_drop: StoreDrop) -> None:
    staged = stage(store_drop, DROP, ["1", "2"], rejected=("2",))
    with recording(TaskKey("ingest_drop", "r", "publish")) as record:
        published = publishing.publish(staged)
    assert record.counts == {"rows": 2, "published": 1, "quarantined": 1}
    assert {(d.name, d.version, d.partition) for d in record.outputs} == {
        (PRODUCTS, published.products_snapshot, DROP),
        (QUARANTINE, published.quarantine_snapshot, DROP),
    }
    assert {(d.name, d.version) for d in record.inputs} == {
        (f"{PRODUCTS}@audit-{DROP}", staged.products_snapshot),
        (f"{QUARANTINE}@audit-{DROP}", staged.quarantine_snapshot),
    }
