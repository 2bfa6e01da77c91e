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
DROP = "2026-11-16"
CHAMPION = Champion("v3", "arn:…/3", "lookbook-attributes-v3-1", "s3://lookbook/m.tar.gz", "d1", "c", "t1")


@pytest.fixture(autouse=True)
def in_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_MIN_NEW_PAIRS", "5")
    get_settings.cache_clear()
    monkeypatch.setattr(registry, "champion", lambda: CHAMPION)


def checksum(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def publish(numbers: range, drop_id: str = DROP) -> None:
    rows = [
        {
            "drop_id": drop_id,
            "product_id": str(number),
            "attributes": [("Fabric", "Cotton")],
            "picture_sha256": checksum(number),
            "picture_phash": checksum(number)[:16],
        }
        for number in numbers
    ]
    rows.append({"drop_id": drop_id, "product_id": f"unlabelled-{drop_id}", "attributes": []})
    tables.replace("catalog.products", pa.Table.from_pylist(rows, schema=PRODUCTS), tables.equals("drop_id", drop_id))


def train_on(numbers: range) -> None:
    pair = dict.fromkeys(VQA_PAIRS.names, "x") | {"dataset_id": "d1", "attribute": "Fabric", "answer": "Fabric: Cotton"}
    pairs = [pair | {"product_id": str(number), "picture_sha256": checksum(number)} for number in numbers]
    tables.replace(
        "training.vqa_pairs", pa.Table.from_pylist(pairs, schema=VQA_PAIRS), tables.equals("dataset_id", "d1")
    )


def test_enough_new_labelled_pairs_are_worth_a_training() -> None:
    train_on(range(10))
    publish(range(15))
    decision = planning.enough_new_pairs()
    assert (decision.passed, decision.new_pairs) == (True, 5)


def test_too_few_are_not_and_the_reason_says_how_many() -> None:
    train_on(range(10))
    publish(range(14))
    with recording(TaskKey("retrain_attribute_model", "r", "t")) as record:
        decision = planning.enough_new_pairs()
    assert not decision.passed
    assert decision.reason == "4 new labelled pairs since model v3, 5 needed"
    assert record.details["training"] == decision.reason
    assert record.counts == {"new_pairs": 4}


def test_force_trains_all_the_same_and_says_so() -> None:
    train_on(range(10))
    publish(range(10))
    decision = planning.enough_new_pairs(force=True)
    assert decision.passed
    assert decision.reason.endswith("; forced")


def test_force_is_not_mentioned_where_it_was_not_needed() -> None:
    publish(range(10))
    assert "forced" not in planning.enough_new_pairs(force=True).reason


def test_what_comes_again_in_another_drop_is_not_new() -> None:
    train_on(range(10))
    publish(range(10), DROP)
    publish(range(10), "2026-11-23")
    assert planning.enough_new_pairs().new_pairs == 0


def test_another_picture_or_answer_of_a_known_product_is_new() -> None:
    train_on(range(10))
    publish(range(10))
    rows = tables.read("catalog.products").to_pylist()
    rows[0]["picture_sha256"], rows[1]["attributes"] = checksum(99), [("Fabric", "Linen")]
    tables.replace("catalog.products", pa.Table.from_pylist(rows, schema=PRODUCTS), tables.equals("drop_id", DROP))
    # Linen is rare: nothing learns it, so nothing new came with it.
    assert planning.enough_new_pairs().new_pairs == 1


def test_without_a_model_in_service_any_labelled_pair_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "champion", lambda: None)
    publish(range(3))
    decision = planning.enough_new_pairs()
    assert decision.passed
    assert decision.reason == "3 new labelled pairs and no model is in service, 1 needed"


def test_an_empty_catalogue_is_no_reason_to_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "champion", lambda: None)
    assert not planning.enough_new_pairs().passed
