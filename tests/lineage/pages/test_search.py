"""Finding a product, and what the start page shows before anything was asked."""

from __future__ import annotations

import pyarrow as pa
import pytest
from selectolax.lexbor import LexborHTMLParser
from tests.lineage.catalogue import describe, publish

from lookbook.catalog import tables
from lookbook.catalog.schemas import QUARANTINE
from lookbook.lineage.pages import Links, search

pytestmark = pytest.mark.usefixtures("aws_server")

DROP, EARLIER = "2026-11-16", "2026-11-09"
LINKS = Links("/airflow")
HOSTILE = "<script>alert(1)</script>"


def ids(asked: str) -> list[str]:
    return [hit.product_id for hit in search.search(asked).products]


@pytest.fixture
def catalogue() -> None:
    """Two drops that share a product, of which the newer one is described."""
    publish(EARLIER, ["1", "9"], display_name="Red Dress", brand="Aurora", article_type="Dresses")
    publish(DROP, ["1", "2", "3"], display_name="Blue Shirt", brand="Turtle", article_type="Shirts")
    describe(DROP, {"1": "published", "2": "withheld"})


def test_a_product_is_found_by_all_words_of_name_brand_and_article_type_in_any_case(catalogue: None) -> None:
    assert ids("turtle BLUE") == ids("shirts") == ["1", "2", "3"]
    assert ids("drE") == ["9"], "the product that both drops have is the newer one's"
    assert ids("turtle dress") == ids(".*") == []


def test_an_id_finds_that_product_alone(catalogue: None) -> None:
    assert (search.exact(" 9 "), search.exact("blue"), search.exact("")) == ("9", None, None)
    [hit] = search.search("1").products
    assert (hit.product_id, hit.drop_id, hit.status) == ("1", DROP, "published")


def test_an_id_that_only_the_quarantine_has_leads_to_its_page_too(catalogue: None) -> None:
    row = dict.fromkeys(QUARANTINE.names) | {"drop_id": DROP, "product_id": "77"}
    tables.replace("catalog.quarantine", pa.Table.from_pylist([row], schema=QUARANTINE), tables.equals("drop_id", DROP))
    assert (search.exact("77"), search.exact("78"), search.exact("٧٧")) == ("77", None, None)


def test_of_many_the_first_are_shown_and_all_are_counted(catalogue: None) -> None:
    publish(DROP, [str(number) for number in range(120)], display_name="White Sock")
    page = LexborHTMLParser(search.render_start(LINKS, "white  sock"))
    assert len(page.css("tbody tr")) == search.HITS
    assert page.css_first("[role=status]").text().startswith("120 products, the first 50 of which are shown")
    assert page.css_first("#find").attributes["value"] == "white sock"


def test_a_catalogue_that_has_not_changed_is_not_read_again(catalogue: None, monkeypatch: pytest.MonkeyPatch) -> None:
    before = search.search("blue")
    with monkeypatch.context() as patch:
        patch.setattr(tables, "read", lambda *_, **__: pytest.fail("nothing has changed, so nothing is read"))
        assert search.search("blue") == before
    describe(DROP, {"1": "stale"})
    assert search.search("1").products[0].status == "stale"


def test_the_start_page_shows_a_product_of_each_outcome_and_the_latest_drops(catalogue: None) -> None:
    page = LexborHTMLParser(search.render_start(LINKS))
    assert [card.attributes["href"] for card in page.css(".cards a")] == [
        f"/airflow/lookbook/lineage/products/{product}?drop={DROP}" for product in ("1", "2")
    ]
    assert [picture.attributes["src"] for picture in page.css(".cards img")] == [
        f"/airflow/lookbook/pictures/{DROP}/{product}" for product in ("1", "2")
    ]
    assert [row.css_first("th").text() for row in page.css("tbody tr")] == [DROP, EARLIER]


def test_before_the_first_drop_the_start_page_says_how_one_comes_in() -> None:
    page = LexborHTMLParser(search.render_start(LINKS))
    assert page.css_first("main a").attributes["href"] == "/airflow/dags/ingest_drop"


def test_a_catalogue_that_nobody_described_yet_is_searched_too() -> None:
    publish(DROP, ["1"], display_name="Blue Shirt")
    assert [hit.status for hit in search.search("blue").products] == [None]
    assert [hit.product_id for hit in search.examples()] == ["1"]


def test_what_is_asked_and_what_is_found_is_text_and_never_markup(catalogue: None) -> None:
    publish(DROP, ["5"], display_name=HOSTILE)
    page = LexborHTMLParser(search.render_start(LINKS, HOSTILE))
    assert page.css_first("tbody td").text() == HOSTILE and len(page.css("script")) == 1
    assert page.css_first("#find").attributes["value"] == HOSTILE
