from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest

from lookbook.catalog import tables
from lookbook.catalog.schemas import PRODUCTS, VQA_PAIRS
from lookbook.lineage.records import TaskKey, recording
from lookbook.settings import get_settings
from lookbook.training import planning, registry
from lookbook.training.registry import Champion

pytestmark = pytest.mark.usefixtures("aws_server")
CHAMPION = Champion("v3", "arn:…/3", "lookbook-attributes-v3-1", "s3://lookbook/m.tar.gz", "d1", "c", "t1")


@pytest.fixture(autouse=True)
def in_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_MIN_NEW_PRODUCTS", "5")
    get_settings.cache_clear()
    monkeypatch.setattr(registry, "champion", lambda: CHAMPION)


def publish(numbers: range, drop_id: str = "2026-11-16") -> None:
    rows = [
        {
            "drop_id": drop_id,
            "product_id": str(number),
            "attributes": [("Fabric", "Cotton")],
            "picture_sha256": hashlib.sha256(str(number).encode()).hexdigest(),
        }
        for number in numbers
    ]
    rows.append({"drop_id": drop_id, "product_id": f"unlabelled-{drop_id}", "attributes": []})
    tables.replace("catalog.products", pa.Table.from_pylist(rows, schema=PRODUCTS), tables.equals("drop_id", drop_id))


def train_on(numbers: range) -> None:
    pair = dict.fromkeys(VQA_PAIRS.names, "x") | {"dataset_id": "d1"}
    pairs = [pair | {"product_id": str(number)} for number in numbers]
    tables.replace(
        "training.vqa_pairs", pa.Table.from_pylist(pairs, schema=VQA_PAIRS), tables.equals("dataset_id", "d1")
    )


def test_enough_new_labelled_products_are_worth_a_training() -> None:
    train_on(range(10))
    publish(range(15))
    decision = planning.enough_new_products()
    assert (decision.passed, decision.new_products) == (True, 5)


def test_too_few_are_not_and_the_reason_says_how_many() -> None:
    train_on(range(10))
    publish(range(14))
    with recording(TaskKey("retrain_attribute_model", "r", "t")) as record:
        decision = planning.enough_new_products()
    assert not decision.passed
    assert decision.reason == "4 new labelled products since model v3, 5 needed"
    assert record.details["training"] == decision.reason
    assert record.counts == {"new_products": 4}


def test_force_trains_all_the_same_and_says_so() -> None:
    train_on(range(10))
    publish(range(10))
    decision = planning.enough_new_products(force=True)
    assert decision.passed
    assert decision.reason.endswith("; forced")


def test_force_is_not_mentioned_where_it_was_not_needed() -> None:
    publish(range(10))
    assert "forced" not in planning.enough_new_products(force=True).reason


def test_products_that_come_again_in_another_drop_are_not_new() -> None:
    train_on(range(10))
    publish(range(10), "2026-11-16")
    publish(range(10), "2026-11-23")
    assert planning.enough_new_products().new_products == 0


def test_without_a_model_in_service_any_labelled_product_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "champion", lambda: None)
    publish(range(1))
    decision = planning.enough_new_products()
    assert decision.passed
    assert decision.reason == "1 new labelled products and no model is in service, 1 needed"


def test_an_empty_catalogue_is_no_reason_to_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "champion", lambda: None)
    assert not planning.enough_new_products().passed
