"""Find a drop in S3, check that it is one, and take its fingerprint."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

import orjson

from lookbook import storage
from lookbook.aws import client
from lookbook.drops import lines
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage import records
from lookbook.settings import get_settings

logger = logging.getLogger(__name__)

MANIFEST_FORMAT = 1
# What says that a drop is complete is not part of what it holds.
_SUCCESS, _SENDERS_MANIFEST = "_SUCCESS", "manifest.json"
_HEAD_BYTES = 65_536  # enough for the header and a row


class NoDropError(PermanentError):
    """Nothing at all lies where a drop was looked for."""


@dataclass(frozen=True)
class Drop:
    """A drop that is there and complete; nothing of it but the head of ``styles.csv`` has been read."""

    drop_id: str  # its week's Monday, e.g. 2026-11-16
    uri: str  # s3://<bucket>/drops/<drop_id>/

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values; ``Drop(**reference)`` restores it."""
        return asdict(self)


@dataclass(frozen=True)
class Manifest:
    """Where a drop's manifest lies, and what it says in short."""

    uri: str
    drop_id: str
    fingerprint: str  # 16 hexadecimal digits; equal for equal files
    rows: int
    files: int
    bytes: int

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values; ``Manifest(**reference)`` restores it."""
        return asdict(self)


def drop_id_of(text: str) -> str:
    """Return the id of a drop that is named by its Monday or by its URI.

    Raises:
        PermanentError: the URI leads elsewhere than to the drops of the bucket.
    """
    prefix = f"s3://{get_settings().bucket}/drops/"
    if "/" not in text:
        return text
    if not text.startswith(prefix):
        raise PermanentError(f"{text!r} is no drop of this platform. Its drops lie under {prefix}, one a Monday.")
    return text.removeprefix(prefix).rstrip("/")


def drop_uri(drop_id: str) -> str:
    """Return where a drop lies.

    Raises:
        PermanentError: ``drop_id`` is no Monday in ISO form.
    """
    try:
        monday = date.fromisoformat(drop_id)
    except ValueError:
        monday = None
    if monday is None or monday.isoformat() != drop_id or monday.weekday() != 0:
        raise PermanentError(f"{drop_id!r} names no drop. A drop is named by the Monday of its week, e.g. 2026-11-16.")
    return f"s3://{get_settings().bucket}/drops/{drop_id}/"


def discover(drop_id: str) -> Drop:
    """Check that a drop is there, is complete, has the ten columns, a row and pictures.

    Raises:
        NoDropError: nothing is there.
        PermanentError: it is no drop; the message names the file and what was expected.
        RetryableError: it is not complete yet: it has no ``_SUCCESS``, its sender's ``manifest.json`` names files that
            are not there, or, where it has neither, a file changed within the last ``drop_settle_s`` seconds.
    """
    uri = drop_uri(drop_id)
    if not _holds_anything(uri):
        raise NoDropError(f"There is no drop {drop_id}: nothing lies under {uri}. Upload it first.")
    _check_styles_csv(f"{uri}styles.csv")
    if not _holds_anything(f"{uri}images/"):
        raise PermanentError(f"{uri} is no drop: it holds no pictures; expected images/<id>.jpg beside styles.csv.")
    logger.info("drop %s is complete: %s", drop_id, _completeness(uri))
    logger.info("found drop %s at %s", drop_id, uri)
    return Drop(drop_id, uri)


def _completeness(uri: str) -> str:
    """Return what shows that a drop is complete."""
    if storage.find(uri + _SUCCESS):
        return "it has _SUCCESS"
    if storage.find(uri + _SENDERS_MANIFEST):
        return _complete_by_manifest(uri)
    changed, settle_s = storage.last_change(uri), get_settings().drop_settle_s
    age_s = (datetime.now(UTC) - changed).total_seconds() if changed else 0.0
    if age_s < settle_s:
        raise RetryableError(
            f"{uri} is not complete: it has no _SUCCESS, which whoever uploads a drop writes last, and its latest file "
            f"came {age_s:.0f} s ago. Without _SUCCESS it is taken {settle_s} s after its last change."
        )
    return f"nothing in it has changed for {age_s:.0f} s"


def _complete_by_manifest(uri: str) -> str:
    """Check that every file of the sender's manifest is there, with its size."""
    expected = storage.read_json(uri + _SENDERS_MANIFEST)
    files = expected.get("files") if isinstance(expected, dict) else None
    if not isinstance(files, dict) or not all(isinstance(size, int) for size in files.values()):
        raise PermanentError(f'{uri}{_SENDERS_MANIFEST} is no manifest; expected {{"files": {{name: bytes, …}}}}.')
    found = {stored.uri.removeprefix(uri): stored.size for stored in storage.list_objects(uri)}
    if missing := sorted(name for name, size in files.items() if found.get(name) != size):
        raise RetryableError(
            f"{uri} is not complete: {len(missing)} of the {len(files)} files that its manifest.json names are not "
            f"there in the size named, e.g. {', '.join(missing[:3])}."
        )
    return f"all {len(files)} files of its manifest.json are there"


def _holds_anything(prefix_uri: str) -> bool:
    bucket, prefix = storage.split_uri(prefix_uri)
    answer = client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    return bool(answer["KeyCount"])


def _check_styles_csv(uri: str) -> None:
    stored = storage.find(uri)
    if stored is None:
        raise PermanentError(f"{uri.removesuffix('styles.csv')} is no drop: it has no styles.csv.")
    if stored.size == 0:
        raise PermanentError(f"{uri} is empty; expected the ten columns and at least one row (docs/data-contract.md).")
    records.reads_object(stored)
    bucket, key = storage.split_uri(uri)
    answer = client("s3").get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{_HEAD_BYTES - 1}")
    head: bytes = answer["Body"].read()
    lines.check_header(head, uri)
    if next(lines.read_rows(head), None) is None:
        raise PermanentError(f"{uri} has no rows: found the header alone, expected at least one product below it.")


def fingerprint(drop: Drop) -> Manifest:
    """Write the drop's manifest, which names every file with size and ETag, and return where it lies.

    Two drops with equal files have equal fingerprints; ``_SUCCESS`` and the sender's ``manifest.json`` do not count.
    """
    listed = {stored.uri.removeprefix(drop.uri): stored for stored in storage.list_objects(drop.uri)}
    files = {name: stored for name, stored in listed.items() if name not in (_SUCCESS, _SENDERS_MANIFEST)}
    styles_csv = records.read_object(f"{drop.uri}styles.csv")
    rows = sum(1 for _ in lines.read_rows(styles_csv))
    versions = {name: [stored.size, stored.etag] for name, stored in files.items()}
    # As JSON, since a file's name may hold any character that a separator could be.
    digest = hashlib.sha256(orjson.dumps(versions, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    content = {
        "format": MANIFEST_FORMAT,
        "drop_id": drop.drop_id,
        "drop_uri": drop.uri,
        "fingerprint": digest,
        "rows": rows,
        "styles_csv_sha256": hashlib.sha256(styles_csv).hexdigest(),
        "files": versions,
    }
    stored = storage.write_json(f"s3://{get_settings().bucket}/staging/{drop.drop_id}/{digest}/manifest.json", content)
    size = sum(item.size for item in files.values())
    records.reads("prefix", drop.uri, digest)
    records.writes_object(stored)
    records.counts(rows=rows, files=len(files), bytes=size)
    logger.info("drop %s: %d rows, %d files, %d bytes, fingerprint %s", drop.drop_id, rows, len(files), size, digest)
    return Manifest(stored.uri, drop.drop_id, digest, rows, len(files), size)
