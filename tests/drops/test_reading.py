from __future__ import annotations

import logging
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.drops import small
from tests.drops.small import DROP_ID, line

from lookbook import drops, storage
from lookbook.catalog.schemas import CANDIDATES
from lookbook.drops import candidates, reading
from lookbook.drops.sample import write_drop
from lookbook.errors import PermanentError
from lookbook.lineage import records
from lookbook.settings import get_settings

URI = f"s3://lookbook/drops/{DROP_ID}/"


def table(candidates: drops.Candidates) -> pa.Table:
    return pq.read_table(pa.BufferReader(storage.read_bytes(candidates.uri)))


def rows(directory: Path) -> list[dict[str, Any]]:
    return table(small.read_directory(directory)).to_pylist()


def test_a_product_is_read_with_its_json_and_its_picture(bucket: str, tmp_path: Path) -> None:
    json = orjson.dumps(small.styles(1, Fabric="Pure Cotton", Fit="Loose", Occasion="Casual", Neck="NA"))
    (row,) = rows(small.write_directory(tmp_path / "drop", line(1), files={"styles/1.json": json}))
    assert (row["drop_id"], row["product_id"], row["display_name"]) == (DROP_ID, "1", "Orlavane Men Blue Shirt")
    assert (row["brand"], row["age_group"], row["gender"], row["year"]) == ("Orlavane", "Adults-Men", "Men", 2026)
    assert dict(row["attributes"]) == {"Fabric": "Cotton", "Fit": "Loose Fit", "baseColour": "Blue"}
    assert dict(row["raw_attributes"]) == {"Fabric": "Pure Cotton", "Fit": "Loose", "Occasion": "Casual", "Neck": "NA"}
    stored = storage.find(f"{URI}images/1.jpg")
    assert stored is not None
    assert (row["picture_uri"], row["picture_etag"]) == (stored.uri, stored.etag)
    assert (row["picture_width"], row["picture_height"], len(row["picture_phash"])) == (24, 32, 16)
    assert row["styles_json_uri"] == f"{URI}styles/1.json"
    assert (row["line_number"], row["raw_line"]) == (2, line(1))
    assert [row[name] for name in ("row_problem", "picture_problem", "styles_problem", "problem_detail")] == [None] * 4


def test_candidates_have_the_contracts_schema(bucket: str, tmp_path: Path) -> None:
    candidates = small.read_directory(small.write_directory(tmp_path / "drop", line(1)))
    assert table(candidates).schema.equals(CANDIDATES)


def test_na_stays_a_value_empty_becomes_null_and_neither_is_an_attribute(bucket: str, tmp_path: Path) -> None:
    first, second = rows(
        small.write_directory(tmp_path / "drop", line(1, baseColour="NA", usage="NA"), line(2, baseColour="", year=""))
    )
    assert (first["base_colour"], first["usage"], first["attributes"]) == ("NA", "NA", [])
    assert (second["base_colour"], second["year"], second["attributes"]) == (None, None, [])


def test_a_row_that_cannot_be_read_is_a_candidate_with_its_problem(bucket: str, tmp_path: Path) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1), "2,Men", line("../../x"), line(4, year="soon"))
    candidates = small.read_directory(directory)
    found = [(row["product_id"], row["row_problem"], row["raw_line"]) for row in table(candidates).to_pylist()]
    assert found == [
        ("1", None, line(1)),
        ("2", "too_few_fields", "2,Men"),
        (None, "bad_product_id", line("../../x")),
        ("4", "bad_year", line(4, year="soon")),
    ]
    assert candidates.rows == 4
    assert candidates.problems == {"too_few_fields": 1, "bad_product_id": 1, "bad_year": 1}


def test_pictures_that_cannot_be_used_say_why(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_MAX_PICTURE_PIXELS", "1000")
    get_settings.cache_clear()
    directory = small.write_directory(
        tmp_path / "drop",
        *(line(number) for number in (1, 2, 3, 4)),
        files={"images/3.jpg": b"<html>", "images/4.jpg": small.jpeg(size=(100, 100))},
    )
    (directory / "images" / "2.jpg").unlink()
    found = rows(directory)
    assert [row["picture_problem"] for row in found] == [
        None,
        "picture_missing",
        "picture_unreadable",
        "picture_too_large",
    ]
    assert found[1]["problem_detail"] == "images/2.jpg is not in the drop"
    assert "100×100 pixels" in found[3]["problem_detail"]
    assert found[1]["picture_sha256"] is None


def test_a_file_of_too_many_bytes_is_not_fetched(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "MAX_PICTURE_BYTES", 10)
    monkeypatch.setattr(candidates, "MAX_JSON_BYTES", 10)
    (row,) = rows(small.write_directory(tmp_path / "drop", line(1)))
    assert (row["picture_problem"], row["styles_problem"]) == ("picture_too_large", "json_too_large")


def test_a_product_without_usable_json_keeps_what_the_row_says(bucket: str, tmp_path: Path) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1), line(2), files={"styles/2.json": b"{"})
    (directory / "styles" / "1.json").unlink()
    first, second = rows(directory)
    assert (first["styles_problem"], first["styles_json_uri"]) == ("json_missing", None)
    assert (second["styles_problem"], second["brand"]) == ("json_unreadable", None)
    assert dict(first["attributes"]) == {"baseColour": "Blue"}
    assert first["picture_problem"] is None


def test_rows_keep_their_order_across_chunks(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK_ROWS", 3)
    directory = small.write_directory(tmp_path / "drop", *(line(number) for number in range(1, 11)))
    candidates = small.read_directory(directory)
    assert [row["product_id"] for row in table(candidates).to_pylist()] == [str(number) for number in range(1, 11)]
    parquet = pq.ParquetFile(pa.BufferReader(storage.read_bytes(candidates.uri)))
    assert parquet.num_row_groups == 4


def test_repairs_are_counted(bucket: str, tmp_path: Path) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1, "A, B"), line(2, 'A 3.5" B'), line(3, " A"), line(4))
    assert small.read_directory(directory).repairs == {"stray_comma": 1, "stray_quote": 1, "whitespace": 1}


def test_reading_twice_gives_the_same_bytes(bucket: str, tmp_path: Path) -> None:
    write_drop(tmp_path / "drop", date(2026, 11, 16), 30)
    first = small.read_directory(tmp_path / "drop")
    content = storage.read_bytes(first.uri)
    assert drops.read(first.manifest_uri) == first
    assert storage.read_bytes(first.uri) == content


def test_a_drop_that_changed_since_its_fingerprint_is_not_mixed_up(bucket: str, tmp_path: Path) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1), line(2))
    drops.upload(directory, DROP_ID)
    manifest = drops.fingerprint(drops.discover(DROP_ID))
    storage.write_bytes(f"{URI}images/2.jpg", small.jpeg(33))
    with pytest.raises(PermanentError, match=r"images/2.jpg is not the file .* changed since"):
        drops.read(manifest.uri)
    storage.delete(f"{URI}images/2.jpg")
    with pytest.raises(PermanentError, match=r"images/2.jpg is not the file .* changed since"):
        drops.read(manifest.uri)
    assert storage.find(manifest.uri.replace("manifest.json", "candidates.parquet")) is None


def test_progress_is_logged(bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    small.read_directory(small.write_directory(tmp_path / "drop", line(1), line(2)))
    assert f"reading drop {DROP_ID}: 2 of 2" in caplog.text
    assert "s left" in caplog.text


def test_what_was_read_and_written_is_recorded(bucket: str, tmp_path: Path) -> None:
    drops.upload(small.write_directory(tmp_path / "drop", line(1), "2,cut"), DROP_ID)
    manifest = drops.fingerprint(drops.discover(DROP_ID))
    with records.recording(records.TaskKey("ingest_drop", "run", "read")) as record:
        candidates = drops.read(manifest.uri)
    [fingerprinted, drop] = record.inputs
    assert fingerprinted.name == manifest.uri
    assert (drop.name, drop.version) == (URI, manifest.fingerprint)
    assert [d.name for d in record.outputs] == [candidates.uri]
    assert record.counts == {"rows": 2, "repaired": 0, "too_few_fields": 1, "same_picture": 0, "alike_picture": 0}
    assert record.details == {"vocabulary": "v1"}


def test_the_sample_drop_is_read_to_the_last_row(bucket: str, tmp_path: Path) -> None:
    quirks = write_drop(tmp_path / "drop", date(2026, 11, 16), 100).quirks
    candidates = small.read_directory(tmp_path / "drop")
    assert candidates.rows == 100
    assert candidates.problems == {
        "picture_missing": quirks["missing_picture"],
        "picture_unreadable": quirks["unreadable_picture"],
        "json_missing": quirks["missing_json"],
        "too_few_fields": quirks["cut_line"],
    }
    assert candidates.repairs == {
        "stray_comma": quirks["comma_in_name"],
        "stray_quote": quirks["quote_in_name"],
        "mojibake": quirks["mojibake"],
        "whitespace": quirks["double_space"] + quirks["trailing_space"],
    }


def test_references_can_be_handed_on_as_json(bucket: str, tmp_path: Path) -> None:
    candidates = small.read_directory(small.write_directory(tmp_path / "drop", line(1)))
    assert drops.Candidates(**orjson.loads(orjson.dumps(candidates.reference()))) == candidates


def test_the_same_picture_under_two_ids_is_counted_once_an_id(bucket: str, tmp_path: Path) -> None:
    same = {f"images/{number}.jpg": small.jpeg() for number in (1, 2, 3)}
    directory = small.write_directory(tmp_path / "drop", line(1), line(2), line(3), line(3), files=same)
    assert small.read_directory(directory).shared_pictures == {"same_picture": 2, "alike_picture": 2}


def test_descriptors_come_as_plain_text(bucket: str, tmp_path: Path) -> None:
    said = small.styles(1)
    said["data"]["productDescriptors"] = {"style_note": {"value": "<p>A &amp; B</p>"}}
    files = {"styles/1.json": orjson.dumps(said)}
    (row,) = rows(small.write_directory(tmp_path / "drop", line(1), files=files))
    assert dict(row["descriptors"]) == {"style_note": "A & B"}
