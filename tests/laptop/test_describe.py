"""Which drop `make describe` is about."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from laptop.airflow_api import DagRun
from laptop.demo import DESCRIBE, Driver
from laptop.errors import LaptopError
from lookbook.catalog import tables
from lookbook.catalog.schemas import PRODUCTS


@pytest.fixture
def asked(bucket: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """The DAGs that were run, each with its partition key."""
    followed: list[tuple[str, str | None]] = []

    def follow(_: Driver, dag_id: str, partition_key: str | None, conf: dict[str, Any]) -> DagRun:
        followed.append((dag_id, partition_key))
        return DagRun(dag_id, "new", "success", partition_key, conf)

    monkeypatch.setattr(Driver, "_follow", follow)
    return followed


def publish(*drops: str) -> None:
    rows = [{"drop_id": drop, "product_id": str(number)} for number, drop in enumerate(drops)]
    tables.replace("catalog.products", pa.Table.from_pylist(rows, schema=PRODUCTS), "true")


def test_without_a_date_the_latest_published_drop_is_described(asked: list[Any]) -> None:
    publish("2026-11-09", "2026-11-16", "2026-11-02")
    Driver.__new__(Driver).describe(None)
    assert asked == [(DESCRIBE, "2026-11-16")]


def test_the_drop_that_is_named_is_described(asked: list[Any]) -> None:
    Driver.__new__(Driver).describe("2026-11-02")
    assert asked == [(DESCRIBE, "2026-11-02")]


def test_before_any_drop_is_published_there_is_nothing_to_describe(asked: list[Any]) -> None:
    with pytest.raises(LaptopError, match=r"No drop is published yet: .*make ingest"):
        Driver.__new__(Driver).describe(None)
    assert asked == []
