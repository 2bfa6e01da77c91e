"""How values were distributed in the drops published before, for a drop to be compared with."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import LessThan, Reference
from pyiceberg.expressions.literals import literal

from lookbook.catalog import tables
from lookbook.catalog.publishing import PRODUCTS
from lookbook.quality.suites import v1
from lookbook.quality.suites.v1 import Shares

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Earlier:
    """By column the share of each value in earlier drops, or ``None``; ``says`` has the reason, or what they are."""

    shares: Shares | None
    says: str


def earlier_shares(drop_id: str, rows: int) -> Earlier:
    """Return the distributions in the drops published before ``drop_id``, to compare its ``rows`` rows with."""
    earlier = _earlier(drop_id, rows)
    logger.info("drift of drop %s: %s", drop_id, earlier.says)
    return earlier


def _earlier(drop_id: str, rows: int) -> Earlier:
    least, columns = v1.limits()["drift"]["least_products"], list(v1.limits()["drift"]["most"])
    if rows < least:
        return Earlier(None, f"skipped: the drop has {rows} rows, of fewer than {least} a distribution says nothing")
    # Asked without opening the table, which its first use creates.
    if not tables.open_catalog().table_exists(PRODUCTS):
        return Earlier(None, "skipped: no drop has been published before")
    before = LessThan(term=Reference("drop_id"), value=literal(drop_id))
    products = tables.read(PRODUCTS, before, columns)
    if len(products) < least:
        says = f"skipped: the drops before have {len(products)} products, of fewer than {least} they say nothing"
        return Earlier(None, says)
    return Earlier(
        {c: _shares(products[c]) for c in columns}, f"compared with {len(products)} products of drops before"
    )


def _shares(values: pa.ChunkedArray) -> dict[str, float]:
    """Return each value's share of those that are stated, in the values' order."""
    counts = {entry["values"]: entry["counts"] for entry in pc.value_counts(values.drop_null()).to_pylist()}
    whole = sum(counts.values())
    return {value: counts[value] / whole for value in sorted(counts)}
