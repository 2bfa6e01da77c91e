"""Drops as validation leaves them in S3."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lookbook import storage
from lookbook.catalog.schemas import CANDIDATES


@dataclass(frozen=True)
class ValidatedDrop:
    candidates_uri: str
    validation_uri: str


StoreDrop = Callable[..., ValidatedDrop]


@pytest.fixture
def store_drop(aws_server: str) -> StoreDrop:
    """Store a drop of the given product ids, of which those in ``rejected`` failed validation."""

    def store(
        drop_id: str,
        ids: list[str],
        rejected: tuple[str, ...] = (),
        name: str = "shirt",
        rows_validated: int | None = None,
        verdicts: list[dict[str, Any]] | None = None,
        raw_lines: dict[str, str] | None = None,
    ) -> ValidatedDrop:
        prefix = f"s3://lookbook/staging/{drop_id}/f1"
        rows = [
            {
                "drop_id": drop_id,
                "product_id": product_id,
                "display_name": f"{name} {product_id}",
                "attributes": [("Fabric", "Cotton")],
                "line_number": line,
                "raw_line": (raw_lines or {}).get(product_id, f"{product_id},Men"),
            }
            for line, product_id in enumerate(ids, start=2)
        ]
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=CANDIDATES), sink)
        validation = {
            "drop_id": drop_id,
            "candidates_uri": f"{prefix}/candidates.parquet",
            "rows": len(rows) if rows_validated is None else rows_validated,
            "rejected": verdicts
            or [
                {"position": position, "reasons": ["no_picture"], "detail": f"images/{product_id}.jpg is missing"}
                for position, product_id in enumerate(ids)
                if product_id in rejected
            ],
        }
        storage.write_bytes(f"{prefix}/candidates.parquet", sink.getvalue())
        storage.write_json(f"{prefix}/validation.json", validation)
        return ValidatedDrop(f"{prefix}/candidates.parquet", f"{prefix}/validation.json")

    return store
