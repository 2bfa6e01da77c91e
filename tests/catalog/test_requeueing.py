from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lookbook import storage
from lookbook.catalog import __main__ as command
from lookbook.catalog import ingests, mending, publishing, requeueing, tables
from lookbook.catalog.publishing import PRODUCTS, QUARANTINE, Published
from lookbook.catalog.requeueing import Requeued
from lookbook.catalog.schemas import CANDIDATES
from lookbook.drops.lines import COLUMNS
from lookbook.errors import PermanentError
from lookbook.lineage.records import Dataset, TaskKey, recording

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


LINE = "9,Men,Apparel,Topwear,Shirts,Blue,Fall,2026,Casual,Orlavane Men Blue Shirt"


@pytest.fixture
def mended_uri(published: Published) -> str:
    """A file that mends line 3, which is in quarantine for its name; the drop it is of holds no pictures."""
    manifest = {"drop_id": DROP, "drop_uri": f"s3://lookbook/drops/{DROP}/", "fingerprint": "f1", "files": {}}
    storage.write_json(f"s3://lookbook/staging/{DROP}/f1/manifest.json", manifest)
    return mending.upload(DROP, f"line_number,{','.join(COLUMNS)}\n3,{LINE}\n".encode(), "mended.csv").uri


def test_mended_rows_are_published_and_nothing_is_lost(mended_uri: str) -> None:
    again = publish(requeueing.requeue(DROP, "run", rows_uri=mended_uri), rejected=[VERDICTS[1]])
    assert again.rows == again.published + again.quarantined == 4
    assert (ids(PRODUCTS), ids(QUARANTINE)) == (["1", "4", "9"], ["3"])
    [product] = tables.read(PRODUCTS, tables.equals("product_id", "9")).to_pylist()
    assert (product["raw_line"], product["mending"]["line"]) == ("2,Men", LINE)


def test_a_row_that_was_mended_in_vain_keeps_its_line_and_its_mended_text(mended_uri: str) -> None:
    still_bad = {"position": 1, "reasons": ["picture_missing"], "detail": "no picture"}
    publish(requeueing.requeue(DROP, "run", rows_uri=mended_uri), rejected=[still_bad, VERDICTS[1]])
    [row] = tables.read(QUARANTINE, tables.equals("product_id", "9")).to_pylist()
    assert (row["reasons"], row["raw_line"], row["mending"]["line"]) == (["picture_missing"], "2,Men", LINE)


def test_a_second_requeue_keeps_what_was_mended(mended_uri: str) -> None:
    publish(requeueing.requeue(DROP, "run 1", rows_uri=mended_uri), rejected=[VERDICTS[1]])
    again = requeueing.requeue(DROP, "run 2", "picture_missing")
    assert (again.requeued, again.mended) == (1, 0)
    publish(again, rejected=[])
    assert (ids(PRODUCTS), ids(QUARANTINE)) == (["1", "3", "4", "9"], [])


def test_with_a_reason_mended_rows_are_judged_and_rows_of_other_reasons_stay(mended_uri: str) -> None:
    requeued = requeueing.requeue(DROP, "run", "picture_missing", mended_uri)
    assert (requeued.requeued, requeued.mended) == (2, 1)
    still_bad = {"position": 2, "reasons": ["picture_missing"], "detail": "no picture"}
    publish(requeued, rejected=[still_bad])
    assert (ids(PRODUCTS), ids(QUARANTINE)) == (["1", "4", "9"], ["3"])


def test_what_a_requeue_was_made_from_is_lineage(mended_uri: str) -> None:
    with recording(TaskKey("requeue_drop", "run", "requeue", drop_id=DROP)) as record:
        requeueing.requeue(DROP, "run", rows_uri=mended_uri)
    stored = storage.find(mended_uri)
    assert stored and Dataset("object", mended_uri, stored.etag) in record.inputs
    assert Dataset("prefix", f"s3://lookbook/drops/{DROP}/", "f1") in record.inputs
    assert record.counts == {"rows": 4, "requeued": 2, "mended": 1}


def test_a_run_that_is_cleared_after_it_published_finds_what_it_made(mended_uri: str) -> None:
    with recording(TaskKey("requeue_drop", "run", "requeue", drop_id=DROP)) as first:
        requeued = requeueing.requeue(DROP, "run", rows_uri=mended_uri)
        done = publish(requeued, rejected=[])
    with recording(TaskKey("requeue_drop", "run", "requeue", drop_id=DROP)) as second:
        assert requeueing.requeue(DROP, "run", rows_uri=mended_uri) == requeued
        assert publish(requeued, rejected=[]) == done
    assert second.counts == first.counts


def test_a_difference_tells_what_was_mended_anew(mended_uri: str) -> None:
    publish(requeueing.requeue(DROP, "run 1", rows_uri=mended_uri), rejected=[VERDICTS[1]])
    better = f"line_number,{','.join(COLUMNS)}\n3,{LINE} in Cotton\n"
    uri = mending.upload(DROP, better.encode(), "mended.csv").uri
    requeued = requeueing.requeue(DROP, "run 2", rows_uri=uri)
    done = publish(requeued, rejected=[])
    difference = ingests.record_difference(done, f"{requeued.uri.rpartition('/')[0]}/validation.json")
    listed = storage.read_json(difference.uri)
    assert (listed["added"], listed["changed"], listed["removed"]) == (["3"], ["9"], [])


def test_an_ingest_of_the_same_drop_is_skipped_and_by_force_undoes_the_mending(
    mended_uri: str, store_drop: StoreDrop
) -> None:
    publish(requeueing.requeue(DROP, "run", rows_uri=mended_uri), rejected=[VERDICTS[1]])
    assert not ingests.decide(DROP, "f1", force=False).passed
    drop = store_drop(DROP, ["1", "2", "3", "4"], verdicts=VERDICTS)
    publishing.publish(publishing.stage(drop.candidates_uri, drop.validation_uri))
    assert (ids(PRODUCTS), ids(QUARANTINE)) == (["1", "4"], ["2", "3"])


def test_the_command_gives_rows_out_and_takes_them_in(
    mended_uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["quarantine", DROP]) == 0
    given_out = capsys.readouterr().out
    assert [row.split(",")[0] for row in given_out.splitlines()] == ["line_number", "3", "4"]
    (tmp_path / "mended.csv").write_text(given_out.replace("4,3,Men", "4,3,Women"))
    assert command.main(["mended", DROP, str(tmp_path / "mended.csv")]) == 0
    assert requeueing.requeue(DROP, "run", rows_uri=capsys.readouterr().out.strip()).mended == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["quarantine", "2026-11-09"], "The catalogue holds no drop 2026-11-09"),
        (["mended", DROP, "/nowhere.csv"], "/nowhere.csv"),
        (["mended", "today", "README.md"], "README.md has not the columns"),
    ],
)
def test_the_command_says_what_is_wrong(
    aws_server: str, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(arguments) == 1
    output = capsys.readouterr()
    assert (output.out, problem in output.err) == ("", True)


def test_a_drop_without_quarantine_has_nothing_to_give_out(store_drop: StoreDrop) -> None:
    drop = store_drop(DROP, ["1"])
    publishing.publish(publishing.stage(drop.candidates_uri, drop.validation_uri))
    with pytest.raises(PermanentError, match=f"Every row of drop {DROP} is published"):
        requeueing.quarantined(DROP)
