from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lookbook import storage
from lookbook.catalog import ingests, publishing, requeueing, tables
from lookbook.catalog.publishing import PRODUCTS, QUARANTINE, Published
from lookbook.catalog.requeueing import Requeued
from lookbook.catalog.schemas import CANDIDATES
from lookbook.errors import PermanentError

StoreDrop = Callable[..., Any]  # the fixture of conftest.py

DROP = "2026-11-16"
VERDICTS = [
    {"position": 1, "reasons": ["missing_display_name"], "detail": "no name"},
    {"position": 2, "reasons": ["picture_missing"], "detail": "no picture"},
]


@pytest.fixture
def published(store_drop: StoreDrop) -> Published:
    """A drop of four rows in the catalogue: 1 and 4 published, 2 and 3 in quarantine for different reasons."""
    drop = store_drop(DROP, ["1", "2", "3", "4"], verdicts=VERDICTS)
    return publishing.publish(publishing.stage(drop.candidates_uri, drop.validation_uri))


def validate(requeued: Requeued, rejected: list[dict[str, Any]]) -> str:
    """Leave what validation leaves: the verdict of a suite that rejects these rows."""
    uri = f"{requeued.uri.rpartition('/')[0]}/validation.json"
    storage.write_json(uri, {"drop_id": DROP, "rows": requeued.rows, "rejected": rejected, "reasons": {}})
    return uri


def publish(requeued: Requeued, rejected: list[dict[str, Any]]) -> Published:
    verdict_uri = requeueing.keep_others(requeued, validate(requeued, rejected))
    return publishing.publish(publishing.stage(requeued.uri, verdict_uri))


def ids(table: str) -> list[str]:
    return sorted(tables.read(table)["product_id"].to_pylist())


def test_rows_that_a_relaxed_suite_accepts_are_published(published: Published) -> None:
    again = publish(requeueing.requeue(DROP, "run"), rejected=[])
    assert again.rows == again.published + again.quarantined == 4
    assert (ids(PRODUCTS), ids(QUARANTINE)) == (["1", "2", "3", "4"], [])


def test_rows_that_still_fail_stay_in_quarantine(published: Published) -> None:
    again = publish(requeueing.requeue(DROP, "run"), rejected=[VERDICTS[1]])
    assert again.rows == again.published + again.quarantined == 4
    assert (ids(PRODUCTS), ids(QUARANTINE)) == (["1", "2", "4"], ["3"])


def test_only_rows_of_the_reason_asked_for_are_judged_again(published: Published) -> None:
    requeued = requeueing.requeue(DROP, "run", "missing_display_name")
    assert (requeued.rows, requeued.requeued) == (4, 1)
    again = publish(requeued, rejected=[])
    assert again.rows == again.published + again.quarantined == 4
    assert (ids(PRODUCTS), ids(QUARANTINE)) == (["1", "2", "4"], ["3"])
    [row] = tables.read(QUARANTINE).to_pylist()
    assert (row["reasons"], row["detail"]) == (["picture_missing"], "no picture")


def test_the_drop_is_not_read_again(published: Published) -> None:
    assert list(storage.list_objects(f"s3://lookbook/drops/{DROP}/")) == []
    assert requeueing.requeue(DROP, "run").rows == 4


def test_a_requeue_is_told_apart_from_its_ingest_and_keeps_its_fingerprint(published: Published) -> None:
    requeued = requeueing.requeue(DROP, "run")
    assert requeued.uri.startswith(f"s3://lookbook/staging/{DROP}/f1-")
    publish(requeued, rejected=[])
    last = ingests.last(DROP)
    assert last is not None
    assert (last.candidates_uri, last.fingerprint) == (requeued.uri, "f1")
    assert not ingests.decide(DROP, "f1", force=False).passed


def test_a_requeued_drop_can_be_requeued(published: Published) -> None:
    publish(requeueing.requeue(DROP, "run 1", "missing_display_name"), rejected=[])
    again = publish(requeueing.requeue(DROP, "run 2", "picture_missing"), rejected=[])
    assert again.rows == again.published + again.quarantined == 4
    assert ids(QUARANTINE) == []


def test_attributes_are_put_into_the_words_of_todays_vocabulary(store_drop: StoreDrop) -> None:
    drop = store_drop(DROP, ["1", "2"], rejected=("2",))
    rows = pq.read_table(io.BytesIO(storage.read_bytes(drop.candidates_uri))).to_pylist()
    rows[1] |= {"row_problem": "too_few_fields", "attributes": None}
    rows[0] |= {"raw_attributes": [("Fabric", "Pure Cotton")], "attributes": [], "base_colour": "Blue"}
    store_candidates(drop.candidates_uri, rows)
    publishing.publish(publishing.stage(drop.candidates_uri, drop.validation_uri))
    requeued = requeueing.requeue(DROP, "run")
    mended = pq.read_table(io.BytesIO(storage.read_bytes(requeued.uri))).to_pylist()
    assert dict(mended[0]["attributes"]) == {"Fabric": "Cotton", "baseColour": "Blue"}
    assert mended[1] == rows[1]


def store_candidates(uri: str, rows: list[dict[str, Any]]) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=CANDIDATES), sink)
    storage.write_bytes(uri, sink.getvalue())


def test_a_reason_that_no_row_has_is_refused_beside_those_that_are_there(published: Published) -> None:
    with pytest.raises(
        PermanentError, match=r"quarantine for bad_year. It holds: missing_display_name 1, picture_miss"
    ):
        requeueing.requeue(DROP, "run", "bad_year")


def test_a_drop_without_quarantine_is_refused(store_drop: StoreDrop) -> None:
    drop = store_drop(DROP, ["1"])
    publishing.publish(publishing.stage(drop.candidates_uri, drop.validation_uri))
    with pytest.raises(PermanentError, match=r"quarantine for any reason. It holds: no row at all"):
        requeueing.requeue(DROP, "run")


def test_a_drop_that_was_never_published_is_refused(store_drop: StoreDrop) -> None:
    with pytest.raises(PermanentError, match=f"holds no drop {DROP}: there is nothing to requeue"):
        requeueing.requeue(DROP, "run")
