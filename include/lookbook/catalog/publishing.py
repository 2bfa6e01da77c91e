"""Publish a drop by write-audit-publish: to a branch out of every reader's sight, checked there, then to ``main``.

Products and quarantine are two tables of one logical step. Each drop's rows are *replaced*: however often a drop is
staged and published, in whichever order drops come, the tables hold each drop once.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot, ancestors_of

from lookbook.catalog import tables
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage import records

log = logging.getLogger(__name__)

PRODUCTS = "catalog.products"
QUARANTINE = "catalog.quarantine"

# Snapshot summary properties: which drop a snapshot replaced, with what (checksum of candidates and validation, and
# where they lie), and which run did.
DROP = "lookbook.drop-id"
CONTENT = "lookbook.content"
CANDIDATES = "lookbook.candidates"
VALIDATION = "lookbook.validation"
RUN = "lookbook.run-id"
_PUBLISH_ATTEMPTS = 5
_AUDIT = "audit-"


class AuditError(PermanentError):
    """What was written to an audit branch is not what validation accepted and rejected."""


class _StaleError(Exception):
    """The staged snapshots no longer continue ``main``, or another run staged the drop anew."""


@dataclass(frozen=True)
class Staged:
    """A drop on its audit branches: row counts and the snapshot of each table that waits to be published."""

    drop_id: str
    candidates_uri: str
    validation_uri: str
    content: str
    rows: int
    accepted: int
    quarantined: int
    products_snapshot: str
    quarantine_snapshot: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values; ``Staged(**reference)`` restores it."""
        return asdict(self)


@dataclass(frozen=True)
class Published:
    """A drop in ``main``: rows read = published + quarantined, and the snapshots that hold them."""

    drop_id: str
    rows: int
    published: int
    quarantined: int
    products_snapshot: str
    quarantine_snapshot: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Drop:
    drop_id: str
    content: str
    accepted: pa.Table
    rejected: pa.Table
    properties: dict[str, str]


def stage(candidates_uri: str, validation_uri: str) -> Staged:
    """Write a drop's accepted rows and its quarantine to audit branches cut from ``main``.

    A table whose ``main`` already holds exactly this content is left as it is.

    Args:
        candidates_uri: Parquet of :data:`lookbook.catalog.schemas.CANDIDATES`.
        validation_uri: JSON that says which of them were rejected, and why.

    Raises:
        PermanentError: the two do not belong together, or an accepted row misses what every product has.
        RetryableError: other writers were faster several times in a row.
    """
    drop = _load(candidates_uri, validation_uri)
    return Staged(
        drop_id=drop.drop_id,
        candidates_uri=candidates_uri,
        validation_uri=validation_uri,
        content=drop.content,
        rows=len(drop.accepted) + len(drop.rejected),
        accepted=len(drop.accepted),
        quarantined=len(drop.rejected),
        products_snapshot=_stage_table(PRODUCTS, drop.accepted, drop),
        quarantine_snapshot=_stage_table(QUARANTINE, drop.rejected, drop),
    )


def publish(staged: Staged) -> Published:
    """Audit the branches and move ``main`` of both tables to them.

    If another drop was published since the branches were cut, the drop is staged again on the new ``main``, so that
    nothing of the other is lost. Publishing what is published already changes nothing.

    Raises:
        AuditError: the branches do not hold what validation decided; ``main`` stays as it was.
        RetryableError: other drops came first several times in a row.
    """
    for _ in range(_PUBLISH_ATTEMPTS):
        try:
            _audit(staged)
            return _published(staged, _advance(PRODUCTS, staged), _advance(QUARANTINE, staged))
        except _StaleError as stale:
            log.info("Staging drop %s again: %s", staged.drop_id, stale)
            staged = stage(staged.candidates_uri, staged.validation_uri)
    raise RetryableError(
        f"Drop {staged.drop_id} could not be published: other drops came first {_PUBLISH_ATTEMPTS} times in a row."
    )


def branch_of(drop_id: str) -> str:
    """Return the name of a drop's audit branch."""
    return f"{_AUDIT}{drop_id}"


def _on_branch(name: str, drop_id: str) -> str:
    """Return what lineage calls a table's audit branch."""
    return f"{name}@{branch_of(drop_id)}"


def drop_of_branch(branch: str) -> str | None:
    """Return the drop whose audit branch this is, ``None`` for any other branch."""
    return branch.removeprefix(_AUDIT) if branch.startswith(_AUDIT) else None


def _load(candidates_uri: str, validation_uri: str) -> _Drop:
    parquet, verdict = records.read_object(candidates_uri), records.read_object(validation_uri)
    candidates = pq.read_table(pa.BufferReader(parquet))
    validation = orjson.loads(verdict)
    _check_match(candidates, validation, candidates_uri, validation_uri)
    positions = [row["position"] for row in validation["rejected"]]
    kept = pa.array(sorted(set(range(len(candidates))) - set(positions)), pa.int64())
    checksum = hashlib.sha256(parquet + verdict).hexdigest()
    task = records.current_task()
    origin = {CANDIDATES: candidates_uri, VALIDATION: validation_uri, RUN: task.run_id if task else "by hand"}
    return _Drop(
        drop_id=validation["drop_id"],
        content=checksum,
        accepted=tables.conform(PRODUCTS, candidates.take(kept)),
        rejected=_quarantine_rows(candidates.take(pa.array(positions, pa.int64())), validation),
        properties={DROP: validation["drop_id"], CONTENT: checksum, **origin},
    )


def _check_match(candidates: pa.Table, validation: dict[str, Any], candidates_uri: str, validation_uri: str) -> None:
    positions = [row["position"] for row in validation["rejected"]]
    if validation["rows"] != len(candidates) or len(set(positions)) != len(positions):
        raise PermanentError(
            f"{validation_uri} is about {validation['rows']} rows and rejects {len(positions)} (positions distinct: "
            f"{len(set(positions))}), but {candidates_uri} has {len(candidates)} rows. Validate the drop again."
        )
    drops = pc.unique(candidates["drop_id"]).to_pylist()
    if set(drops) - {validation["drop_id"]}:
        raise PermanentError(f"{candidates_uri} holds rows of drops {drops}, expected {validation['drop_id']} alone.")
    if any(not 0 <= position < len(candidates) for position in positions):
        raise PermanentError(f"{validation_uri} rejects positions beyond the {len(candidates)} rows that were read.")


def _quarantine_rows(rejected: pa.Table, validation: dict[str, Any]) -> pa.Table:
    rows = rejected.select(["product_id", "line_number", "raw_line", "picture_uri", "mending"])
    verdicts = validation["rejected"]
    added: dict[str, pa.Array] = {
        "drop_id": pa.array([validation["drop_id"]] * len(rows), pa.string()),
        "reasons": pa.array([verdict["reasons"] for verdict in verdicts], pa.list_(pa.string())),
        "detail": pa.array([verdict.get("detail") for verdict in verdicts], pa.string()),
    }
    for name, values in added.items():
        rows = rows.append_column(name, values)
    return tables.conform(QUARANTINE, rows)


def _stage_table(name: str, rows: pa.Table, drop: _Drop) -> str:
    snapshot = tables.committed(f"stage drop {drop.drop_id} in {name}", partial(_write_branch, name, rows, drop))
    records.writes("table", _on_branch(name, drop.drop_id), snapshot, partition=drop.drop_id)
    return snapshot


def _write_branch(name: str, rows: pa.Table, drop: _Drop) -> str:
    table, branch = tables.load(name), branch_of(drop.drop_id)
    if branch in table.metadata.refs:  # of a run that ended before it published, whatever it had staged
        table.manage_snapshots().remove_branch(branch).commit()
    if landed := _landed(table, drop.drop_id, drop.content):
        return landed
    table.manage_snapshots().create_branch(int(tables.main_snapshot(table)), branch).commit()
    tables.overwrite_rows(table, rows, tables.equals("drop_id", drop.drop_id), branch, drop.properties)
    return str(table.metadata.refs[branch].snapshot_id)


def _landed(table: Table, drop_id: str, content: str) -> str | None:
    """Return the snapshot of ``main`` that holds the drop with this content, unless it was replaced since."""
    for snapshot in ancestors_of(table.current_snapshot(), table.metadata):
        if summary_property(snapshot, DROP) == drop_id:
            return str(snapshot.snapshot_id) if summary_property(snapshot, CONTENT) == content else None
    return None


def summary_property(snapshot: Snapshot, name: str) -> str | None:
    """Return what a snapshot's summary says under ``name``."""
    return snapshot.summary.additional_properties.get(name) if snapshot.summary else None


def _audit(staged: Staged) -> None:
    products = _ids(PRODUCTS, staged.products_snapshot, staged.drop_id)
    quarantined = len(_ids(QUARANTINE, staged.quarantine_snapshot, staged.drop_id))
    if (len(products), quarantined) != (staged.accepted, staged.quarantined):
        raise AuditError(
            f"Drop {staged.drop_id}: {staged.rows} rows were read, {staged.accepted} accepted and {staged.quarantined} "
            f"quarantined, but its branches hold {len(products)} and {quarantined}. Nothing was published; clear "
            "the task 'stage'."
        )
    if repeated := [entry["values"] for entry in products.value_counts().to_pylist() if entry["counts"] > 1]:
        raise AuditError(
            f"Drop {staged.drop_id}: product ids {repeated[:5]} ({len(repeated)} in all) were accepted more than once. "
            "Validation must reject all rows of an id but one."
        )


def _ids(name: str, snapshot: str, drop_id: str) -> pa.ChunkedArray:
    table = tables.load(name)
    if table.snapshot_by_id(int(snapshot)) is None:
        raise _StaleError(f"snapshot {snapshot} of {name} has expired")
    scan = table.scan(tables.equals("drop_id", drop_id), ("product_id",), snapshot_id=int(snapshot))
    return scan.to_arrow()["product_id"]


def _advance(name: str, staged: Staged) -> str:
    """Move ``main`` to the staged snapshot unless it holds the content already; return the snapshot that does."""
    return tables.committed(f"publish drop {staged.drop_id} in {name}", partial(_move_main, name, staged))


def _move_main(name: str, staged: Staged) -> str:
    table = tables.load(name)
    snapshot = staged.products_snapshot if name == PRODUCTS else staged.quarantine_snapshot
    if landed := _landed(table, staged.drop_id, staged.content):
        return landed
    _check_continues(name, table, staged.drop_id, snapshot)
    branch = branch_of(staged.drop_id)
    table.manage_snapshots().set_current_snapshot(int(snapshot)).remove_branch(branch).commit()
    return snapshot


def _check_continues(name: str, table: Table, drop_id: str, snapshot: str) -> None:
    ref = table.metadata.refs.get(branch_of(drop_id))
    if ref is None or str(ref.snapshot_id) != snapshot:
        raise _StaleError(f"branch {branch_of(drop_id)} of {name} is gone or was staged by another run")
    head = table.metadata.snapshot_by_id(ref.snapshot_id)
    if tables.main_snapshot(table) not in {str(s.snapshot_id) for s in ancestors_of(head, table.metadata)}:
        raise _StaleError(f"main of {name} has moved on since the branch was cut")


def _published(staged: Staged, products_snapshot: str, quarantine_snapshot: str) -> Published:
    final = replace(staged, products_snapshot=products_snapshot, quarantine_snapshot=quarantine_snapshot)
    for name, read, written in (
        (PRODUCTS, staged.products_snapshot, products_snapshot),
        (QUARANTINE, staged.quarantine_snapshot, quarantine_snapshot),
    ):
        records.reads("table", _on_branch(name, staged.drop_id), read, partition=staged.drop_id)
        records.writes("table", name, written, partition=staged.drop_id)
    records.counts(rows=final.rows, published=final.accepted, quarantined=final.quarantined)
    log.info(
        "Drop %s: %d rows = %d published + %d quarantined", final.drop_id, final.rows, final.accepted, final.quarantined
    )
    return Published(
        final.drop_id, final.rows, final.accepted, final.quarantined, products_snapshot, quarantine_snapshot
    )
