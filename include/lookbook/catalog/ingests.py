"""What the catalogue holds of a drop: by which run, from which files, and what that changed.

Nothing is kept beside the tables: the summary of the snapshot that put a drop there says it, in the same commit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot, ancestors_of

from lookbook import storage
from lookbook.catalog import publishing, tables
from lookbook.catalog.publishing import PRODUCTS, QUARANTINE, Published, summary_property
from lookbook.lineage import records

log = logging.getLogger(__name__)

# What a product is made from: its line, as it was read or mended, its picture, its JSON.
_SOURCES = ("raw_line", "mending", "picture_sha256", "styles_json_sha256")


@dataclass(frozen=True)
class Ingest:
    """The ingest whose rows of a drop readers see."""

    drop_id: str
    run_id: str
    candidates_uri: str
    validation_uri: str
    products_snapshot: str

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the files that were read; a requeue keeps that of the ingest it mends."""
        return fingerprint_of(self.candidates_uri)


@dataclass(frozen=True)
class Decision:
    """Whether a drop is to be ingested, and why."""

    passed: bool
    reason: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """How many products a publishing added, removed and changed; ``uri`` is the object that lists their ids."""

    uri: str
    added: int
    removed: int
    changed: int

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def last(drop_id: str) -> Ingest | None:
    """Return the ingest that readers see of a drop; ``None`` if there is none, or if it only reached one table."""
    products, quarantine = _latest(tables.load(PRODUCTS), drop_id), _latest(tables.load(QUARANTINE), drop_id)
    if products is None or quarantine is None:
        return None
    said = {name: summary_property(products, name) for name in (publishing.CANDIDATES, publishing.VALIDATION)}
    contents = {summary_property(snapshot, publishing.CONTENT) for snapshot in (products, quarantine)}
    candidates_uri, validation_uri = said.values()
    if len(contents) > 1 or not candidates_uri or not validation_uri:
        return None
    run_id = summary_property(products, publishing.RUN) or "unknown"
    return Ingest(drop_id, run_id, candidates_uri, validation_uri, str(products.snapshot_id))


def newest_drop() -> str | None:
    """Return the latest drop of which products are published; ``None`` where there are none."""
    drops = tables.read(PRODUCTS, columns=("drop_id",))["drop_id"].to_pylist()
    return max(drops, default=None)


def fingerprint_of(candidates_uri: str) -> str:
    """Return the fingerprint of the files that candidates were read from."""
    return candidates_uri.split("/")[-2].partition("-")[0]


def decide(drop_id: str, fingerprint: str, *, force: bool) -> Decision:
    """Decide whether a drop with this fingerprint is to be ingested: not if the catalogue holds the very same files."""
    known = last(drop_id)
    if known is None:
        decision = Decision(True, "the catalogue holds no ingest of it")
    elif known.fingerprint != fingerprint:
        decision = Decision(True, f"changed since run {known.run_id}, whose fingerprint was {known.fingerprint}")
    elif force:
        decision = Decision(True, f"unchanged since run {known.run_id}, but ingested again by force")
    else:
        decision = Decision(False, f"unchanged since run {known.run_id}; run with Force to ingest it again")
    records.details(decision=decision.reason)
    log.info("drop %s %s: %s", drop_id, "is ingested" if decision.passed else "is skipped", decision.reason)
    return decision


def record_difference(published: Published, validation_uri: str) -> Difference:
    """Write which products this run's publishing added, removed and changed to ``difference.json``.

    It is told from the snapshots, so a second call says the same. A run that found everything published already
    changed nothing. A product is changed when its line, what that was mended to, its picture or its JSON is another.

    Args:
        published: what was published.
        validation_uri: the validation it was published with; the object comes to lie beside it.
    """
    before, after = _sources(published.drop_id, published.products_snapshot)
    lists = {
        "added": sorted(after.keys() - before.keys()),
        "removed": sorted(before.keys() - after.keys()),
        "changed": sorted(key for key in before.keys() & after.keys() if before[key] != after[key]),
    }
    uri = f"{validation_uri.rpartition('/')[0]}/difference.json"
    records.writes_object(storage.write_json(uri, {"drop_id": published.drop_id, **lists}))
    counts = {name: len(ids) for name, ids in lists.items()}
    records.counts(**counts)
    records.details(difference=uri)
    log.info("drop %s: products %s", published.drop_id, counts)
    return Difference(uri, **counts)


def _latest(table: Table, drop_id: str) -> Snapshot | None:
    """Return the snapshot that last replaced a drop, which is an input as a read of the drop's rows would be."""
    history = ancestors_of(table.current_snapshot(), table.metadata)
    name = ".".join(table.name())
    records.reads("table", name, tables.main_snapshot(table), partition=drop_id)
    return next((one for one in history if summary_property(one, publishing.DROP) == drop_id), None)


def _sources(drop_id: str, snapshot: str) -> tuple[dict[str, tuple[Any, ...]], dict[str, tuple[Any, ...]]]:
    """Return every product's sources before and after the publishing that made ``snapshot``."""
    table, task = tables.load(PRODUCTS), records.current_task()
    history = iter(ancestors_of(table.snapshot_by_id(int(snapshot)), table.metadata))
    after = next(history)
    if task and summary_property(after, publishing.RUN) != task.run_id:
        return {}, {}  # another run published this content: this one changed nothing
    before = _before(history, drop_id, summary_property(after, publishing.CONTENT))
    rows = _rows(drop_id, str(before.snapshot_id)) if before else {}
    return rows, _rows(drop_id, snapshot)


def _before(history: Iterator[Snapshot], drop_id: str, content: str | None) -> Snapshot | None:
    """Return the latest snapshot that is not of the same publishing, which may have made several."""
    mark = (drop_id, content)
    return next(
        (
            one
            for one in history
            if (summary_property(one, publishing.DROP), summary_property(one, publishing.CONTENT)) != mark
        ),
        None,
    )


def _rows(drop_id: str, snapshot: str) -> dict[str, tuple[Any, ...]]:
    rows = tables.read(PRODUCTS, tables.equals("drop_id", drop_id), ("product_id", *_SOURCES), snapshot)
    columns = [rows[name].to_pylist() for name in _SOURCES]
    return dict(zip(rows["product_id"].to_pylist(), zip(*columns, strict=True), strict=True))
