"""A drop's published descriptions as files for the shop: JSON Lines and CSV, one row a product.

exports/<drop>/<content>/descriptions.jsonl, descriptions.csv, manifest.json
exports/<drop>/latest.json

A folder is named by what is in it and its files are written once, so an export that was killed is finished by the
next, and the same descriptions give the same files however often they are exported. The pointer is set last.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import pyarrow as pa
from pyiceberg.expressions import And

from lookbook import storage
from lookbook.catalog import tables
from lookbook.lineage import records
from lookbook.settings import get_settings
from lookbook.spreadsheets import as_csv

log = logging.getLogger(__name__)

_TABLE = "descriptions.descriptions"
# What a shop needs, and the input's checksum, by which any text can be traced back.
COLUMNS = (
    "product_id",
    "title",
    "description",
    "bullet_points",
    "keywords",
    "language",
    "picture_uri",
    "drop_id",
    "input_hash",
)
_TYPES = {"descriptions.jsonl": "application/x-ndjson", "descriptions.csv": "text/csv; charset=utf-8"}
_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2


@dataclass(frozen=True)
class Export:
    """Where a drop's descriptions lie for the shop; ``snapshot`` is the version of the table that they are of."""

    drop_id: str
    uri: str
    rows: int
    snapshot: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def export(drop_id: str) -> Export:
    """Write a drop's published descriptions, as the table has them now, and point to them once all files are there.

    An export that another one, of a later version of the table, has overtaken leaves the pointer where it is.
    """
    snapshot = tables.current_snapshot(_TABLE)
    rows = _published(drop_id, snapshot)
    files = {"descriptions.jsonl": as_json_lines(_each(rows)), "descriptions.csv": as_csv(COLUMNS, _each(rows))}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    folder = f"{_root(drop_id)}{_named_by(sums)}/"
    for name, content in files.items():
        _write(folder + name, content, _TYPES[name])
    manifest = {
        "drop_id": drop_id,
        "rows": len(rows),
        "columns": COLUMNS,
        "files": {name: {"bytes": len(files[name]), "sha256": sums[name]} for name in files},
    }
    _write(f"{folder}manifest.json", orjson.dumps(manifest, option=_SORTED), "application/json")
    _point_to(drop_id, folder, len(rows), snapshot)
    return _reported(Export(drop_id, folder, len(rows), snapshot))


def as_json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return rows as JSON Lines (UTF-8), keys in the order of :data:`COLUMNS`."""
    return b"".join(orjson.dumps({name: row[name] for name in COLUMNS}) + b"\n" for row in rows)


def _published(drop_id: str, snapshot: str) -> pa.Table:
    published = And(tables.equals("drop_id", drop_id), tables.equals("status", "published"))
    return tables.read(_TABLE, published, COLUMNS, snapshot).sort_by("product_id")


def _each(rows: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield rows as Python values, a few at a time in memory."""
    for batch in rows.to_batches(max_chunksize=1000):
        yield from batch.to_pylist()


def _root(drop_id: str) -> str:
    return f"s3://{get_settings().bucket}/exports/{storage.key_part(drop_id)}/"


def _named_by(sums: Mapping[str, str]) -> str:
    return hashlib.sha256("".join(sums[name] for name in sorted(sums)).encode()).hexdigest()[:16]


def _write(uri: str, content: bytes, content_type: str) -> None:
    """Store a file of a folder unless it is there already: the folder's name is that of its content."""
    if stored := storage.write_once(uri, content, content_type) or storage.find(uri):
        records.writes("object", uri, stored.etag, checksum=hashlib.sha256(content).hexdigest())


def _point_to(drop_id: str, folder: str, rows: int, snapshot: str) -> None:
    order = tables.sequence_of(_TABLE, snapshot)
    pointer = {"drop_id": drop_id, "uri": folder, "rows": rows, "snapshot": snapshot, "sequence": order}
    uri = f"{_root(drop_id)}latest.json"
    storage.update_json(uri, lambda at: at if at and at["sequence"] > order else pointer)
    if stored := storage.find(uri):
        records.writes_object(stored)


def _reported(exported: Export) -> Export:
    records.counts(exported=exported.rows)
    records.details(export=exported.uri)
    log.info("Drop %s: %d descriptions exported to %s", exported.drop_id, exported.rows, exported.uri)
    return exported
