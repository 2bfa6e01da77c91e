"""Where a published product's picture lies, for pages that show some dozens of a drop."""

from __future__ import annotations

from functools import lru_cache

from lookbook.catalog import tables

_TABLE = "catalog.products"


def uri_of(drop_id: str, product_id: str) -> str | None:
    """Return the URI of a product's picture; ``None`` for a product that the drop doesn't have."""
    return _of_drop(drop_id, tables.current_snapshot(_TABLE)).get(product_id)


@lru_cache(maxsize=4)
def _of_drop(drop_id: str, snapshot: str) -> dict[str, str]:
    rows = tables.read(_TABLE, tables.equals("drop_id", drop_id), ("product_id", "picture_uri"), snapshot)
    return {row["product_id"]: row["picture_uri"] for row in rows.to_pylist() if row["picture_uri"]}
