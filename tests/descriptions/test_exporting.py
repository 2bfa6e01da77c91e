"""The shop's files: whole, the same for the same descriptions, and safe to open."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import Any

import pyarrow as pa
import pytest
from tests.descriptions.conftest import DROP

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.schemas import DESCRIPTIONS
from lookbook.descriptions import exporting
from lookbook.descriptions.exporting import export

LATEST = f"s3://lookbook/exports/{DROP}/latest.json"


def described(product_id: str, status: str = "published", **columns: Any) -> dict[str, Any]:
    """A row of ``descriptions.descriptions``."""
    text = {"title": f"Shirt {product_id}", "description": "A shirt.", "bullet_points": ["blue", "cotton"]}
    return {"drop_id": DROP, "product_id": product_id, "status": status, **text, **columns}


def commit(*rows: dict[str, Any], drop_id: str = DROP) -> None:
    table = pa.Table.from_pylist(list(rows), schema=DESCRIPTIONS)
    tables.replace("descriptions.descriptions", table, tables.equals("drop_id", drop_id))


def cells(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_what_is_published_is_exported_as_both_files_with_their_checksums(aws_server: str) -> None:
    commit(described("2"), described("10"), described("3", "withheld"), described("4", "stale"))
    commit(described("5", drop_id="2026-11-09"), drop_id="2026-11-09")
    exported = export(DROP)
    assert storage.read_json(LATEST)["uri"] == exported.uri
    manifest = storage.read_json(f"{exported.uri}manifest.json")
    contents = {name: storage.read_bytes(exported.uri + name) for name in manifest["files"]}
    assert set(contents) == {"descriptions.jsonl", "descriptions.csv"}
    for name, content in contents.items():
        assert manifest["files"][name] == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    lines = [json.loads(line) for line in contents["descriptions.jsonl"].splitlines()]
    assert [line["product_id"] for line in lines] == ["10", "2"]
    assert [line["product_id"] for line in cells(contents["descriptions.csv"])] == ["10", "2"]
    assert (manifest["rows"], exported.rows, lines[0]["bullet_points"]) == (2, 2, ["blue", "cotton"])


def test_the_same_descriptions_leave_the_same_bytes_however_often_and_whatever_else_changed(aws_server: str) -> None:
    commit(described("1"))
    first, before = export(DROP), stored()
    assert export(DROP) == first and stored() == before
    commit(described("9", drop_id="2026-11-09"), drop_id="2026-11-09")
    assert export(DROP).uri == first.uri
    del before[LATEST]  # it names the table's version, which is another one now
    assert {uri: content for uri, content in stored().items() if uri != LATEST} == before


def stored() -> dict[str, bytes]:
    return {found.uri: storage.read_bytes(found.uri) for found in storage.list_objects("s3://lookbook/exports/")}


def test_a_withdrawn_product_is_gone_from_the_next_export(aws_server: str) -> None:
    commit(described("1"), described("2"))
    first = export(DROP)
    commit(described("1"), described("2", "withheld"))
    assert (first.rows, export(DROP).rows, storage.read_json(LATEST)["rows"]) == (2, 1, 1)


def test_an_export_that_is_killed_before_its_end_changes_nothing_and_is_finished_by_the_next(
    aws_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(described("1"))
    export(DROP)
    before = storage.read_json(LATEST)
    commit(described("1"), described("2"))
    with monkeypatch.context() as killed:
        killed.setattr(exporting, "as_csv", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export(DROP)
    with monkeypatch.context() as killed:
        killed.setattr(exporting, "_point_to", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export(DROP)
    assert storage.read_json(LATEST) == before
    assert storage.read_json(LATEST)["uri"] != export(DROP).uri == storage.read_json(LATEST)["uri"]


def test_an_export_of_an_older_version_does_not_move_the_pointer_back(
    aws_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(described("1"))
    older = tables.current_snapshot("descriptions.descriptions")
    commit(described("1"), described("2"))
    newer = export(DROP)
    monkeypatch.setattr(tables, "current_snapshot", lambda name: older)
    assert export(DROP).rows == 1
    assert storage.read_json(LATEST)["uri"] == newer.uri


def test_a_drop_of_which_nothing_is_published_has_an_empty_export(aws_server: str) -> None:
    commit(described("1", "failed"))
    exported = export(DROP)
    assert storage.read_bytes(f"{exported.uri}descriptions.jsonl") == b""
    assert len(storage.read_bytes(f"{exported.uri}descriptions.csv").splitlines()) == 1
