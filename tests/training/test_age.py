from __future__ import annotations

import pyarrow as pa
import pytest

from lookbook.catalog import tables
from lookbook.catalog.schemas import PRODUCTS
from lookbook.training import age, registry
from lookbook.training.registry import Champion

pytestmark = pytest.mark.usefixtures("aws_server")


def snapshot(drop_id: str) -> str:
    """Publish a drop and return the version of the catalogue that has it."""
    rows = pa.Table.from_pylist([{"drop_id": drop_id, "product_id": "1"}], schema=PRODUCTS)
    return tables.replace("catalog.products", rows, tables.equals("drop_id", drop_id))


def serve(monkeypatch: pytest.MonkeyPatch, products_snapshot: str | None) -> None:
    """Put a model in service that learned from a version of the catalogue."""
    champion = Champion("v3", "arn:…/3", "m", "s3://lookbook/m.tar.gz", "d1", "c", "t", None, products_snapshot)
    monkeypatch.setattr(registry, "champion", lambda: champion)


def test_a_data_set_of_an_earlier_catalogue_is_older(monkeypatch: pytest.MonkeyPatch) -> None:
    early, late = snapshot("2026-11-09"), snapshot("2026-11-16")
    serve(monkeypatch, late)
    assert age.older_than_champion({"products_snapshot": early}) == (
        f"it was trained on snapshot {early} of catalog.products, which is older than snapshot {late}, on which v3 in "
        "service was"
    )


def test_a_data_set_of_a_later_catalogue_or_the_same_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    early, late = snapshot("2026-11-09"), snapshot("2026-11-16")
    serve(monkeypatch, early)
    assert age.older_than_champion({"products_snapshot": late}) is None
    assert age.older_than_champion({"products_snapshot": early}) is None


def test_what_is_no_longer_in_the_tables_history_is_older_than_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    late = snapshot("2026-11-16")
    serve(monkeypatch, late)
    assert age.older_than_champion({"products_snapshot": "1"})
    serve(monkeypatch, "1")
    assert age.older_than_champion({"products_snapshot": late}) is None


def test_without_a_champion_or_its_snapshot_nothing_is_older(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "champion", lambda: None)
    assert age.older_than_champion({"products_snapshot": "1"}) is None
    serve(monkeypatch, None)
    assert age.older_than_champion({"products_snapshot": "1"}) is None
