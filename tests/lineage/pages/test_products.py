"""The page of a product: what is said about it, and its chain as graph and as list."""

from __future__ import annotations

import pyarrow as pa
import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode
from tests.descriptions.conftest import DROP
from tests.lineage import catalogue
from tests.lineage.account import kept
from tests.lineage.catalogue import publish, text
from tests.lineage.flow import DESCRIBE, PICTURE_URI, describe, ingest, retrain

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.schemas import PREDICTED_ATTRIBUTES, QUARANTINE
from lookbook.lineage.chain import Chain, Link, TaskInstance
from lookbook.lineage.pages import Links, PageNotFoundError, products

HOSTILE = "</dd><script>alert(1)</script>"
EARLIER = "2026-11-09"
LINKS = Links("/airflow", lambda thing: f"https://console.example/{thing}" if "training-job" in thing else None)


@pytest.fixture(scope="module")
def described(moto_server: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Chain]:
    """The page of a product that went through all DAGs, made once, and the chain that it shows."""
    with kept(moto_server, tmp_path_factory):
        ingest(attributes={"Neck": "Round Neck", "Fabric": "Linen", "Fit": "Regular"})
        retrain()
        describe("v1", threshold=0.5)
        chain = products.find("38642").chain
        assert chain
        return products.render_product(LINKS, "38642"), chain


@pytest.fixture(scope="module")
def page(described: tuple[str, Chain]) -> LexborHTMLParser:
    return LexborHTMLParser(described[0])


def rows(page: LexborHTMLParser) -> dict[str, list[str]]:
    """The table of attributes: the cells of each by its name."""
    return {
        row.css_first("th").text(): [cell.text(strip=True) for cell in row.css("td")] for row in page.css("tbody tr")
    }


def hrefs(node: LexborHTMLParser | LexborNode) -> set[str]:
    return {link.attributes["href"] or "" for link in node.css("a")}


def test_catalogue_and_model_stand_side_by_side_and_where_they_differ_it_is_said(page: LexborHTMLParser) -> None:
    found = rows(page)
    assert found["Neck"][:2] == ["Round Neck", "V-Neck"] and found["Neck"][4] == "differs"
    assert found["Fabric"][:2] == ["Linen", "Linen"] and found["Fabric"][2] == "0.600"
    assert found["Fit"][:2] == ["Regular", "–"] and found["Fit"][4] == "catalogue only"
    assert found["Neck"][5] == "Round Neck(catalogue)"
    assert found["Article Type"][:2] == ["Shirts", "–"], "a column of the catalogue, and no attribute"
    [differing] = page.css("tr.differs th")
    assert differing.text() == "Neck"


def test_the_text_stands_with_what_it_was_made_with_and_cost(page: LexborHTMLParser) -> None:
    assert page.css_first("article.text p").text() == "A blue shirt."
    assert [(figure.css_first("dt").text(), figure.css_first("dd").text()) for figure in page.css(".figure")][:2] == [
        ("at list price", "$0.00041"),
        ("tokens in", "210"),
    ]
    assert page.css_first(".picture img").attributes["src"] == f"/airflow/lookbook/pictures/{DROP}/38642"
    assert f"/airflow/dags/{DESCRIBE}/runs/run-1" in hrefs(page)


def test_the_list_has_every_link_of_the_chain_and_the_graph_leads_to_each(
    page: LexborHTMLParser, described: tuple[str, Chain]
) -> None:
    links = list(described[1].root.walk())
    headings = [step.text(strip=True) for step in page.css(".chain h3")]
    assert headings == [f"{link.kind}{link.name}" for link in links]
    boxes = page.css(".graph a")
    assert [box.attributes["href"] for box in boxes] == [f"#step-{number}" for number in range(len(links))]
    assert all(page.css_first(box.attributes["href"] or "") for box in boxes)
    assert "every link resolves" in page.body.text().lower()  # type: ignore[union-attr]


def test_a_link_leads_to_its_tasks_and_to_where_it_can_be_looked_at(page: LexborHTMLParser) -> None:
    [job] = [step for step in page.css("[id^=step-]") if step.css_first("h3").text().startswith("training job")]
    assert "/airflow/dags/retrain_attribute_model/runs/run-1/tasks/train" in hrefs(job)
    [console] = job.css("a[target=_blank]")
    assert (console.attributes["href"] or "").startswith("https://console.example/arn:aws:sagemaker:")
    assert "/airflow/lookbook/lineage/models/v1" in hrefs(page)
    assert f"/airflow/lookbook/data-docs/{DROP}/index.html" in hrefs(page)
    assert f"/airflow/lookbook/findings/{DROP}" in hrefs(page), "the model contradicts the catalogue"


def test_airflows_own_pages_are_marked_for_the_ui_around_the_frame(page: LexborHTMLParser) -> None:
    outside = {link.attributes["href"] or "" for link in page.css("a[data-outside]")}
    assert outside == {href for href in hrefs(page) if "/dags/" in href or href.startswith("https:")}


def test_a_broken_link_is_said_in_words_in_the_list_and_in_the_graph(aws_server: str) -> None:
    ingest()
    describe(None)
    storage.write_bytes(PICTURE_URI, b"another picture")
    page = LexborHTMLParser(products.render_product(LINKS, "38642"))
    [box] = page.css(".graph a.broken")
    assert "broken" in (box.attributes["aria-label"] or "") and "✗ broken" in box.css_first(".kind").text()
    [problem] = page.css(".chain .problem")
    assert problem.text().startswith("✗ broken: its sha256 is")
    assert page.css_first("main > .problem strong").text() == "The chain is broken."


def test_every_drop_that_holds_a_product_can_be_chosen(aws_server: str) -> None:
    for drop_id, name in ((EARLIER, "Old name"), (DROP, "New name")):
        publish(drop_id, ["1"], display_name=name)
    publish("2026-11-02", ["1"])
    for drop_id in (EARLIER, DROP):
        catalogue.replace_texts(drop_id, [text(drop_id, "1", "published", **sourced(drop_id))])
    newest, older = products.find("1"), products.find("1", EARLIER)
    assert [(one.drop_id, one.status) for one in newest.seen] == [
        (DROP, "published"),
        (EARLIER, "published"),
        ("2026-11-02", "not described"),
    ]
    assert (newest.drop_id, newest.name, older.name) == (DROP, "New name", "Old name")
    assert older.chain and older.chain.root.name == f"product 1 of drop {EARLIER}"
    page = LexborHTMLParser(products.render_product(LINKS, "1", EARLIER))
    assert page.css_first(".choice a[aria-current]").text() == EARLIER


def sourced(drop_id: str) -> dict[str, object]:
    """What a description needs for its chain to be followed."""
    return {"facts": [], "differences": [], "reasons": [], "prompt_sha256": "0", "attribute_model_version": None}


def test_a_product_that_nobody_described_yet_is_shown_with_what_the_model_says(aws_server: str) -> None:
    publish(DROP, ["1"], attributes={"Fabric": "Cotton"})
    answer = {"drop_id": DROP, "product_id": "1", "attribute": "Neck", "value": "Round Neck", "threshold": 0.7}
    row = dict.fromkeys(PREDICTED_ATTRIBUTES.names) | answer | {"probability": 0.5}
    tables.replace(
        "predictions.attributes", pa.Table.from_pylist([row], schema=PREDICTED_ATTRIBUTES), "drop_id is not null"
    )
    page = LexborHTMLParser(products.render_product(LINKS, "1"))
    assert {name: cells[4] for name, cells in rows(page).items()} == {"Fabric": "catalogue only", "Neck": "unsure"}
    assert not page.css(".chain, .graph") and "/airflow/dags/describe_products" in hrefs(page)


@pytest.mark.parametrize(
    ("catalogue", "value", "probability", "threshold", "verdict"),
    [
        ("Cotton", "Cotton", 0.9, 0.7, "agrees"),
        ("Cotton", "Linen", 0.7, 0.7, "differs"),
        (None, "Linen", 0.9, 0.7, "model only"),
        ("Cotton", "Linen", 0.69, 0.7, "unsure"),
        ("Cotton", "Linen", 0.99, None, "unsure"),
    ],
)
def test_an_answer_counts_from_its_threshold_on(
    catalogue: str | None, value: str, probability: float, threshold: float | None, verdict: str
) -> None:
    answer = {"value": value, "probability": probability, "threshold": threshold}
    assert products._verdict(catalogue, answer) == verdict


def test_an_answer_without_a_value_is_told_from_no_answer() -> None:
    assert products._verdict("Cotton", {"value": None, "abstained": True}) == "abstained"
    assert products._verdict("Cotton", {}) == "catalogue only"


def test_what_the_picture_went_into_is_a_page_of_its_own(aws_server: str) -> None:
    ingest()
    describe(None)
    page = LexborHTMLParser(products.render_impact(LINKS, "38642"))
    assert page.css_first("h1").text() == "What depends on picture 38642"
    assert page.css_first(".figure dd").text() == "1"
    assert not page.css("pre"), "a picture has no command that marks descriptions: the drop is mended"
    assert "/airflow/lookbook/lineage/products/38642/depends" in hrefs(
        LexborHTMLParser(products.render_product(LINKS, "38642"))
    )
    with pytest.raises(PageNotFoundError, match="no picture of a product 1"):
        products.render_impact(LINKS, "1")


def test_a_row_that_was_refused_is_shown_with_its_line_and_the_reasons(aws_server: str) -> None:
    refused = {"drop_id": DROP, "product_id": "7", "line_number": 3, "raw_line": f"7,{HOSTILE}"}
    row = dict.fromkeys(QUARANTINE.names) | refused | {"reasons": ["picture_missing"], "detail": "no images/7.jpg"}
    tables.replace("catalog.quarantine", pa.Table.from_pylist([row], schema=QUARANTINE), tables.equals("drop_id", DROP))
    product = products.find("7")
    assert [(one.drop_id, one.status) for one in product.seen] == [(DROP, "quarantined")]
    page = LexborHTMLParser(products.render_product(LINKS, "7"))
    assert page.css_first(".problem strong").text() == "Line 3 of styles.csv is in quarantine:"
    assert page.css_first(".problem .raw").text() == f"7,{HOSTILE}"
    assert not page.css("article, .chain, .frame")


@pytest.mark.parametrize(("product_id", "drop_id"), [("2", None), ("1", EARLIER), (HOSTILE, None)])
def test_what_no_table_has_has_no_page(aws_server: str, product_id: str, drop_id: str | None) -> None:
    publish(DROP, ["1"])
    with pytest.raises(PageNotFoundError, match="no product"):
        products.render_product(LINKS, product_id, drop_id)


def test_nothing_that_a_drop_or_a_model_says_is_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("display_name", "brand", "article_type", "base_colour", "picture_uri", "master_category")
    said = text(DROP, "1", HOSTILE, **{name: HOSTILE for name in ("title", "description", "language", "failure")})
    said |= {name: [HOSTILE] for name in ("bullet_points", "keywords", "reasons")}
    said |= {"review": HOSTILE, "reviewed_by": HOSTILE, "review_reason": HOSTILE, "differences": []}
    maker = TaskInstance(HOSTILE, HOSTILE, HOSTILE, -1)
    root = Link("description", HOSTILE, HOSTILE, {HOSTILE: HOSTILE}, (maker,), HOSTILE)
    attribute = products.Attribute(*[HOSTILE] * 3, 0.5, 0.5, HOSTILE, HOSTILE, HOSTILE)
    row = dict.fromkeys(names, HOSTILE) | dict.fromkeys(
        ("gender", "season", "year", "usage", "sub_category", "picture_width"), None
    )
    seen = (products.Seen(DROP, HOSTILE),)
    product = products.Product("1", DROP, seen, row, said, (attribute,), Chain("1", root))
    monkeypatch.setattr(products, "find", lambda *_: product)
    html = products.render_product(LINKS, "1")
    assert HOSTILE not in html and "alert(1)" in html
    assert len(LexborHTMLParser(html).css("script")) == 1, "the layout's own"
