"""Which numbers of a lineage record become metrics: what is the case, and what was paid for."""

from __future__ import annotations

from contextlib import suppress

from lookbook.lineage import records
from lookbook.lineage.records import LineageRecord, TaskKey, recording
from lookbook.metrics import METRICS, measured


def a_record(*tables: str, fails: bool = False, **counts: int) -> LineageRecord:
    """Return the record of a task that committed to ``tables`` and counted ``counts``."""
    with suppress(RuntimeError), recording(TaskKey("ingest_drop", "run", "publish")) as record:
        for table in tables:
            records.writes("table", table, 42)
        records.counts(**counts)
        if fails:
            raise RuntimeError
    return record


def names(record: LineageRecord) -> dict[str, int]:
    return {metric.name: value for metric, value in measured(record)}


def test_a_published_drop_says_how_many_products_it_has() -> None:
    record = a_record("catalog.products", "catalog.quarantine", rows=41, published=39, quarantined=2)
    assert names(record) == {
        "lookbook.products.read": 41,
        "lookbook.products.published": 39,
        "lookbook.products.quarantined": 2,
    }


def test_a_published_run_says_what_became_of_its_products() -> None:
    outcomes = {"published": 5, "withheld": 1, "failed": 0, "unchanged": 30}
    record = a_record("descriptions.descriptions", products=36, input_tokens=900, **outcomes)
    assert names(record) == {f"lookbook.descriptions.{outcome}": number for outcome, number in outcomes.items()}


def test_a_part_of_a_run_says_nothing_about_the_whole() -> None:
    assert names(a_record(published=1, withheld=0)) == {}
    assert names(a_record("catalog.products@audit-2026-11-16", rows=41)) == {}


def test_what_was_paid_for_is_counted_in_whole_millionths_of_a_dollar() -> None:
    tokens = {"paid_input_tokens": 1000, "paid_output_tokens": 100, "paid_cached_tokens": 800}
    record = a_record(paid_calls=2, paid_micro_usd=1200, **tokens)
    assert names(record) == {
        "lookbook.calls.answered": 2,
        "lookbook.tokens.input": 1000,
        "lookbook.tokens.cached": 800,
        "lookbook.tokens.output": 100,
        "lookbook.cost.micro_usd": 1200,
    }


def test_a_task_that_fails_has_paid_but_has_published_nothing() -> None:
    record = a_record("catalog.products", fails=True, rows=41, throttled=3, paid_micro_usd=500_000)
    assert names(record) == {"lookbook.calls.throttled": 3, "lookbook.cost.micro_usd": 500_000}


def test_a_gauge_is_a_tables_and_a_counter_is_not() -> None:
    assert {metric.kind for metric in METRICS if metric.table} == {"gauge"}
    assert {metric.kind for metric in METRICS if not metric.table} == {"counter"}
    assert len({metric.name for metric in METRICS}) == len(METRICS)
