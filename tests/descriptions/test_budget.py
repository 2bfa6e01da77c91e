"""What a run and a month may cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lookbook.descriptions import budget, spending
from lookbook.descriptions.budget import Judgement
from lookbook.descriptions.estimate import Estimate
from lookbook.descriptions.plans import Shard, ShardPlan
from lookbook.errors import PermanentError
from lookbook.settings import get_settings

pytestmark = pytest.mark.usefixtures("aws_server")

HAIKU = "anthropic.claude-3-5-haiku-20241022-v1:0"
EXPECTED = Estimate(
    products=43_072,
    stored=0,
    calls=43_500,
    input_tokens=13_000_000,
    cached_tokens=0,
    output_tokens=2_500_000,
    usd=20.4,
    seconds=4350.0,
    bound_by="600 requests a minute",
    learned_from=190,
    text_model_id=HAIKU,
    mode="sharded",
)


def judged(expected: Estimate = EXPECTED, **settings: Any) -> Judgement:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(f"LOOKBOOK_{name.upper()}", str(value))
        get_settings.cache_clear()
        shards = (Shard("s3://lookbook/plans/r/items/00000.json", "shard 1 of 1", expected.products),)
        return budget.judge(ShardPlan("2026-11-16", "sharded", None, shards, ("1", "2"), expected.as_dict()))


def spend(usd: float) -> None:
    with spending.entered():
        spending.paid_for(usd)


def test_without_a_budget_nobody_is_asked() -> None:
    judgement = judged()
    assert (judgement.needs_approval, judgement.month_usd) == (False, None)


@pytest.mark.parametrize(("limit", "asks"), [(20.39, True), (20.4, False), (25, False)])
def test_a_run_over_its_budget_waits_for_a_person(limit: float, asks: bool) -> None:
    assert judged(run_budget_usd=limit).needs_approval is asks


def test_a_person_is_shown_what_the_run_will_take() -> None:
    spend(3.2)
    assert judged(run_budget_usd=10, month_budget_usd=100).body == (
        "**43,072 products of drop 2026-11-16 to describe**, 2 unchanged. Mode `sharded`, 1 tasks.\n"
        "\n"
        "| expected | |\n"
        "|---|---|\n"
        f"| calls to `{HAIKU}` | 43,500 |\n"
        "| tokens in | 13,000,000 (0 from the cache) |\n"
        "| tokens out | 2,500,000 |\n"
        "| list price | 20.40 USD (list of 2026-04-10) |\n"
        "| time | at least 72.5 min: 600 requests a minute |\n"
        "| known from | the mean of 190 products with this prompt and model |\n"
        "| a run's budget | 10.00 USD |\n"
        "| this month | 3.20 of 100.00 USD spent |"
    )


def test_what_would_bring_the_month_over_its_budget_is_refused() -> None:
    spend(80)
    with pytest.raises(
        PermanentError, match=r"LOOKBOOK_MONTH_BUDGET_USD=100\.00.*80\.00 USD are spent, 20\.40 USD more"
    ):
        judged(month_budget_usd=100)
    assert judged(month_budget_usd=101).month_usd == 80


def test_a_run_that_pays_for_nothing_needs_no_budget_that_is_left() -> None:
    spend(99)
    nothing = replace(EXPECTED, products=0, calls=0, input_tokens=0, output_tokens=0, usd=0.0)
    assert judged(nothing, month_budget_usd=99, run_budget_usd=1).needs_approval is False


@pytest.mark.parametrize("name", ["run_budget_usd", "month_budget_usd"])
@pytest.mark.parametrize(
    "models",
    [{"text_model_id": "nobody.knows-v1:0"}, {"text_fallbacks": '["nobody.knows-v1:0@eu-west-1"]'}],
    ids=["first", "fallback"],
)
def test_no_budget_can_be_kept_with_a_model_that_has_no_price(name: str, models: dict[str, str]) -> None:
    with pytest.raises(PermanentError, match=r"nobody\.knows-v1:0 has no list price .* Add its price"):
        judged(**models, **{name: 100})


def test_a_model_without_a_price_writes_where_there_is_no_budget() -> None:
    judgement = judged(replace(EXPECTED, usd=None), text_model_id="nobody.knows-v1:0")
    assert judgement.needs_approval is False
    assert "| list price | none in the list of" in judgement.body


def test_a_shard_does_not_begin_when_the_months_budget_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_MONTH_BUDGET_USD", "1")
    get_settings.cache_clear()
    with budget.within_month():
        spending.paid_for(1)
    with pytest.raises(PermanentError, match=r"1\.00 USD are spent"), budget.within_month():
        raise AssertionError("it began")
