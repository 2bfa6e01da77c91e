"""What texts cost, by day, drop, run and model."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.descriptions.conftest import DROP, work_item

from lookbook import storage
from lookbook.descriptions import __main__ as command
from lookbook.descriptions import paid, plans
from lookbook.descriptions.plans import Plan
from lookbook.descriptions.results import Result

pytestmark = pytest.mark.usefixtures("aws_server")

HAIKU, NOVA = "anthropic.claude-3-5-haiku-20241022-v1:0", "amazon.nova-lite-v1:0"


def outcome(product_id: str, drop_id: str = DROP, run_id: str = "run", **columns: Any) -> None:
    """Store a product's outcome, as the task that paid for it does."""
    took = {"calls": 1, "input_tokens": 300, "cached_tokens": 100, "output_tokens": 50, "cost_usd": 0.0004} | columns
    result = Result(replace(work_item(product_id), drop_id=drop_id), "published", mode="sharded", run_id=run_id, **took)
    storage.write_json(result.item.result_uri, result.as_dict())


def test_a_drop_is_the_sum_of_its_outcomes() -> None:
    for number in ("1", "2"):
        outcome(number)
    outcome("3", calls=2, written_by=NOVA, cost_usd=0.0001)
    outcome("4", drop_id="2026-11-09")
    [nova, haiku] = paid.summed(paid.paid(DROP), ("model_id",))
    assert (haiku.model_id, haiku.products, haiku.input_tokens, haiku.cached_tokens) == (HAIKU, 2, 600, 200)
    assert (haiku.output_tokens, haiku.usd, haiku.unpriced) == (100, 0.0008, 0)
    assert (nova.model_id, nova.products, nova.calls, nova.usd) == (NOVA, 1, 2, 0.0001)


def test_only_what_was_paid_for_in_the_time_counts() -> None:
    outcome("1")
    soon = datetime.now(UTC) + timedelta(hours=1)
    assert len(paid.paid(until=soon)) == 1
    assert paid.paid(since=soon) == []


def test_a_product_without_list_price_is_counted_rather_than_priced() -> None:
    outcome("1", written_by="nobody.knows-v1:0", cost_usd=None)
    outcome("2", cost_usd=None)  # its model got a price since
    outcome("3", calls=0, cost_usd=None)  # nothing was asked
    costs = {one.model_id: (one.usd, one.unpriced) for one in paid.paid()}
    assert costs["nobody.knows-v1:0"] == (0.0, 1)
    assert costs[HAIKU] == (pytest.approx((200 * 0.8 + 100 * 0.08 + 50 * 4) / 1e6), 0)


def test_a_run_is_what_it_paid_for_itself() -> None:
    plans.write_plan(Plan(f"{plans.root_of('run')}/plan.json", DROP, "run", "1", ()))
    outcome("1")
    outcome("2", run_id="another run")
    assert [one.products for one in paid.paid_by("run")] == [1]


def test_the_command_shows_a_drop_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    outcome("1")
    outcome("2", written_by="nobody.knows-v1:0", cost_usd=None)
    assert command.main(["cost", "--drop", DROP]) == 0
    rows = [line.split(maxsplit=8) for line in capsys.readouterr().out.splitlines()]
    assert rows[1:3] == [
        ["run", HAIKU, "sharded", "1", "1", "300", "100", "50", "0.000400"],
        [
            "run",
            "nobody.knows-v1:0",
            "sharded",
            "1",
            "1",
            "300",
            "100",
            "50",
            "0.000000 + 1 products without list price",
        ],
    ]
    assert " ".join(rows[3]) == "all 2 2 600 200 100 0.000400 + 1 products without list price"


def test_the_command_shows_this_month_or_another(capsys: pytest.CaptureFixture[str]) -> None:
    outcome("1")
    assert command.main(["cost"]) == 0
    assert HAIKU in capsys.readouterr().out
    assert command.main(["cost", "--month", "2019-12"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "drop_id  model_id  mode  products  calls  tokens in  cached  tokens out  USD"
    ]


def test_a_run_that_nobody_planned_is_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["cost", "--run", "manual__nothing"]) == 1
    assert "plans/manual__nothing/plan.json does not exist" in capsys.readouterr().err
