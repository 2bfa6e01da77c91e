from __future__ import annotations

import hashlib
import io
import json
import logging
import tarfile
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.schemas import PRODUCTS
from lookbook.errors import PermanentError
from lookbook.lineage.records import TaskKey, recording
from lookbook.settings import get_settings
from lookbook.vqa import datasets
from lookbook.vqa.datasets import DatasetRef
from lookbook.vqa.questions import QUESTIONS, VERSION, WORDINGS
from lookbook.vqa.split import SIDES, EmptySplitError

DROP = "2026-11-16"
pytestmark = pytest.mark.usefixtures("aws_server")


def product(number: int, drop_id: str = DROP, picture: int | None = None, **columns: object) -> dict[str, object]:
    """A published product; products with the same ``picture`` share its bytes and hash."""
    picture = number if picture is None else picture
    content = f"picture {picture}".encode()
    uri = f"s3://lookbook/drops/{drop_id}/images/{number}.jpg"
    storage.write_bytes(uri, content)
    values = {
        "drop_id": drop_id,
        "product_id": str(number),
        "article_type": "Shirts",
        "attributes": {"Fabric": "Cotton" if number % 2 else "Silk", "baseColour": "Red", "Occasion": "Casual"},
        "picture_uri": uri,
        "picture_sha256": hashlib.sha256(content).hexdigest(),
        "picture_phash": f"{picture:016x}",
    } | columns
    values["attributes"] = list(values["attributes"].items())
    return values


def publish(products: Sequence[dict[str, object]], drop_id: str = DROP) -> None:
    rows = pa.Table.from_pylist(list(products), schema=PRODUCTS)
    tables.replace("catalog.products", rows, tables.equals("drop_id", drop_id))


def side_pairs(dataset: DatasetRef, side: str) -> list[dict[str, str]]:
    return pq.read_table(io.BytesIO(storage.read_bytes(f"{dataset.uri}{side}/pairs.parquet"))).to_pylist()


def all_pairs(dataset: DatasetRef) -> list[dict[str, str]]:
    return [pair for side in SIDES for pair in side_pairs(dataset, side)]


def side_pictures(dataset: DatasetRef, side: str) -> dict[str, bytes]:
    pictures: dict[str, bytes] = {}
    for stored in storage.list_objects(f"{dataset.uri}{side}/pictures-"):
        with tarfile.open(fileobj=io.BytesIO(storage.read_bytes(stored.uri))) as tar:
            pictures |= {member.name: tar.extractfile(member).read() for member in tar}
    return pictures


def test_each_side_has_its_pairs_and_each_of_its_pictures_once() -> None:
    publish([product(number) for number in range(60)])
    dataset = datasets.build_dataset()
    assert sum(counts["products"] for counts in dataset.counts.values()) == 60
    for side in SIDES:
        pairs, pictures = side_pairs(dataset, side), side_pictures(dataset, side)
        assert {pair["picture"] for pair in pairs} == set(pictures)
        assert all(name == f"{hashlib.sha256(content).hexdigest()}.jpg" for name, content in pictures.items())
        assert dataset.counts[side] == {
            "pairs": len(pairs),
            "pictures": len(pictures),
            "products": len({pair["product_id"] for pair in pairs}),
        }


def test_a_pair_asks_the_attributes_question_and_states_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_PARAPHRASED_SHARE", "0")
    get_settings.cache_clear()
    publish([product(number) for number in range(60)])
    pairs = [pair for pair in all_pairs(datasets.build_dataset()) if pair["product_id"] == "7"]
    assert {(pair["attribute"], pair["question"], pair["answer"]) for pair in pairs} == {
        ("Fabric", QUESTIONS["Fabric"], "Fabric: Cotton"),
        ("baseColour", QUESTIONS["baseColour"], "baseColour: Red"),
    }


def test_training_alone_asks_in_other_words_too() -> None:
    publish([product(number) for number in range(400)])
    dataset = datasets.build_dataset()
    asked = {side: Counter(pair["question"] for pair in side_pairs(dataset, side)) for side in SIDES}
    usual = {QUESTIONS["Fabric"], QUESTIONS["baseColour"]}
    assert set(asked["validation"]) == set(asked["benchmark"]) == usual
    assert set(asked["train"]) == {*WORDINGS["Fabric"], *WORDINGS["baseColour"]}
    other = 1 - sum(asked["train"][question] for question in usual) / asked["train"].total()
    assert 0.15 < other < 0.25


def test_pictures_fill_several_tars_where_they_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_SHARD_BYTES", 10_000)
    publish([product(number) for number in range(60)])
    dataset = datasets.build_dataset()
    names = [stored.uri.removeprefix(dataset.uri) for stored in storage.list_objects(f"{dataset.uri}train/pictures-")]
    assert names[:2] == ["train/pictures-00000.tar", "train/pictures-00001.tar"]
    assert len(side_pictures(dataset, "train")) == dataset.counts["train"]["pictures"]


def test_a_product_of_the_benchmark_never_trains_by_another_picture() -> None:
    publish([product(number) for number in range(60)])
    benchmark = {pair["product_id"] for pair in side_pairs(datasets.build_dataset(), "benchmark")}
    publish([product(number, "2026-11-23", picture=1000 + number) for number in range(60)], "2026-11-23")
    dataset = datasets.build_dataset()
    later = {pair["product_id"] for side in ("train", "validation") for pair in side_pairs(dataset, side)}
    assert benchmark
    assert not benchmark & later
    assert storage.read_json(f"{dataset.uri}dataset.json")["left_out"]["former_benchmark"] > 0


def test_products_with_the_same_picture_are_on_the_same_side() -> None:
    publish([product(number, picture=number // 2) for number in range(80)])
    dataset = datasets.build_dataset()
    sides = {pair["product_id"]: side for side in SIDES for pair in side_pairs(dataset, side)}
    assert all(sides[str(number)] == sides[str(number + 1)] for number in range(0, 80, 2))
    assert sum(counts["pictures"] for counts in dataset.counts.values()) == 40


def test_a_picture_keeps_its_side_when_more_products_come() -> None:
    publish([product(number) for number in range(60)])
    before = {pair["picture"] for pair in side_pairs(datasets.build_dataset(), "benchmark")}
    publish([product(number, "2026-11-23") for number in range(60, 90)], "2026-11-23")
    grown = datasets.build_dataset()
    assert before <= {pair["picture"] for pair in side_pairs(grown, "benchmark")}
    assert not before & {pair["picture"] for pair in side_pairs(grown, "train")}


def test_an_unchanged_catalogue_gives_the_same_data_set_and_writes_nothing() -> None:
    publish([product(number) for number in range(60)])
    first = datasets.build_dataset()
    etags = {stored.uri: stored.etag for stored in storage.list_objects(first.uri)}
    snapshot = tables.current_snapshot("training.vqa_pairs")
    publish([product(number) for number in range(60)])  # a new snapshot with the same rows
    again = datasets.build_dataset()
    assert (again.uri, again.dataset_id, again.counts) == (first.uri, first.dataset_id, first.counts)
    assert again.products_snapshot == tables.current_snapshot("catalog.products") != first.products_snapshot
    assert {stored.uri: stored.etag for stored in storage.list_objects(first.uri)} == etags
    assert tables.current_snapshot("training.vqa_pairs") == snapshot


def test_a_build_that_died_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    publish([product(number) for number in range(60)])
    with monkeypatch.context() as patch:
        patch.setattr(tables, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            datasets.build_dataset()
    dataset = datasets.build_dataset()
    assert len(tables.read("training.vqa_pairs")) == len(all_pairs(dataset))


def test_the_pairs_are_a_table_with_the_drop_and_picture_they_came_from() -> None:
    publish([product(number) for number in range(60)])
    dataset = datasets.build_dataset()
    row = tables.read("training.vqa_pairs", tables.equals("product_id", "7")).to_pylist()[0]
    assert row["dataset_id"] == dataset.dataset_id
    assert row["drop_id"] == DROP
    assert row["picture_uri"].endswith("/7.jpg")
    assert datasets.new_pairs(dataset.products_snapshot, dataset.dataset_id) == 0


def test_the_description_says_what_is_in_it() -> None:
    publish([product(number) for number in range(60)])
    dataset = datasets.build_dataset()
    description = storage.read_json(f"{dataset.uri}dataset.json")
    assert description["dataset_id"] == dataset.dataset_id
    assert description["attributes"] == ["Fabric", "baseColour"]
    assert description["vocabulary"] == {"Fabric": ["Cotton", "Silk"], "baseColour": ["Red"]}
    assert description["questions"] == {attribute: QUESTIONS[attribute] for attribute in ("Fabric", "baseColour")}
    assert description["products_snapshot"] == tables.current_snapshot("catalog.products")
    assert description["split_salt"] == "v1"
    assert description["task"] == VERSION
    assert set(description["balance"]) == {"Fabric", "baseColour"}
    assert description["balance"]["baseColour"] == {"Red": description["counts"]["train"]["products"]}


def test_rare_answers_and_not_applicable_ones_are_left_out() -> None:
    rare = [product(number, attributes={"Fabric": "Tweed"}) for number in (100, 101)]
    none = [product(number, attributes={"baseColour": "NA"}) for number in range(200, 210)]
    publish([product(number) for number in range(60)] + rare + none)
    dataset = datasets.build_dataset()
    assert {pair["answer"] for pair in all_pairs(dataset)} == {"Fabric: Cotton", "Fabric: Silk", "baseColour: Red"}
    assert storage.read_json(f"{dataset.uri}dataset.json")["left_out"]["rare_answer"] == 2


def test_only_the_article_types_asked_for_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    publish([product(number, article_type="Shirts" if number < 50 else "Belts") for number in range(60)])
    monkeypatch.setenv("LOOKBOOK_ARTICLE_TYPES", '["Shirts"]')
    get_settings.cache_clear()
    assert {int(pair["product_id"]) for pair in all_pairs(datasets.build_dataset())} == set(range(50))


def test_a_preset_stands_for_its_article_types(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ("Shirts", "Tshirts", "Belts")
    publish([product(number, article_type=kinds[number % 3]) for number in range(90)])
    monkeypatch.setenv("LOOKBOOK_ARTICLE_TYPES", '["shirts_and_tshirts"]')
    get_settings.cache_clear()
    assert {int(pair["product_id"]) % 3 for pair in all_pairs(datasets.build_dataset())} == {0, 1}


def test_a_product_of_several_drops_counts_as_its_newest_has_it() -> None:
    publish([product(number) for number in range(60)])
    publish([product(7, "2026-11-23", attributes={"baseColour": "Red"})], "2026-11-23")
    pairs = [pair for pair in all_pairs(datasets.build_dataset()) if pair["product_id"] == "7"]
    assert [pair["answer"] for pair in pairs] == ["baseColour: Red"]


def test_an_empty_catalogue_gives_no_data_set() -> None:
    with pytest.raises(EmptySplitError, match="train 0, validation 0, benchmark 0"):
        datasets.build_dataset()


def test_a_picture_that_changed_since_stops_the_build() -> None:
    publish([product(number) for number in range(60)])
    storage.write_bytes(f"s3://lookbook/drops/{DROP}/images/7.jpg", b"another")
    with pytest.raises(PermanentError, match=r"images/7.jpg is no longer the picture that was published"):
        datasets.build_dataset()


def test_the_build_is_lineage_and_says_how_far_it_is(caplog: pytest.LogCaptureFixture) -> None:
    publish([product(number) for number in range(60)])
    with caplog.at_level(logging.INFO, "lookbook"), recording(TaskKey("d", "r", "t")) as record:
        dataset = datasets.build_dataset()
    assert {(d.kind, d.name) for d in record.inputs} == {("table", "catalog.products"), ("table", "training.vqa_pairs")}
    assert f"{dataset.uri}dataset.json" in {d.name for d in record.outputs}
    assert record.counts["train_pairs"] == dataset.counts["train"]["pairs"]
    pictures = dataset.counts["train"]["pictures"]
    assert f"Pictures of the train side: {pictures} of {pictures}" in caplog.text


def test_the_reference_survives_the_way_through_json() -> None:
    publish([product(number) for number in range(60)])
    dataset = datasets.build_dataset()
    assert DatasetRef(**json.loads(json.dumps(dataset.reference()))) == dataset


def test_a_data_set_that_is_used_again_counts_as_young(monkeypatch: pytest.MonkeyPatch) -> None:
    publish([product(number) for number in range(60)])
    first = datasets.build_dataset()
    written: list[str] = []
    write = storage.write_bytes

    def noted(uri: str, content: bytes, content_type: str = "") -> storage.StoredObject:
        written.append(uri)
        return write(uri, content, content_type)

    monkeypatch.setattr(storage, "write_bytes", noted)
    datasets.build_dataset()
    assert written == [f"{first.uri}dataset.json"]
