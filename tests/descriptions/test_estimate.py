"""What a run is expected to take, and how far off that was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from tests.descriptions.conftest import DROP, work_item

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.schemas import DESCRIPTIONS
from lookbook.descriptions import estimate, plans
from lookbook.descriptions.cutting import Mode
from lookbook.descriptions.estimate import Estimate
from lookbook.descriptions.plans import ShardPlan
from lookbook.descriptions.results import Result
from lookbook.descriptions.work import Todo
from lookbook.settings import get_settings

pytestmark = pytest.mark.usefixtures("aws_server")

HAIKU_IN, HAIKU_OUT = 0.8e-6, 4e-6


def work(products: int) -> list[Todo]:
    items = [work_item(str(number)) for number in range(products)]
    return [Todo(item.label, item.result_uri, plans.encoded(item)) for item in items]


def estimated(products: int = 10, mode: Mode = "sharded", share: float = 1.0, **settings: Any) -> Estimate:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ({"prompt": work_item().prompt_version} | settings).items():
            patch.setenv(f"LOOKBOOK_{name.upper()}", str(value))
        get_settings.cache_clear()
        return estimate.estimate(work(products), DROP, mode, share)


def describe(products: int, **columns: Any) -> None:
    """Put outcomes of earlier products into the table."""
    took = {"calls": 1, "input_tokens": 300, "cached_tokens": 100, "output_tokens": 50, "latency_ms": 500} | columns
    rows = [
        Result(replace(work_item(f"9{number}"), drop_id="2026-11-09"), "published", **took).row()
        for number in range(products)
    ]
    table = pa.Table.from_pylist(rows, schema=DESCRIPTIONS)
    tables.replace("descriptions.descriptions", table, tables.equals("drop_id", "2026-11-09"))


def test_without_earlier_products_the_characters_of_requests_are_counted() -> None:
    expected = estimated(10)
    assert (expected.products, expected.calls, expected.learned_from) == (10, 11, 0)
    assert 150 * 10 < expected.input_tokens < 1500 * 10
    assert expected.usd == pytest.approx(expected.input_tokens * HAIKU_IN + expected.output_tokens * HAIKU_OUT)


def test_earlier_products_with_the_same_prompt_and_model_tell_what_the_next_ones_take() -> None:
    describe(20)
    expected = estimated(10)
    assert (expected.calls, expected.input_tokens, expected.cached_tokens) == (10, 3000, 1000)
    assert (expected.output_tokens, expected.learned_from) == (500, 20)
    assert expected.usd == pytest.approx((2000 + 0.1 * 1000) * HAIKU_IN + 500 * HAIKU_OUT)


@pytest.mark.parametrize("other", [{"products": 19}, {"products": 20, "calls": 0}])
def test_too_few_earlier_products_tell_nothing(other: dict[str, int]) -> None:
    describe(**other)
    assert estimated(10).learned_from == 0


def test_products_of_another_model_tell_nothing() -> None:
    describe(20)
    assert estimated(10, text_model_id="amazon.nova-lite-v1:0").learned_from == 0


def test_a_picture_that_goes_along_costs_tokens() -> None:
    assert estimated(10, description_picture=True).input_tokens > estimated(10).input_tokens + 10 * 1500


def test_what_is_finished_already_costs_nothing() -> None:
    for item in [work_item("0"), work_item("3")]:
        storage.write_json(item.result_uri, {})
    expected = estimated(10)
    assert (expected.products, expected.stored) == (8, 2)
    nothing = estimated(1)
    assert (nothing.products, nothing.calls, nothing.usd) == (0, 0, 0)


def test_a_batch_job_costs_half_and_takes_as_long_as_it_takes() -> None:
    describe(20)
    live, batch = estimated(10), estimated(10, mode="batch")
    assert batch.usd == pytest.approx((live.usd or 0) / 2)
    assert (batch.seconds, batch.bound_by) == (None, "Bedrock's batch jobs")


def test_a_model_without_a_price_has_no_estimated_price() -> None:
    assert estimated(10, text_model_id="nobody.knows-v1:0").usd is None


@pytest.mark.parametrize(
    ("settings", "seconds", "bound_by"),
    [
        ({}, 1000 * 0.5 / 4 / 8, "4 × 8 calls of 0.5 s in flight"),
        ({"bedrock_rpm": 600}, 100, "600 requests a minute"),
        ({"bedrock_rpm": 600, "bedrock_tpm": 100_000}, 210, "100000 tokens a minute"),
    ],
)
def test_time_is_bound_by_the_quota_or_by_what_is_in_flight(
    settings: dict[str, int], seconds: float, bound_by: str
) -> None:
    describe(20)
    expected = estimated(1000, share=0.25, **settings)
    assert (expected.seconds, expected.bound_by) == (round(seconds, 1), bound_by)


def test_a_task_for_each_product_is_bound_by_airflow() -> None:
    describe(20)
    assert estimated(300, mode="per_product", share=1 / 16).seconds == 100


def test_the_result_says_how_far_off_the_estimate_was() -> None:
    describe(20)
    uri = f"{plans.root_of('run')}/plan.json"
    plans.write_shards(plans.root_of("run"), ShardPlan(DROP, "sharded", None, (), (), estimated(10).as_dict()))
    # Two of twelve were finished before: in what was published, but not in what was estimated.
    published = {"products": 15, "unchanged": 3, "input_tokens": 12 * 250, "output_tokens": 12 * 50, "cost_usd": None}
    assert estimate.compared(uri, published) == published | {
        "estimate": {
            "usd": pytest.approx(0.00368),
            "calls": 10,
            "learned_from": 20,
            "input_tokens_error": 0.2,
            "output_tokens_error": 0.0,
            "usd_error": None,
        }
    }


def test_there_is_nothing_to_compare_where_nothing_was_asked() -> None:
    uri = f"{plans.root_of('run')}/plan.json"
    plans.write_shards(plans.root_of("run"), ShardPlan(DROP, "sharded", None, (), ("1",), estimated(0).as_dict()))
    published = {"products": 1, "unchanged": 1, "input_tokens": 0, "output_tokens": 0, "cost_usd": 0.0}
    assert estimate.compared(uri, published)["estimate"] is None
