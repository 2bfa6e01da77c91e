"""Forward: what a drop, a picture and a model went into, and which descriptions must be written anew."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from tests.descriptions.conftest import DROP, product, publish_products
from tests.lineage.flow import PICTURE, describe, ingest, retrain, sha256

from lookbook.catalog import tables
from lookbook.catalog.schemas import VQA_PAIRS
from lookbook.errors import PermanentError
from lookbook.lineage import __main__ as command
from lookbook.lineage import impact
from lookbook.lineage.chain import Link

LATER = "2026-11-23"


def pairs(dataset_id: str, drop_id: str, count: int, picture_sha256: str) -> None:
    """Put question/answer pairs of a drop's pictures into the table."""
    row = dict.fromkeys(VQA_PAIRS.names, "x") | {
        "dataset_id": dataset_id,
        "drop_id": drop_id,
        "picture_sha256": picture_sha256,
    }
    rows = pa.Table.from_pylist([row] * count, schema=VQA_PAIRS)
    tables.replace("training.vqa_pairs", rows, tables.equals("dataset_id", dataset_id))


@pytest.fixture
def flow(aws_server: str) -> None:
    """A drop whose product was described with a model that was trained on the drop."""
    ingest()
    pairs("d1", DROP, 12, sha256(PICTURE))
    retrain()
    describe("v1")


def below(link: Link) -> list[tuple[str, str]]:
    return [(found.kind, found.name) for found in link.sources]


def test_a_model_leads_to_its_answers_and_the_descriptions_that_used_them(flow: None) -> None:
    found = impact.of_model("v1")
    assert below(found.root) == [
        ("endpoint config", "config-v1"),
        ("attribute predictions", f"model v1, drop {DROP}"),
        ("descriptions", f"drop {DROP}"),
    ]
    _, predictions, descriptions = found.root.sources
    assert predictions.details == {"products": 1, "answers": 2}
    assert descriptions.details == {"published": 1}
    assert (found.published, found.drops) == (1, (DROP,))


def test_a_drop_leads_through_data_sets_to_models_and_what_they_answered(flow: None) -> None:
    found = impact.of_drop(DROP)
    [dataset, predictions, descriptions] = found.root.sources
    assert (dataset.name, dataset.details) == ("d1", {"pairs of it": 12})
    assert [model.kind for model in dataset.sources] == ["model package"]
    assert (predictions.kind, descriptions.kind) == ("attribute predictions", "descriptions")
    # The one description counts once, though it is of the drop and used a model trained on it.
    assert found.published == 1


def test_a_drop_that_only_trained_a_model_leads_to_other_drops_descriptions(flow: None) -> None:
    publish_products(product("7", LATER), drop_id=LATER)
    pairs("d1", LATER, 3, "another picture")
    found = impact.of_drop(LATER)
    assert (found.published, found.drops) == (1, (DROP,))


def test_a_picture_leads_to_the_same_and_to_its_products(flow: None) -> None:
    found = impact.of_picture("38642")
    assert [link.kind for link in found.root.sources] == [
        "products",
        "data set",
        "attribute predictions",
        "descriptions",
    ]
    assert found.published == 1


def test_a_picture_leads_to_every_product_and_drop_that_has_it(flow: None) -> None:
    publish_products(
        *(product(str(one), LATER, picture_sha256=sha256(PICTURE)) for one in range(20, 32)),
        product("99", LATER),
        drop_id=LATER,
    )
    products = [link for link in impact.of_picture("38642").root.sources if link.kind == "products"]
    assert [(link.name, link.details["products"]) for link in products] == [(f"drop {DROP}", 1), (f"drop {LATER}", 12)]
    assert products[1].details["ids"] == "20, 21, 22, 23, 24, 25, 26, 27, 28, 29 …"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: impact.of_model("v9"), "no model v9"),
        (lambda: impact.of_drop("2020-01-06"), "no drop 2020-01-06"),
        (lambda: impact.of_picture("1"), "no picture of a product 1"),
    ],
    ids=["model", "drop", "picture"],
)
def test_what_isnt_there_is_said(flow: None, ask, message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        ask()


def test_the_command_shows_a_drop_in_every_form(flow: None, capsys: pytest.CaptureFixture[str]) -> None:
    shown = {}
    for form in ("text", "json", "mermaid", "dot"):
        assert command.main(["drop", DROP, "--format", form]) == 0
        shown[form] = capsys.readouterr().out
    assert f"1 published descriptions depend on it, in drops: {DROP}" in shown["text"]
    assert json.loads(shown["json"])["drops"] == [DROP]
    assert "n0 --> n1" in shown["mermaid"]
    assert "n0 -> n1;" in shown["dot"]


def test_the_command_marks_what_depends_on_a_wrong_drop(flow: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["drop", DROP, "--mark-stale", "its fabrics were wrong"]) == 0
    assert f"1 are stale. Describe anew: {DROP}" in capsys.readouterr().err
    [row] = tables.read("descriptions.descriptions").to_pylist()
    assert (row["status"], row["reasons"]) == ("stale", ["its fabrics were wrong"])
    assert impact.of_drop(DROP).published == 0


def test_the_command_marks_what_depends_on_a_wrong_picture(flow: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["picture", "38642", "--mark-stale", "it shows another shirt"]) == 0
    assert f"1 are stale. Describe anew: {DROP}" in capsys.readouterr().err
    [row] = tables.read("descriptions.descriptions").to_pylist()
    assert (row["status"], row["reasons"]) == ("stale", ["it shows another shirt"])


def test_an_unknown_model_ends_the_command_with_a_message(flow: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["model", "v9"]) == 1
    assert "no model v9" in capsys.readouterr().err
