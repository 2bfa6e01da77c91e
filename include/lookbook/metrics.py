"""The numbers that Lookbook hands to Airflow's metrics, and where in a lineage record each is found.

A **gauge** is what is the case now: the drop that was last published, the run that last described. A task that is
cleared or tried again sets it to the same value. A **counter** adds up what was paid for. It takes what a try itself
bought, not what the outcomes cost: a try that finds a finished product adds nothing, and one that fails adds what it
had bought until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lookbook.lineage.records import LineageRecord

_PRODUCTS = "catalog.products"
_DESCRIPTIONS = "descriptions.descriptions"


@dataclass(frozen=True)
class Metric:
    """A number that is measured.

    ``count`` names it among a record's counts. A gauge is taken only from the task that committed to ``table``: the
    tasks before it count the same things, but of a part.
    """

    name: str
    kind: Literal["gauge", "counter"]
    count: str
    meaning: str
    table: str | None = None


METRICS = (
    Metric("lookbook.products.read", "gauge", "rows", "rows of the drop published last", _PRODUCTS),
    Metric("lookbook.products.published", "gauge", "published", "of them, in `catalog.products`", _PRODUCTS),
    Metric("lookbook.products.quarantined", "gauge", "quarantined", "of them, in quarantine", _PRODUCTS),
    Metric("lookbook.descriptions.published", "gauge", "published", "of the last run, published", _DESCRIPTIONS),
    Metric("lookbook.descriptions.withheld", "gauge", "withheld", "of the last run, withheld", _DESCRIPTIONS),
    Metric("lookbook.descriptions.failed", "gauge", "failed", "of the last run, without an answer", _DESCRIPTIONS),
    Metric("lookbook.descriptions.unchanged", "gauge", "unchanged", "of the last run, not asked again", _DESCRIPTIONS),
    Metric("lookbook.calls.answered", "counter", "paid_calls", "calls of text models that were paid for"),
    Metric("lookbook.calls.throttled", "counter", "throttled", "calls that Bedrock turned away; they cost nothing"),
    Metric("lookbook.tokens.input", "counter", "paid_input_tokens", "tokens of prompts, cached ones among them"),
    Metric("lookbook.tokens.cached", "counter", "paid_cached_tokens", "of them, read from the cache of prompts"),
    Metric("lookbook.tokens.output", "counter", "paid_output_tokens", "tokens written"),
    # In whole millionths: StatsD's counters are whole numbers, and some servers cut off what stands behind the point.
    Metric("lookbook.cost.micro_usd", "counter", "paid_micro_usd", "list price of them, in millionths of a USD"),
)


def measured(record: LineageRecord) -> Iterator[tuple[Metric, int]]:
    """Yield each metric that the record has a value for, with the value.

    A record of a task that failed isn't finished: it sets no gauge, but what it paid for is counted.
    """
    committed = {output.name for output in record.outputs if output.kind == "table"} if record.finished_at else set()
    for metric in METRICS:
        if metric.count in record.counts and (metric.table is None or metric.table in committed):
            yield metric, record.counts[metric.count]
