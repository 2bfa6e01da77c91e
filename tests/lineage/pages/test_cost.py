"""The page of costs: sums by month, drop and model, and the chart."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from selectolax.lexbor import LexborHTMLParser
from tests.lineage import catalogue
from tests.lineage.catalogue import describe, text

from lookbook import storage
from lookbook.descriptions import spending
from lookbook.lineage.pages import Links, cost
from lookbook.lineage.pages.chart import WIDTH, Bar, bars

pytestmark = pytest.mark.usefixtures("aws_server")

DROP = "2026-11-16"


def closed(day: str, *lines: tuple[str, float | None, str | None]) -> None:
    """Leave what housekeeping leaves of a day that is over: source, USD and drop of each line."""
    stored = [{"day": day, "source": source, "name": "x", "usd": usd, "drop_id": drop} for source, usd, drop in lines]
    storage.write_json(f"s3://lookbook/costs/days/{day}.json", stored)


def pay(usd: float, day: date) -> None:
    with spending.entered(datetime(day.year, day.month, day.day, tzinfo=UTC)):
        spending.paid_for(usd)


def test_a_month_has_its_texts_from_the_ledger_and_the_rest_from_closed_days() -> None:
    pay(0.25, date(2026, 10, 31))
    pay(0.5, date(2026, 11, 1))
    pay(1.0, date(2026, 11, 2))
    closed("2026-11-01", ("training", 3.0, None), ("descriptions", 0.5, DROP), ("endpoint", 2.0, None))
    november, october = cost.costs().months
    assert november.usd == {"descriptions": 1.5, "training": 3.0, "transform": 0.0, "endpoint": 2.0}
    assert (november.total, november.closed) == (6.5, 1)
    assert (october.month, october.total, october.closed) == ("2026-10", 0.25, 0)


def test_the_endpoint_in_use_is_a_part_of_the_endpoint_and_not_added_to_it() -> None:
    closed("2026-11-01", ("endpoint", 2.0, None), ("endpoint in use", 0.5, DROP), ("transform", 0.25, DROP))
    describe(DROP, {"1": "published"})
    found = cost.costs()
    assert found.months[0].total == 2.25
    assert found.drops[0].asking == 0.75


def test_what_has_no_list_price_is_left_out_of_a_month() -> None:
    closed("2026-11-01", ("training", None, None), ("training", 1.0, None))
    assert cost.costs().months[0].total == 1.0


def test_texts_are_added_up_by_drop_and_by_text_model() -> None:
    describe("2026-11-09", {"1": "published", "2": "failed"})
    describe(DROP, {"3": "published"}, text_model_id="amazon.nova-lite-v1:0")
    found = cost.costs()
    assert [(drop.name, drop.texts, drop.input_tokens) for drop in found.drops] == [
        (DROP, 1, 200),
        ("2026-11-09", 2, 400),
    ]
    assert [model.name for model in found.text_models] == ["amazon.nova-lite-v1:0", catalogue.MODEL]
    assert (found.everything.texts, found.everything.usd) == (3, pytest.approx(0.003))
    assert found.everything.usd_per_thousand == pytest.approx(1.0)


def test_a_price_for_a_thousand_is_not_guessed_where_some_have_none() -> None:
    catalogue.replace_texts(DROP, [text(DROP, "1", "published"), text(DROP, "2", "published", cost_usd=None)])
    assert cost.costs().everything.usd_per_thousand is None


def test_a_closed_day_is_read_once_and_again_when_it_was_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    closed("2026-11-01", ("training", 1.0, None))
    assert cost.costs().months[0].total == 1.0
    with monkeypatch.context() as patch:
        patch.setattr(storage, "read_all", lambda *_: pytest.fail("the day is known"))
        assert cost.costs().months[0].total == 1.0
    closed("2026-11-01", ("training", 2.0, None))
    assert cost.costs().months[0].total == 2.0


def test_bars_are_drawn_to_one_scale_and_end_where_their_parts_end() -> None:
    short, long = bars([Bar("a", {"x": 1.0}), Bar("b", {"x": 1.0, "y": 3.0})], ("x", "y"))
    assert [part.width for part in short.parts] == [WIDTH / 4]
    assert [(part.x, part.width, part.place) for part in long.parts] == [
        (0, WIDTH / 4, 0),
        (WIDTH / 4, WIDTH * 3 / 4, 1),
    ]
    assert (short.end, long.end, short.y < long.y) == (WIDTH / 4, WIDTH, True)


def test_a_part_that_costs_nothing_is_not_drawn() -> None:
    (bar,) = bars([Bar("a", {"x": 0.0})], ("x", "y"))
    assert (bar.parts, bar.end) == ((), 0)


def test_the_chart_says_in_words_what_it_draws() -> None:
    pay(0.5, date(2026, 11, 1))
    page = LexborHTMLParser(cost.render_costs(Links()))
    assert page.css_first("svg[role=img] title").text() == "2026-11: $0.50"
    assert not page.css("script[src], link[rel=stylesheet], img")


def test_before_anything_was_paid_for_the_page_says_so() -> None:
    page = cost.render_costs(Links())
    assert "Nothing has been paid for yet." in page and "No model is registered yet." in page
