"""What was paid for is known without reading what it was paid for."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime

import pytest
from tests.descriptions.conftest import work_item

from lookbook import storage
from lookbook.descriptions import spending
from lookbook.descriptions.results import Result, store
from lookbook.lineage.records import TaskKey, recording

pytestmark = pytest.mark.usefixtures("aws_server")

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def pay(usd: float, at: datetime = NOW, task: TaskKey | None = None) -> None:
    """Pay once, as a task does."""
    with recording(task or TaskKey("describe_products", f"run-{usd}", "describe", 0)), spending.entered(at):
        spending.paid_for(usd)


def test_a_month_is_the_sum_of_what_its_tasks_paid_for() -> None:
    pay(0.25, datetime(2026, 10, 31, 23, 59, tzinfo=UTC))
    pay(0.0003844)
    pay(1.5, datetime(2026, 11, 1, tzinfo=UTC))
    assert spending.month_usd(NOW) == pytest.approx(1.500384)
    assert spending.month_usd(datetime(2026, 10, 1, tzinfo=UTC)) == 0.25
    assert spending.month_usd(datetime(2026, 12, 1, tzinfo=UTC)) == 0


async def test_outcomes_that_coroutines_store_are_one_entry() -> None:
    results = [Result(work_item(number), "published", cost_usd=0.01) for number in ("1", "2")]
    with recording(TaskKey("describe_products", "a run", "describe", 7)), spending.entered(NOW):
        await asyncio.gather(*(store(result) for result in results))
    (entry,) = storage.list_objects("s3://lookbook/spending/")
    assert spending.month_usd(NOW) == 0.02
    assert "describe.7.1" in entry.uri


def test_what_a_failed_task_paid_for_is_entered_too() -> None:
    with pytest.raises(ValueError, match="halfway"), spending.entered(NOW):
        spending.paid_for(0.5)
        raise ValueError("halfway")
    assert spending.month_usd(NOW) == 0.5


def test_each_try_of_a_task_enters_what_it_paid_for() -> None:
    for number in (1, 2):
        pay(0.5, task=TaskKey("describe_products", "run", "describe", 0, try_number=number))
    assert spending.month_usd(NOW) == 1.0


def test_a_task_that_pays_for_nothing_leaves_no_entry() -> None:
    with spending.entered(NOW):
        spending.paid_for(None)
    assert list(storage.list_objects("s3://lookbook/spending/")) == []


def test_a_closed_day_counts_by_its_total_alone() -> None:
    pay(0.5)
    pay(0.25, datetime(2026, 11, 20, tzinfo=UTC))
    for _ in range(2):
        spending.close_day(date(2026, 11, 21), 0.75)
    assert spending.month_usd(NOW) == 1.0
    assert len(list(storage.list_objects("s3://lookbook/spending/2026-11-21/"))) == 1
    pay(0.125)  # a task that wrote its entry late: its outcomes were there when the day was closed
    assert spending.month_usd(NOW) == 1.0
