from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from tests.descriptions.conftest import DROP, describe_all, planned_items, product, publish_products

from lookbook.catalog import tables
from lookbook.catalog.schemas import DESCRIPTIONS
from lookbook.descriptions import __main__ as command
from lookbook.descriptions.staleness import mark_stale, stale_drops
from lookbook.lineage.records import TaskKey, recording
from lookbook.settings import get_settings

pytestmark = pytest.mark.usefixtures("bucket")
WHY = "model v3 was rolled back by ada: it sees no skirts"


def publish(*rows: tuple[str, str, str, str | None]) -> None:
    """Publish descriptions, given as drop, product, status and the attribute model's version."""
    content = [
        {
            "drop_id": drop,
            "product_id": product,
            "status": status,
            "reasons": ["unfaithful"] if status == "withheld" else [],
            "description": f"Product {product}.",
            "facts": [{"attribute": "Fabric", "value": "Cotton", "source": "model", "probability": 0.9}],
            "input_hash": f"hash-{product}",
            "attribute_model_version": version,
        }
        for drop, product, status, version in rows
    ]
    for drop in {row[0] for row in rows}:
        of_drop = pa.Table.from_pylist([row for row in content if row["drop_id"] == drop], schema=DESCRIPTIONS)
        tables.replace("descriptions.descriptions", of_drop, tables.equals("drop_id", drop))


def rows() -> dict[str, dict[str, Any]]:
    return {row["product_id"]: row for row in tables.read("descriptions.descriptions").to_pylist()}


@pytest.fixture
def described(bucket: str) -> None:
    publish(
        ("2026-11-09", "1", "published", "v3"),
        ("2026-11-16", "2", "published", "v3"),
        ("2026-11-16", "3", "published", "v2"),
        ("2026-11-16", "4", "published", None),
        ("2026-11-16", "5", "withheld", "v3"),
    )


def test_what_the_model_helped_to_publish_becomes_stale_with_the_reason(described: None) -> None:
    before = rows()
    with recording(TaskKey("rollback_attribute_model", "r", "mark_stale")) as record:
        marked = mark_stale("v3", WHY)
    assert marked.reference() == {"of": "model v3", "descriptions": 2, "drops": ["2026-11-09", "2026-11-16"]}
    after = rows()
    assert after == {
        product: row | {"status": "stale", "reasons": [WHY]} if product in "12" else row
        for product, row in before.items()
    }
    assert record.counts == {"stale": 2}
    assert [dataset.name for dataset in record.outputs] == ["descriptions.descriptions"]


def test_the_next_run_describes_what_is_stale_anew() -> None:
    publish_products(product("1"), product("2"))
    items = planned_items()
    describe_all("published", items[0])
    describe_all("stale", items[1])
    assert [item.product_id for item in planned_items()] == ["2"]


def test_drops_with_missing_or_outdated_descriptions_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for drop, ids in {"2026-11-02": "12", "2026-11-09": "34", DROP: "567"}.items():
        publish_products(*(product(number, drop) for number in ids), drop_id=drop)
    describe_all("published", *planned_items("2026-11-02"))
    changed, kept = planned_items("2026-11-09")
    describe_all("published", replace(changed, input_hash="of another input"), kept)
    withheld, failed, _ = planned_items()
    describe_all("withheld", withheld)
    describe_all("failed", failed)
    assert stale_drops() == {"2026-11-09": 1, DROP: 1}
    monkeypatch.setenv("LOOKBOOK_GUARDRAIL_ID", "gr-1")
    get_settings.cache_clear()
    assert stale_drops() == {"2026-11-02": 2, "2026-11-09": 2, DROP: 3}


def test_marking_twice_commits_once(described: None) -> None:
    mark_stale("v3", WHY)
    snapshot = tables.current_snapshot("descriptions.descriptions")
    assert mark_stale("v3", "another reason").descriptions == 0
    assert tables.current_snapshot("descriptions.descriptions") == snapshot


def test_the_command_names_the_drops_to_describe_anew(described: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["stale", "v3", WHY]) == 0
    assert capsys.readouterr().out == "2 descriptions are stale. Describe anew: 2026-11-09, 2026-11-16\n"
