from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from tests.drops import small
from tests.drops.small import DROP_ID, HEADER, line

from lookbook import drops, storage
from lookbook.drops.discovery import Drop, Manifest, drop_id_of, drop_uri
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage import records
from lookbook.storage import StoredObject

URI = f"s3://lookbook/drops/{DROP_ID}/"


@pytest.fixture
def uploaded(bucket: str, tmp_path: Path) -> Path:
    directory = small.write_directory(tmp_path / "drop", line(1), line(2))
    drops.upload(directory, DROP_ID)
    return directory


@pytest.mark.parametrize(
    "drop_id", ["2026-11-17", "2026-13-01", "", "last week", "../x", "20261116", "2026-W47-1", "2026-11-16/../x"]
)
def test_a_drop_is_named_by_a_monday(drop_id: str) -> None:
    with pytest.raises(PermanentError, match="is named by the Monday of its week"):
        drop_uri(drop_id)


def test_a_complete_drop_is_found(uploaded: Path) -> None:
    assert drops.discover(DROP_ID) == Drop(DROP_ID, URI)


def test_a_drop_that_is_not_there_is_named(bucket: str) -> None:
    with pytest.raises(PermanentError, match=f"no drop {DROP_ID}: nothing lies under {URI}"):
        drops.discover(DROP_ID)


def test_a_prefix_without_styles_csv_is_no_drop(bucket: str) -> None:
    storage.write_bytes(f"{URI}images/1.jpg", small.jpeg())
    with pytest.raises(PermanentError, match=f"{URI} is no drop: it has no styles.csv"):
        drops.discover(DROP_ID)


@pytest.mark.parametrize("content", ["", "\n", "\n\n"])
def test_an_empty_styles_csv_is_named(uploaded: Path, content: str) -> None:
    storage.write_bytes(f"{URI}styles.csv", content.encode())
    with pytest.raises(PermanentError, match=f"{URI}styles.csv .*expected"):
        drops.discover(DROP_ID)


@pytest.mark.parametrize("content", [HEADER, f"{HEADER}\n", f"{HEADER}\r\n\r\n  \r\n"])
def test_a_styles_csv_without_rows_is_named(uploaded: Path, content: str) -> None:
    storage.write_bytes(f"{URI}styles.csv", content.encode())
    with pytest.raises(PermanentError, match=f"{URI}styles.csv has no rows"):
        drops.discover(DROP_ID)


def test_wrong_columns_are_named_beside_the_right_ones(uploaded: Path) -> None:
    storage.write_bytes(f"{URI}styles.csv", b"sku,title\n1,Shirt\n")
    with pytest.raises(PermanentError, match=r"styles.csv .*found sku, title; expected id, gender") as failure:
        drops.discover(DROP_ID)
    assert "docs/data-contract.md" in str(failure.value)


def test_a_drop_without_pictures_is_no_drop(uploaded: Path) -> None:
    storage.delete_others(URI, {"styles.csv", "_SUCCESS"})
    with pytest.raises(PermanentError, match=r"holds no pictures; expected images/<id>.jpg"):
        drops.discover(DROP_ID)


def test_a_drop_that_is_still_being_uploaded_can_be_tried_again(uploaded: Path) -> None:
    storage.delete(f"{URI}_SUCCESS")
    with pytest.raises(RetryableError, match="_SUCCESS"):
        drops.discover(DROP_ID)


def test_a_drop_that_nobody_has_changed_for_a_while_is_complete(
    uploaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.delete(f"{URI}_SUCCESS")
    changed = storage.last_change(URI)
    assert changed is not None
    monkeypatch.setattr(storage, "last_change", lambda _uri: changed - timedelta(seconds=901))
    assert drops.discover(DROP_ID).drop_id == DROP_ID


def test_a_change_of_any_file_begins_the_waiting_anew(uploaded: Path) -> None:
    first = storage.last_change(URI)
    storage.write_bytes(f"{URI}images/2.jpg", small.jpeg(33))
    last = storage.last_change(URI)
    assert first and last and last >= first
    assert storage.last_change("s3://lookbook/nothing/") is None


def test_a_drop_with_every_file_of_its_senders_manifest_is_complete(uploaded: Path) -> None:
    storage.delete(f"{URI}_SUCCESS")
    sizes = {stored.uri.removeprefix(URI): stored.size for stored in storage.list_objects(URI)}
    storage.write_json(f"{URI}manifest.json", {"files": sizes | {"images/9.jpg": 3}})
    with pytest.raises(RetryableError, match=r"1 of the 6 files that its manifest.json names .* images/9.jpg"):
        drops.discover(DROP_ID)
    storage.write_json(f"{URI}manifest.json", {"files": sizes})
    before = drops.fingerprint(drops.discover(DROP_ID))
    storage.delete(f"{URI}manifest.json")
    storage.write_bytes(f"{URI}_SUCCESS", b"")
    assert drops.fingerprint(drops.discover(DROP_ID)) == before


@pytest.mark.parametrize("content", [{}, [], {"files": ["styles.csv"]}, {"files": {"styles.csv": "12"}}])
def test_a_senders_manifest_that_is_none_is_named(uploaded: Path, content: object) -> None:
    storage.delete(f"{URI}_SUCCESS")
    storage.write_json(f"{URI}manifest.json", content)
    with pytest.raises(PermanentError, match=r"manifest.json is no manifest; expected"):
        drops.discover(DROP_ID)


def test_looking_for_a_drop_writes_nothing(uploaded: Path) -> None:
    before = list(storage.list_objects("s3://lookbook/"))
    drops.discover(DROP_ID)
    assert list(storage.list_objects("s3://lookbook/")) == before


def test_the_manifest_names_every_file_with_its_version(uploaded: Path) -> None:
    manifest = drops.fingerprint(drops.discover(DROP_ID))
    content = storage.read_json(manifest.uri)
    assert manifest.uri == f"s3://lookbook/staging/{DROP_ID}/{manifest.fingerprint}/manifest.json"
    assert (manifest.rows, manifest.files) == (2, 5)
    assert set(content["files"]) == {"styles.csv", "images/1.jpg", "images/2.jpg", "styles/1.json", "styles/2.json"}
    picture = storage.find(f"{URI}images/1.jpg")
    assert picture is not None
    assert content["files"]["images/1.jpg"] == [picture.size, picture.etag]


def test_equal_drops_have_equal_fingerprints_and_changed_ones_do_not(uploaded: Path) -> None:
    first = drops.fingerprint(drops.discover(DROP_ID))
    drops.upload(uploaded, DROP_ID)
    assert drops.fingerprint(drops.discover(DROP_ID)) == first
    storage.write_bytes(f"{URI}images/2.jpg", small.jpeg(33))
    assert drops.fingerprint(drops.discover(DROP_ID)).fingerprint != first.fingerprint


def test_what_was_read_and_written_is_recorded(uploaded: Path) -> None:
    with records.recording(records.TaskKey("ingest_drop", "run", "fingerprint")) as record:
        manifest = drops.fingerprint(drops.discover(DROP_ID))
    assert ("prefix", URI, manifest.fingerprint) in [(d.kind, d.name, d.version) for d in record.inputs]
    checksum = hashlib.sha256((uploaded / "styles.csv").read_bytes()).hexdigest()
    assert (f"{URI}styles.csv", checksum) in [(d.name, d.checksum) for d in record.inputs]
    assert [d.name for d in record.outputs] == [manifest.uri]
    assert record.counts["rows"] == 2


def test_references_can_be_handed_on_as_json(uploaded: Path) -> None:
    drop = drops.discover(DROP_ID)
    manifest = drops.fingerprint(drop)
    assert Drop(**drop.reference()) == drop
    assert Manifest(**manifest.reference()) == manifest


@pytest.mark.parametrize("text", ["2026-11-16", "s3://lookbook/drops/2026-11-16/", "s3://lookbook/drops/2026-11-16"])
def test_a_drop_is_named_by_its_monday_or_by_its_uri(text: str) -> None:
    assert drop_id_of(text) == "2026-11-16"


@pytest.mark.parametrize("text", ["s3://other/drops/2026-11-16/", "s3://lookbook/2026-11-16", "/drops/2026-11-16"])
def test_a_uri_that_leads_elsewhere_names_no_drop(text: str) -> None:
    with pytest.raises(PermanentError, match=r"Its drops lie under s3://lookbook/drops/"):
        drop_id_of(text)


def test_a_file_whose_name_holds_a_line_break_is_another_file(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drops.upload(small.write_directory(tmp_path / "drop", line(1)), DROP_ID)
    drop = Drop(DROP_ID, drop_uri(DROP_ID))

    def fingerprint_of(*names: str) -> str:
        listed = [StoredObject(drop.uri + name, "e", 0) for name in names]
        monkeypatch.setattr(storage, "list_objects", lambda _uri: iter(listed))
        return drops.fingerprint(drop).fingerprint

    assert fingerprint_of("images/a", "images/b") != fingerprint_of("images/a\n0\ne\nimages/b")
