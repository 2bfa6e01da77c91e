"""Which versions of the Iceberg tables, which abandoned audit branches and which files nothing refers to any more;
and which rows lie in too many files.

A version stays while a branch has it as its head, while it is young, and while lineage leads to it: as the catalogue
that a description, a data set or a model in the registry was made from, or as what the run read that wrote a
description which is still there. All of the history of ``catalog.products`` and ``catalog.quarantine`` stays: by it
a drop is known to be unchanged (docs/decisions/0008-one-run-at-a-time-on-a-drop.md), and it grows by a few versions
a drop. A branch that an ingest left behind goes once nobody holds its drop. Files go in a later run, once no version
that is there has them.

A partition to which many runs add, as to ``lineage.runs`` all that are about no drop, gets a file from each: who asks
where something came from opens them all. Rows that lie in more than :data:`_FILES_A_PARTITION` are written into one.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pyiceberg.expressions import BooleanExpression, IsNull, Reference
from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot, ancestors_of

from lookbook import storage
from lookbook.catalog import publishing, tables
from lookbook.catalog.schemas import TABLES
from lookbook.drops import lease
from lookbook.housekeeping import inventory
from lookbook.housekeeping.plans import Expiry, Kind, Plan
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

_WHOLE_HISTORY = (publishing.PRODUCTS, publishing.QUARANTINE)
_FILES_A_RUN = 5000
_FILES_A_PARTITION = 50


def plan(now: datetime | None = None) -> Plan:
    """Plan what is to go of every table: branches, versions, files."""
    now = now or datetime.now(UTC)
    youngest = now - timedelta(days=get_settings().expire_after_days)
    traced = _traced_versions()
    expiries = [expiry for name in TABLES for expiry in _of_table(name, traced[name], youngest)]
    return Plan("tables", now, tuple(expiries), {})


def expire(expiries: Sequence[Expiry]) -> None:
    """Let branches, versions and files go, and gather rows; each table's branches and versions in one commit each."""
    for name, branches in _by_table(expiries, "audit_branch").items():
        tables.committed(f"remove audit branches of {name}", partial(_remove_branches, name, branches))
    for name, versions in _by_table(expiries, "snapshot").items():
        tables.committed(f"expire snapshots of {name}", partial(_expire_snapshots, name, versions))
    for expiry in expiries:
        if expiry.kind == "table_file":
            storage.delete(expiry.name)
    for name, partitions in _by_table(expiries, "small_files").items():
        for value in partitions:
            tables.rewrite(name, _of_partition(name, value))


def _of_table(name: str, traced: set[str], youngest: datetime) -> Iterator[Expiry]:
    listed = list(storage.list_dated(f"{tables.load(name).location()}/"))
    # Loaded after the listing: what a commit has brought since is not in it, what it refers to is known.
    table = tables.load(name)
    yield from _dead_branches(name, table, youngest)
    yield from _old_snapshots(name, table, traced, youngest)
    yield from _orphaned_files(name, table, listed, youngest)
    yield from _scattered_rows(name, table)


def _dead_branches(name: str, table: Table, youngest: datetime) -> Iterator[Expiry]:
    for branch, ref in table.metadata.refs.items():
        drop_id = publishing.drop_of_branch(branch)
        head = table.snapshot_by_id(ref.snapshot_id)
        if drop_id and head and _made(head) <= youngest and not lease.is_held(drop_id):
            why = f"an ingest of drop {drop_id} ended before it published, and no run holds the drop"
            yield Expiry("audit_branch", f"{name}@{branch}", why, _made(head))


def _old_snapshots(name: str, table: Table, traced: set[str], youngest: datetime) -> Iterator[Expiry]:
    heads = {ref.snapshot_id for ref in table.metadata.refs.values()}
    kept = heads | (_history(table, heads) if name in _WHOLE_HISTORY else set())
    for snapshot in table.metadata.snapshots:
        if _made(snapshot) <= youngest and snapshot.snapshot_id not in kept and str(snapshot.snapshot_id) not in traced:
            why = "no branch has it as its head, and no description's lineage leads to it"
            yield Expiry("snapshot", f"{name}@{snapshot.snapshot_id}", why, _made(snapshot))


def _orphaned_files(
    name: str, table: Table, listed: Iterable[tuple[storage.StoredObject, datetime]], youngest: datetime
) -> Iterator[Expiry]:
    reachable = _reachable_files(table)
    orphans = [(stored, written) for stored, written in listed if written <= youngest and stored.uri not in reachable]
    for stored, written in orphans[:_FILES_A_RUN]:
        why = f"no version of {name} has it"
        yield Expiry("table_file", stored.uri, why, written, stored.size)


def _scattered_rows(name: str, table: Table) -> Iterator[Expiry]:
    """Yield the partitions of the head of ``main`` whose rows lie in too many files."""
    head = table.snapshot_by_id(table.metadata.refs["main"].snapshot_id)
    if head is None:
        return
    planned = table.scan(snapshot_id=head.snapshot_id).plan_files()
    for value, files in Counter(task.file.partition[0] for task in planned).items():
        if files > _FILES_A_PARTITION:
            why = f"its rows lie in {files} files, which whoever reads them opens one by one"
            yield Expiry("small_files", f"{name}@{value or ''}", why, _made(head))


def _of_partition(name: str, value: str) -> BooleanExpression:
    column = TABLES[name].names[0]
    return tables.equals(column, value) if value else IsNull(term=Reference(column))


def _reachable_files(table: Table) -> set[str]:
    """Return every file of every version that is there: metadata, manifests, data, statistics."""
    metadata = table.metadata
    reachable = {table.metadata_location, *(entry.metadata_file for entry in metadata.metadata_log)}
    reachable |= {one.statistics_path for one in (*metadata.statistics, *metadata.partition_statistics)}
    manifests: dict[str, ManifestFile] = {}
    for snapshot in metadata.snapshots:
        reachable.add(snapshot.manifest_list)
        manifests |= {manifest.manifest_path: manifest for manifest in snapshot.manifests(table.io)}
    for path, manifest in manifests.items():
        reachable |= {path, *(entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io))}
    return reachable


def _remove_branches(name: str, branches: Sequence[str]) -> None:
    table = tables.load(name)
    for branch in (one for one in branches if one in table.metadata.refs):
        table.manage_snapshots().remove_branch(branch).commit()


def _expire_snapshots(name: str, versions: Sequence[str]) -> None:
    table = tables.load(name)
    heads = {ref.snapshot_id for ref in table.metadata.refs.values()}
    there = {snapshot.snapshot_id for snapshot in table.metadata.snapshots} - heads
    if going := sorted(there & {int(version) for version in versions}):
        table.maintenance.expire_snapshots().by_ids(going).commit()


def _by_table(expiries: Iterable[Expiry], kind: Kind) -> dict[str, list[str]]:
    """Return, by table, the branches or versions of a kind that are to go."""
    found: dict[str, list[str]] = {}
    for expiry in expiries:
        if expiry.kind == kind:
            name, _, detail = expiry.name.partition("@")
            found.setdefault(name, []).append(detail)
    return found


def _history(table: Table, heads: Iterable[int]) -> set[int]:
    return {one.snapshot_id for head in heads for one in ancestors_of(table.snapshot_by_id(head), table.metadata)}


def _made(snapshot: Snapshot) -> datetime:
    return datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)


def _traced_versions() -> dict[str, set[str]]:
    """Return, by table, the versions that lineage leads to."""
    traced: dict[str, set[str]] = {name: set() for name in TABLES}
    columns = ("dag_id", "run_id", "products_snapshot")
    described = tables.read("descriptions.descriptions", columns=columns).to_pylist()
    traced[publishing.PRODUCTS] |= {row["products_snapshot"] for row in described if row["products_snapshot"]}
    traced[publishing.PRODUCTS] |= set(_learned_from())
    runs = {(row["dag_id"], row["run_id"]) for row in described if row["run_id"]}
    for name, version in _read_by(runs):
        traced.setdefault(name, set()).add(version)
    return traced


def _learned_from() -> Iterator[str]:
    """Yield the versions of the catalogue that data sets and registered models were made from."""
    for uri in (stored.uri for stored in storage.list_objects(inventory.root_of(inventory.DATASETS))):
        if uri.endswith("/dataset.json"):
            yield storage.read_json(uri)["products_snapshot"]
    for package in inventory.packages():
        if package.products_snapshot:
            yield package.products_snapshot


def _read_by(runs: set[tuple[Any, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the tables and versions that any of the runs read."""
    of_dags = tables.one_of("dag_id", {dag_id for dag_id, _ in runs})
    for row in tables.read("lineage.runs", of_dags, ("dag_id", "run_id", "inputs")).to_pylist():
        if (row["dag_id"], row["run_id"]) in runs:
            yield from ((one["name"], one["version"]) for one in row["inputs"] if one["kind"] == "table")
