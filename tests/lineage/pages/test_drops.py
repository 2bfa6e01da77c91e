"""The pages of drops: what they count, what they list, and what they say of a drop that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from selectolax.lexbor import LexborHTMLParser
from tests.lineage import catalogue
from tests.lineage.account import kept
from tests.lineage.catalogue import NOON, describe, find, publish, quarantine, ran, text

from lookbook import storage
from lookbook.catalog import tables
from lookbook.lineage.pages import Links, PageNotFoundError, drops
from lookbook.lineage.tallies import Texts

DROP, EARLIER = "2026-11-16", "2026-11-09"
LINKS = Links("/airflow")
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module", autouse=True)
def fresh_settings(moto_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A drop of four products of which three are described, and an earlier one that nobody has described yet.

    Tests that change something do so in drops of their own.
    """
    with kept(moto_server, tmp_path_factory):
        publish(DROP, "1234")
        quarantine(DROP, ["picture_missing"], ["picture_missing", "unknown_gender"])
        describe(DROP, {"1": "published", "2": "published", "3": "withheld"})
        find(DROP, "1")
        ran(DROP, "ingest_drop", "ingest-1", "discover", "publish")
        ran(DROP, "ingest_drop", "ingest-2", "discover", at=NOON + timedelta(minutes=30))
        ran(
            DROP, "describe_products", "describe-1", "plan", "publish", "export", mapped=5, at=NOON + timedelta(hours=1)
        )
        publish(EARLIER, "9")
        quarantine(EARLIER)
        yield


def seen(drop_id: str) -> drops.Drop:
    """A drop as the overview has it."""
    return next(drop for drop in drops.overview() if drop.drop_id == drop_id)


def test_a_drop_is_counted_from_the_tables() -> None:
    drop, earlier = seen(DROP), seen(EARLIER)
    assert (drop.products, drop.quarantined, drop.findings) == (4, 2, 1)
    assert drop.reasons == {"picture_missing": 2, "unknown_gender": 1}
    assert drop.rejected_share == pytest.approx(2 / 6)
    assert drop.described.statuses == {"published": 2, "withheld": 1, "failed": 0, "stale": 0}
    assert (drop.missing, earlier.missing) == (1, 1)
    assert drop.described.usd == pytest.approx(0.003)
    assert (drop.described.input_tokens, drop.described.cached_tokens, drop.described.output_tokens) == (600, 300, 150)
    assert drop.described.attribute_models == ("v1",)


def test_the_newest_drop_comes_first() -> None:
    ids = [drop.drop_id for drop in drops.overview()]
    assert ids == sorted(ids, reverse=True) and {DROP, EARLIER} <= set(ids)


def test_a_drop_names_the_last_run_of_each_kind_that_published() -> None:
    drop = seen(DROP)
    assert drop.ingested and (drop.ingested.run_id, drop.ingested.published) == ("ingest-1", True)
    assert drop.described_by and drop.described_by.run_id == "describe-1"


def test_a_drop_of_which_only_a_run_tells_is_listed_as_not_published() -> None:
    ran("2026-08-03", "ingest_drop", "ingest-3", "discover", "read")
    drop = seen("2026-08-03")
    assert (drop.published, drop.rejected_share, drop.described.pass_rate) == (False, None, None)
    assert drop.ingested and not drop.ingested.published
    assert "not finished" in drops.render_overview(LINKS)


def test_mapped_tasks_neither_begin_nor_end_a_run_of_the_overview() -> None:
    run = drops.detail(DROP).runs[0]
    assert (run.run_id, run.finished_at) == ("describe-1", NOON + timedelta(hours=1, minutes=3))


@pytest.mark.parametrize(
    ("status", "review", "pass_rate"),
    [
        ("published", None, 1.0),
        ("published", "confirmed", 1.0),
        ("withheld", None, 0.0),
        ("published", "overruled", 0.0),
        ("published", "published", 0.0),
        ("withheld", "withdrawn", 1.0),
        ("stale", None, 1.0),
        ("failed", None, None),
    ],
)
def test_a_text_was_faithful_if_it_passed_the_check_before_a_person_decided(
    status: str, review: str | None, pass_rate: float | None
) -> None:
    texts = Texts(DROP, status, review, "model", "prompt", "v1", 3, 0, 0, 0, 0.0, 0)
    assert drops._described([texts]).pass_rate == pass_rate, "what failed was not judged"


def test_texts_without_a_list_price_are_told_from_those_that_cost_nothing() -> None:
    drop_id = "2026-08-10"
    unpriced, unasked = (
        text(drop_id, "1", "published", cost_usd=None),
        text(drop_id, "2", "failed", cost_usd=None, calls=0),
    )
    catalogue.replace_texts(drop_id, [unpriced, unasked, text(drop_id, "3", "published")])
    described = seen(drop_id).described
    assert (described.usd, described.unpriced) == (pytest.approx(0.001), 1)
    assert "+ 1 without list price" in drops.render_overview(LINKS)


def test_drops_are_counted_anew_when_a_table_has_changed_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    before = drops.overview()
    with monkeypatch.context() as patch:
        patch.setattr(tables, "read", lambda *_, **__: pytest.fail("nothing has changed, so nothing is read"))
        assert drops.overview() == before
    describe("2026-08-17", {"1": "stale"})
    assert seen("2026-08-17").described.statuses["stale"] == 1


def test_the_page_of_a_drop_says_why_texts_were_withheld() -> None:
    drop_id, reasons = "2026-08-24", ["Fabric is not stated", "too long"]
    withheld = [text(drop_id, str(n), "withheld", reasons=reasons[: n + 1]) for n in range(2)]
    catalogue.replace_texts(drop_id, [*withheld, text(drop_id, "3", "published", reasons=["of no account"])])
    assert drops.detail(drop_id).whys == (("Fabric is not stated", 2), ("too long", 1))


def test_the_page_of_a_drop_tells_that_its_last_validation_refused_it() -> None:
    verdict = {"suite": "v1", "rows": 9, "rejected": [{}] * 5, "warnings": {"low_coverage": 1}, "refused": [HOSTILE]}
    storage.write_json(f"s3://lookbook/staging/{DROP}/f1-run/validation.json", verdict | {"refused": []})
    assert "The last validation" not in drops.render_detail(LINKS, DROP)
    storage.write_json(f"s3://lookbook/staging/{DROP}/f2-run/validation.json", verdict)
    found = drops.detail(DROP).validation
    assert found and (found.rows, found.rejected, found.refused) == (9, 5, (HOSTILE,))
    page = LexborHTMLParser(drops.render_detail(LINKS, DROP))
    assert HOSTILE in page.css_first(".problem").text() and not page.css("img")


def test_products_are_found_by_words_in_any_case_of_id_name_and_article_type() -> None:
    drop_id = "2026-08-31"
    publish(drop_id, ["1", "2"], display_name="Blue Shirt", article_type="Shirts")
    assert [one.product_id for one in drops.listed(drop_id, "BLUE shirts").products] == ["1", "2"]
    assert [one.product_id for one in drops.listed(drop_id, "2").products] == ["2"]
    assert drops.listed(drop_id, "blue trousers").found == 0
    assert drops.listed(drop_id, ".*").found == 0, "words are no pattern"


def test_products_are_chosen_by_what_became_of_their_description() -> None:
    assert drops.listed(DROP).statuses == {"published": 2, "withheld": 1, "none": 1}
    assert [one.product_id for one in drops.listed(DROP, status="withheld").products] == ["3"]
    assert [one.product_id for one in drops.listed(DROP, status="none").products] == ["4"]


def test_products_come_a_page_at_a_time_and_the_ways_between_keep_what_was_asked() -> None:
    drop_id = "2026-09-07"
    publish(drop_id, [f"{number:03}" for number in range(120)])
    assert [len(drops.listed(drop_id, page=page).products) for page in (1, 2, 3, 4)] == [50, 50, 20, 0]
    page = LexborHTMLParser(drops.render_detail(LINKS, drop_id, "trousers & co"))
    assert not page.css(".pager a"), "nothing is found"
    links = LexborHTMLParser(drops.render_detail(LINKS, drop_id, "shirt", "none", 2)).css(".pager a")
    at = f"/airflow/lookbook/lineage/drops/{drop_id}?q=shirt&status=none&page="
    assert [link.attributes["href"] for link in links] == [f"{at}1", f"{at}3"]


def test_a_page_does_not_grow_with_the_products_of_a_drop() -> None:
    sizes = []
    for number in (100, 1000):
        publish("2026-09-14", [f"{one:04}" for one in range(number)])
        sizes.append(len(drops.render_detail(LINKS, "2026-09-14")))
    assert abs(sizes[1] - sizes[0]) < 100


def test_what_depends_on_a_drop_is_named_with_the_command_that_marks_it() -> None:
    page = LexborHTMLParser(drops.render_impact(LINKS, DROP))
    assert page.css_first("pre").text() == (f'python -m lookbook.lineage drop {DROP} --mark-stale "what was wrong"')
    assert page.css_first(".figure dd").text() == "2"


@pytest.mark.parametrize("drop_id", ["2020-01-06", "..", HOSTILE])
def test_a_drop_that_nobody_knows_has_no_page(drop_id: str) -> None:
    with pytest.raises(PageNotFoundError, match="no drop"):
        drops.render_detail(LINKS, drop_id)
    with pytest.raises(PageNotFoundError, match="no drop"):
        drops.render_impact(LINKS, drop_id)


def test_before_the_first_drop_the_page_says_where_drops_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drops, "overview", tuple)
    assert "No drop has been taken in yet" in drops.render_overview(LINKS)


def test_what_a_drop_says_is_text_and_never_markup() -> None:
    drop_id = "2026-09-21"
    publish(drop_id, ["1"], display_name=HOSTILE, article_type=HOSTILE)
    quarantine(drop_id, [HOSTILE])
    for page in (drops.render_overview(LINKS), drops.render_detail(LINKS, drop_id, HOSTILE)):
        assert HOSTILE not in page and not LexborHTMLParser(page).css("img")


def test_every_link_leads_below_the_path_of_the_server() -> None:
    pages = (drops.render_overview(LINKS), drops.render_detail(LINKS, DROP), drops.render_impact(LINKS, DROP))
    for page in pages:
        links = [link.attributes["href"] or "" for link in LexborHTMLParser(page).css("a[href]")]
        assert links and all(link.startswith(("/airflow/", "#")) for link in links), links
