"""A catalogue by the hundred, straight into the tables: for pages and queries whose cost must not grow with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from tests.descriptions.conftest import product, publish_products

from lookbook.catalog import tables
from lookbook.catalog.schemas import DESCRIPTIONS, FINDINGS, QUARANTINE, RUNS

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)
MODEL = "anthropic.claude-3-5-haiku-20241022-v1:0"


def publish(drop_id: str, ids: Iterable[str], **columns: Any) -> None:
    """Put products into the catalogue in place of a drop's."""
    publish_products(*(product(one, drop_id, **columns) for one in ids), drop_id=drop_id)


def quarantine(drop_id: str, *reasons: list[str]) -> None:
    """Put rows into quarantine in place of a drop's, one for each list of reasons."""
    rows = [
        dict.fromkeys(QUARANTINE.names) | {"drop_id": drop_id, "line_number": number, "reasons": codes}
        for number, codes in enumerate(reasons)
    ]
    _replace("catalog.quarantine", rows, QUARANTINE, drop_id)


def describe(drop_id: str, statuses: Mapping[str, str], **columns: Any) -> None:
    """Put descriptions, product id → status, in place of a drop's; each took 200 tokens in, 50 out, 0.001 USD."""
    rows = [text(drop_id, product_id, status, **columns) for product_id, status in statuses.items()]
    replace_texts(drop_id, rows)


def text(drop_id: str, product_id: str, status: str, **columns: Any) -> dict[str, Any]:
    """A row of ``descriptions.descriptions``."""
    paid = {"calls": 1, "input_tokens": 200, "cached_tokens": 100, "output_tokens": 50, "cost_usd": 0.001}
    made_by = {"text_model_id": MODEL, "prompt_version": "product_description@2", "attribute_model_version": "v1"}
    known = {"drop_id": drop_id, "product_id": product_id, "status": status, "facts": [], "differences": []}
    return dict.fromkeys(DESCRIPTIONS.names) | paid | made_by | known | columns


def replace_texts(drop_id: str, rows: list[dict[str, Any]]) -> None:
    """Put rows into ``descriptions.descriptions`` in place of a drop's."""
    _replace("descriptions.descriptions", rows, DESCRIPTIONS, drop_id)


def find(drop_id: str, *ids: str) -> None:
    """Put a finding of each product in place of a drop's."""
    required = {"attribute": "Fabric", "catalogue_value": "Cotton", "model_value": "Linen", "probability": 0.9}
    rows = [dict.fromkeys(FINDINGS.names) | required | {"drop_id": drop_id, "product_id": one} for one in ids]
    _replace("quality.findings", rows, FINDINGS, drop_id)


def ran(drop_id: str, dag_id: str, run_id: str, *task_ids: str, at: datetime = NOON, mapped: int = 0) -> None:
    """Put a run's records into ``lineage.runs`` beside those there are, each a minute; ``mapped`` more of its last."""
    keys = [(task_id, -1) for task_id in task_ids] + [(task_ids[-1], number) for number in range(mapped)]
    rows = [
        dict.fromkeys(RUNS.names)
        | {"drop_id": drop_id, "dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": index}
        | {"started_at": at + timedelta(minutes=place), "finished_at": at + timedelta(minutes=place + 1)}
        for place, (task_id, index) in enumerate(keys)
    ]
    tables.replace("lineage.runs", pa.Table.from_pylist(rows, schema=RUNS), tables.equals("run_id", run_id))


def _replace(name: str, rows: list[dict[str, Any]], schema: pa.Schema, drop_id: str) -> None:
    tables.replace(name, pa.Table.from_pylist(rows, schema=schema), tables.equals("drop_id", drop_id))
