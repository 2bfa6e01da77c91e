"""Tables counted by drop, run and model: what the overviews are made from.

A version of a table never changes, so each is counted once in a process; the few newest are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import And, EqualTo, NotNull, Reference
from pyiceberg.expressions.literals import literal

from lookbook.catalog import tables

_PRODUCTS, _QUARANTINE, _TEXTS = "catalog.products", "catalog.quarantine", "descriptions.descriptions"
_FINDINGS, _RUNS = "quality.findings", "lineage.runs"
_VERSIONS = 4  # of each table: a page that is read while a run commits needs two

_ALIKE = ("drop_id", "status", "review", "text_model_id", "prompt_version", "attribute_model_version")
_SUMMED = ("input_tokens", "cached_tokens", "output_tokens", "cost_usd")


@dataclass(frozen=True)
class Texts:
    """Descriptions that are alike in drop, outcome, person's decision, models and prompt, and what they took.

    ``usd`` is at list price; of texts whose model has none, ``unpriced`` counts how many are not in it.
    """

    drop_id: str
    status: str
    review: str | None
    text_model_id: str | None
    prompt_version: str | None
    attribute_model_version: str | None
    number: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    usd: float
    unpriced: int


@dataclass(frozen=True)
class Run:
    """A run that left lineage records about a drop; ``published`` says that it came as far as its task `publish`."""

    drop_id: str
    dag_id: str
    run_id: str
    started_at: datetime
    finished_at: datetime
    published: bool


def products() -> Mapping[str, int]:
    """Return how many products the catalogue has of each drop."""
    return _products(tables.current_snapshot(_PRODUCTS))


def quarantined() -> Mapping[str, int]:
    """Return how many rows of each drop are in quarantine; a drop that was published is among them even with none."""
    return _rows_by_drop(_QUARANTINE, tables.current_snapshot(_QUARANTINE))


def reasons() -> Mapping[str, Mapping[str, int]]:
    """Return how many quarantined rows of each drop have which reason; a row may have several."""
    return _reasons(tables.current_snapshot(_QUARANTINE))


def findings() -> Mapping[str, int]:
    """Return how many findings each drop has."""
    return _rows_by_drop(_FINDINGS, tables.current_snapshot(_FINDINGS))


def texts() -> tuple[Texts, ...]:
    """Return all descriptions as the table has them now, those that are alike added up."""
    return _texts(tables.current_snapshot(_TEXTS))


def runs() -> tuple[Run, ...]:
    """Return the runs that worked on a drop, in the order in which they ended."""
    return _runs(tables.current_snapshot(_RUNS))


def _products(snapshot: str) -> Mapping[str, int]:
    return _rows_by_drop(_PRODUCTS, snapshot)


@lru_cache(maxsize=3 * _VERSIONS)
def _rows_by_drop(name: str, snapshot: str) -> Mapping[str, int]:
    """Count rows by drop from the table's manifests: these tables are partitioned by drop, and rewrite what changes."""
    counted: Counter[str] = Counter()
    for task in tables.load(name).scan(snapshot_id=int(snapshot)).plan_files():
        counted[task.file.partition[0]] += task.file.record_count
    return counted


@lru_cache(maxsize=_VERSIONS)
def _reasons(snapshot: str) -> Mapping[str, Mapping[str, int]]:
    rows = tables.read(_QUARANTINE, columns=("drop_id", "reasons"), snapshot=snapshot).combine_chunks()
    found: dict[str, Counter[str]] = {}
    for drop_id, codes in zip(rows["drop_id"].to_pylist(), rows["reasons"].to_pylist(), strict=True):
        found.setdefault(drop_id, Counter()).update(codes or ())
    return found


@lru_cache(maxsize=_VERSIONS)
def _texts(snapshot: str) -> tuple[Texts, ...]:
    rows = tables.read(_TEXTS, columns=(*_ALIKE, *_SUMMED, "calls"), snapshot=snapshot)
    unpriced = pc.and_(pc.greater(pc.fill_null(rows["calls"], 0), 0), pc.is_null(rows["cost_usd"]))
    rows = rows.append_column("unpriced", unpriced.cast(pa.int64()))
    sums = [(name, "sum") for name in (*_SUMMED, "unpriced")]
    grouped = rows.group_by(list(_ALIKE), use_threads=False).aggregate([*sums, ("drop_id", "count")])
    return tuple(_alike(row) for row in grouped.to_pylist())


def _alike(row: Mapping[str, Any]) -> Texts:
    sums: dict[str, Any] = {name: row[f"{name}_sum"] or 0 for name in (*_SUMMED, "unpriced")}
    usd = float(sums.pop("cost_usd"))
    return Texts(**{name: row[name] for name in _ALIKE}, number=row["drop_id_count"], usd=usd, **sums)


@lru_cache(maxsize=_VERSIONS)
def _runs(snapshot: str) -> tuple[Run, ...]:
    # Mapped tasks are many, and say nothing that the others of their run don't.
    of_drops, unmapped = NotNull(term=Reference("drop_id")), EqualTo(term=Reference("map_index"), value=literal(-1))
    columns = ("drop_id", "dag_id", "run_id", "task_id", "started_at", "finished_at")
    rows = tables.read(_RUNS, And(of_drops, unmapped), columns, snapshot)
    rows = rows.append_column("published", pc.equal(rows["task_id"], "publish"))
    spans = [("started_at", "min"), ("finished_at", "max"), ("published", "any")]
    grouped = rows.group_by(["drop_id", "dag_id", "run_id"], use_threads=False).aggregate(spans)
    return tuple(sorted(_of_runs(grouped), key=lambda run: (run.finished_at, run.run_id)))


def _of_runs(grouped: pa.Table) -> Iterator[Run]:
    for row in grouped.to_pylist():
        began, ended = row["started_at_min"], row["finished_at_max"]
        yield Run(row["drop_id"], row["dag_id"], row["run_id"], began, ended, row["published_any"])
