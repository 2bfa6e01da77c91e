"""Which drops a run that is started by hand is about; each is described by a run of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lookbook.catalog import tables
from lookbook.descriptions.plans import Redrive

_STATUSES: Mapping[Redrive, tuple[str, ...]] = {
    "none": (),
    "failed": ("failed",),
    "withheld": ("withheld",),
    "both": ("failed", "withheld"),
}


def statuses_of(redrive: Redrive) -> tuple[str, ...]:
    """Return the statuses whose descriptions are driven again."""
    return _STATUSES[redrive]


def newest_drops(only: Sequence[str], snapshot: str | None = None) -> dict[str, list[str]]:
    """Return the drops in which products came last, each with those of its products; unknown ids are left out."""
    rows = tables.read("catalog.products", tables.one_of("product_id", only), ("drop_id", "product_id"), snapshot)
    newest: dict[str, str] = {}
    for row in rows.to_pylist():
        newest[row["product_id"]] = max(row["drop_id"], newest.get(row["product_id"], ""))
    drops: dict[str, list[str]] = {}
    for product_id, drop_id in sorted(newest.items()):
        drops.setdefault(drop_id, []).append(product_id)
    return drops
