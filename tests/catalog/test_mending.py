"""Rows mended by hand, on a drop that was really read."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.drops import small
from tests.drops.small import line

from lookbook import drops, storage
from lookbook.catalog import mended_files, mending
from lookbook.catalog.mending import MendedFile, MendedRows
from lookbook.drops.lines import COLUMNS
from lookbook.errors import PermanentError
from lookbook.quality import frame

DROP = small.DROP_ID
# Of six rows, lines 3 to 6 are bad: too short, no id, no picture, a second row of an id.
LINES = (line(1), "2,Men,Apparel", line("x3"), line(32), line(1, name="Orlavane Men Red Shirt"), line(5))
WHOLE = dict(zip(COLUMNS, line(2, name="Orlavane Men Blue Polo").split(","), strict=True))


@dataclass
class ReadDrop:
    """The drop of ``LINES`` as it was read, and which of its rows the suite's rules about rows reject."""

    manifest: dict[str, Any]
    candidates: pa.Table

    @property
    def rejected(self) -> list[dict[str, Any]]:
        rows = frame.build(self.candidates).to_dict("records")
        found = [(position, _reasons(row)) for position, row in enumerate(rows)]
        return [{"position": position, "reasons": reasons, "detail": None} for position, reasons in found if reasons]

    def reasons(self) -> dict[int, list[str]]:
        numbers = self.candidates["line_number"].to_pylist()
        return {numbers[row["position"]]: row["reasons"] for row in self.rejected}

    def row(self, line_number: int) -> dict[str, Any]:
        [found] = [row for row in self.candidates.to_pylist() if row["line_number"] == line_number]
        return found

    def given_out(self) -> str:
        return mended_files.write(mending.quarantined(self.candidates, self.rejected))

    def mend(self, changes: dict[int, dict[str, str]], content: str | None = None) -> MendedRows:
        """Change cells, by line number, in the file of the quarantined rows, hand it in and take what comes of it."""
        uri = mending.upload(DROP, change(content or self.given_out(), changes), "mended.csv").uri
        mended = mending.mend(self.candidates, self.rejected, mending.read(uri, DROP), self.manifest)
        assert len(mended.candidates) == len(LINES)
        self.candidates = mended.candidates
        return mended


def _reasons(row: dict[Any, Any]) -> list[str]:
    problems = [row[name] for name in ("row_problem", "picture_problem") if isinstance(row[name], str)]
    return problems + (["duplicate_id"] if row["occurrence"] > 1 else [])


def change(content: str, changes: dict[int, dict[str, str]]) -> bytes:
    rows = list(csv.DictReader(io.StringIO(content)))
    for row in rows:
        row.update(changes.get(int(row["line_number"]), {}))
    text = io.StringIO()
    table = csv.DictWriter(text, rows[0].keys())
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


@pytest.fixture
def drop(aws_server: str, tmp_path: Path) -> ReadDrop:
    files = {f"images/{number}.jpg": small.jpeg(140 + number) for number in (3, 4)}
    directory = small.write_directory(tmp_path / "drop", *LINES, files=files)
    (directory / "images" / "32.jpg").unlink()
    drops.upload(directory, DROP)
    for name, content in files.items():  # of no row as it was read, so the upload left them out
        storage.write_bytes(f"s3://lookbook/drops/{DROP}/{name}", content)
    manifest = drops.fingerprint(drops.discover(DROP))
    candidates = pq.read_table(io.BytesIO(storage.read_bytes(drops.read(manifest.uri).uri)))
    found = ReadDrop(storage.read_json(manifest.uri), candidates)
    assert found.reasons() == {
        3: ["too_few_fields"],
        4: ["bad_product_id"],
        5: ["picture_missing"],
        6: ["duplicate_id"],
    }
    return found


def test_mended_rows_get_their_picture_and_json_and_the_others_stay(drop: ReadDrop) -> None:
    before = drop.candidates.to_pylist()
    assert drop.mend({3: WHOLE, 4: {"id": "3"}}).positions == (1, 2)
    assert drop.reasons() == {5: ["picture_missing"], 6: ["duplicate_id"]}
    two, three = drop.row(3), drop.row(4)
    assert (two["display_name"], two["year"], two["brand"]) == ("Orlavane Men Blue Polo", 2026, "Orlavane")
    assert three["picture_uri"] == f"s3://lookbook/drops/{DROP}/images/3.jpg"
    assert three["picture_sha256"] and dict(three["attributes"]) == {"baseColour": "Blue"}
    after = drop.candidates.to_pylist()
    assert [after[at] for at in (0, 3, 4, 5)] == [before[at] for at in (0, 3, 4, 5)]


def test_a_mended_row_says_what_it_was_and_which_file_says_what_it_is(drop: ReadDrop) -> None:
    content = change(drop.given_out(), {3: WHOLE})
    drop.mend({3: WHOLE})
    checksum = hashlib.sha256(content).hexdigest()
    assert drop.row(3)["raw_line"] == "2,Men,Apparel"
    assert drop.row(3)["mending"] == {
        "uri": f"s3://lookbook/mended/{DROP}/{checksum[:16]}.csv",
        "sha256": checksum,
        "line": ",".join(WHOLE.values()),
        "fields": list(COLUMNS[3:]),
    }
    assert drop.row(2)["mending"] is None


def test_mended_is_a_repair_beside_those_of_its_text(drop: ReadDrop) -> None:
    drop.mend({4: {"id": "3", "productDisplayName": "OrlavanÃ© Shirt"}})
    assert (drop.row(4)["repairs"], drop.row(4)["display_name"]) == (["mojibake", "mended"], "Orlavané Shirt")


def test_rows_that_nobody_touched_are_not_mended(drop: ReadDrop) -> None:
    assert drop.mend({3: WHOLE}).positions == (1,)


def test_a_row_that_is_still_bad_stays_bad_with_its_new_reason(drop: ReadDrop) -> None:
    drop.mend({3: WHOLE | {"year": "20x6"}, 4: {"id": "4000"}})
    assert drop.reasons() == {3: ["bad_year"], 4: ["picture_missing"], 5: ["picture_missing"], 6: ["duplicate_id"]}


def test_a_row_that_is_still_bad_goes_out_again_as_it_was_mended(drop: ReadDrop) -> None:
    drop.mend({3: WHOLE | {"year": "20x6"}})
    [row] = [row for row in csv.DictReader(io.StringIO(drop.given_out())) if row["line_number"] == "3"]
    assert (row["year"], row["productDisplayName"], row["reasons"]) == ("20x6", "Orlavane Men Blue Polo", "bad_year")
    drop.mend({3: {"year": "2026"}})
    assert 3 not in drop.reasons()


def test_a_hostile_id_stays_bad_and_reads_nothing(drop: ReadDrop) -> None:
    for hostile in ("../../x", "/etc/passwd", "٥", "1" + "0" * 30, "=1+1", "3.jpg"):
        drop.mend({4: {"id": hostile}})
        row = drop.row(4)
        assert (row["row_problem"], row["product_id"], row["picture_uri"]) == ("bad_product_id", None, None)


CELL = st.text(max_size=20) | st.sampled_from(["", "1", "3", "32", "NA", "2026", "=1+1", "../../x", "a\nb", '"', "\0"])
CELLS = st.fixed_dictionaries({column: CELL for column in COLUMNS})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.dictionaries(st.sampled_from([3, 4, 5, 6]), CELLS, min_size=1))
def test_whatever_is_handed_in_no_row_is_lost_and_no_other_touched(
    drop: ReadDrop, cells: dict[int, dict[str, str]]
) -> None:
    file = MendedFile(f"s3://lookbook/mended/{DROP}/a.csv", "etag", "checksum", cells)
    before = drop.candidates.to_pylist()
    after = mending.mend(drop.candidates, drop.rejected, file, drop.manifest).candidates
    rows = after.to_pylist()
    assert [row["line_number"] for row in rows] == [2, 3, 4, 5, 6, 7]
    assert [row["raw_line"] for row in rows] == list(LINES)
    assert all(row == old for row, old in zip(rows, before, strict=True) if row["line_number"] not in cells)
    assert {2, 7}.isdisjoint(ReadDrop(drop.manifest, after).reasons())
    again = ReadDrop(drop.manifest, after).given_out()
    assert len(mended_files.parse(again.encode(), "again.csv")) == again.count("\n") - 1


@pytest.mark.parametrize(("taken", "kept"), [("1", 2), ("5", 7)])
def test_a_mended_row_never_drives_out_a_published_one(drop: ReadDrop, taken: str, kept: int) -> None:
    before = drop.row(kept)
    drop.mend({4: {"id": taken}})  # 1 stands in an earlier line, 5 in a later one
    assert drop.row(kept) == before
    assert (drop.reasons().get(kept), drop.reasons()[4]) == (None, ["duplicate_id"])


def test_of_two_rows_mended_to_one_id_the_first_is_good(drop: ReadDrop) -> None:
    drop.mend({4: {"id": "3"}, 6: {"id": "3"}})
    assert drop.reasons() == {3: ["too_few_fields"], 5: ["picture_missing"], 6: ["duplicate_id"]}


def test_a_mended_row_can_be_mended_again_when_it_is_good(drop: ReadDrop) -> None:
    first = drop.given_out()
    drop.mend({3: WHOLE})
    assert drop.mend({3: WHOLE | {"productDisplayName": "Polo"}, 4: {"id": "3"}}, first).positions == (1, 2)
    assert drop.row(3)["display_name"] == "Polo"


def test_a_row_that_says_again_what_it_was_mended_to_changes_nothing(drop: ReadDrop) -> None:
    first = drop.given_out()
    drop.mend({3: WHOLE})
    mending_before = drop.row(3)["mending"]
    assert drop.mend({3: WHOLE, 4: {"id": "3"}}, first).positions == (2,)
    assert drop.row(3)["mending"] == mending_before


def test_an_untouched_row_of_an_older_file_takes_nothing_back(drop: ReadDrop) -> None:
    first = drop.given_out()
    drop.mend({3: WHOLE})
    drop.mend({4: {"id": "3"}}, first)
    assert 3 not in drop.reasons()


def test_candidates_of_an_older_lookbook_get_the_new_columns(drop: ReadDrop) -> None:
    older = drop.candidates.drop_columns("mending")
    assert mending.with_every_column(older) == drop.candidates
    assert mending.with_every_column(drop.candidates) == drop.candidates


def test_a_picture_that_changed_since_the_drop_was_read_is_refused(drop: ReadDrop) -> None:
    storage.write_bytes(f"s3://lookbook/drops/{DROP}/images/3.jpg", b"another")
    with pytest.raises(PermanentError, match=r"images/3\.jpg is not the file that manifest"):
        drop.mend({4: {"id": "3"}})


def test_a_picture_that_came_after_the_drop_was_read_is_none_of_it(drop: ReadDrop) -> None:
    storage.write_bytes(f"s3://lookbook/drops/{DROP}/images/4000.jpg", small.jpeg())
    drop.mend({4: {"id": "4000"}})
    assert drop.reasons()[4] == ["picture_missing"]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (f"2,{line(1)}", r"names lines that cannot be mended: 2 \(the row is published as it was read"),
        (f"99,{line(9)}", r"names lines that cannot be mended: 99 \(no row of the drop begins there\)"),
        (f"4,{line('x3')}", r"changes nothing: each of its 1 rows is as drop 2026-11-16 has it already"),
    ],
)
def test_a_file_that_mends_nothing_of_the_drop_is_refused(drop: ReadDrop, row: str, problem: str) -> None:
    with pytest.raises(PermanentError, match=problem):
        drop.mend({}, f"line_number,{small.HEADER}\n{row}\n")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://elsewhere/mended/2026-11-16/a.csv",
        "s3://lookbook/mended/2026-11-09/a.csv",
        "s3://lookbook/mended/2026-11-16/../../drops/a.csv",
        "s3://lookbook/mended/2026-11-16/a.csv\n",
        "s3://lookbook/mended/2026-11-16/.csv",
        "s3://lookbook/drops/2026-11-16/styles.csv",
        "/tmp/a.csv",
    ],
)
def test_only_a_file_among_the_mended_ones_of_the_drop_is_read(uri: str) -> None:
    expected = r"is no file of mended rows of drop 2026-11-16\. Expected s3://lookbook/mended/2026-11-16/<name>\.csv"
    with pytest.raises(PermanentError, match=expected):
        mending.read(uri, DROP)


def test_a_file_that_is_not_there_or_too_large_is_refused(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"s3://lookbook/mended/{DROP}/a.csv"
    with pytest.raises(PermanentError, match=r"a\.csv does not exist"):
        mending.read(uri, DROP)
    storage.write_bytes(uri, b"12345678901")
    monkeypatch.setattr(mending, "MAX_FILE_BYTES", 10)
    with pytest.raises(PermanentError, match=r"has 11 bytes; a file of mended rows has at most 10"):
        mending.read(uri, DROP)


def test_what_is_no_file_of_mended_rows_is_not_stored(bucket: str) -> None:
    with pytest.raises(PermanentError, match=r"notes\.txt has not the columns"):
        mending.upload(DROP, b"hello", "notes.txt")
    assert list(storage.list_objects("s3://lookbook/mended/")) == []
