"""What calls cost at list price."""

from __future__ import annotations

import pytest

from lookbook.descriptions.cost import cost_usd, has_price, price_list

HAIKU, MILLION = "anthropic.claude-3-5-haiku-20241022-v1:0", 1_000_000


@pytest.mark.parametrize(
    ("cached", "written", "usd"), [(0, 0, 0.8), (MILLION, 0, 0.08), (0, MILLION, 1.0), (500_000, 250_000, 0.49)]
)
def test_tokens_of_the_cache_have_prices_of_their_own(cached: int, written: int, usd: float) -> None:
    assert cost_usd(HAIKU, MILLION, 0, cached, written) == pytest.approx(usd)


def test_a_model_without_prices_for_the_cache_reads_it_at_the_price_of_input() -> None:
    sonnet = "anthropic.claude-3-sonnet-20240229-v1:0"
    assert cost_usd(sonnet, MILLION, 0, 400_000, 100_000) == pytest.approx(3.0)


def test_a_batch_job_costs_half() -> None:
    assert cost_usd(HAIKU, MILLION, MILLION, batch=True) == pytest.approx((0.8 + 4.0) / 2)


def test_a_model_that_the_list_does_not_have_has_no_price() -> None:
    assert has_price(HAIKU) and not has_price("nobody.knows-v1:0")


@pytest.mark.parametrize("model_id", price_list()["models"])
def test_a_models_prices_are_in_a_known_order(model_id: str) -> None:
    price = price_list()["models"][model_id]
    assert 0 < price["input"] < price["output"]
    assert price.get("cache_read", price["input"]) <= price["input"] <= price.get("cache_write", price["input"])
