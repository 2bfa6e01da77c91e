"""Whether a challenger learned from an older catalogue than the champion did, as a run that was held up may have."""

from __future__ import annotations

from typing import Any

from lookbook.catalog import tables
from lookbook.training import registry

_PRODUCTS = "catalog.products"
_EXPIRED = -1  # housekeeping expires the oldest snapshots first


def older_than_champion(dataset: dict[str, Any]) -> str | None:
    """Say that a data set is of an older catalogue than the champion's; ``None`` if it is not.

    Args:
        dataset: reference of a :class:`lookbook.vqa.datasets.DatasetRef`.
    """
    champion, ours = registry.champion(), dataset["products_snapshot"]
    if champion is None or champion.products_snapshot in (None, ours):
        return None
    theirs = str(champion.products_snapshot)
    if _sequence(ours) >= _sequence(theirs):
        return None
    return (
        f"it was trained on snapshot {ours} of {_PRODUCTS}, which is older than snapshot {theirs}, on which "
        f"{champion.version} in service was"
    )


def _sequence(snapshot_id: str) -> int:
    """Return where a snapshot stands in the table's history."""
    snapshot = tables.load(_PRODUCTS).snapshot_by_id(int(snapshot_id))
    return _EXPIRED if snapshot is None or snapshot.sequence_number is None else snapshot.sequence_number
