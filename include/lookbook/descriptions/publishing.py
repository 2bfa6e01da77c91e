"""Commit the outcome of every product of a run to ``descriptions.descriptions``, in one go."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
from pyiceberg.expressions import And

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.schemas import DESCRIPTIONS
from lookbook.descriptions.cost import price_list
from lookbook.descriptions.plans import Shard, ShardPlan, WorkItem, read_items, read_plan, read_shards
from lookbook.descriptions.results import Result, stored_result
from lookbook.lineage import records

log = logging.getLogger(__name__)

TABLE = "descriptions.descriptions"
_READERS = 8
_NO_OUTCOME = "its task left no outcome; look at its log, then run the drop again"


@dataclass(frozen=True)
class Publication:
    """What a run left in ``descriptions.descriptions``.

    Tokens and cost are those of the outcomes published by this run, whichever run paid for them; ``cost_usd`` is
    ``None`` when a model has no list price. ``snapshot`` is ``None`` when there was nothing to commit.
    """

    drop_id: str
    products: int
    published: int
    withheld: int
    failed: int
    unchanged: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    prices_of: str
    differences: int
    attribute_model_version: str | None
    facts_from: str
    snapshot: str | None

    def summary(self) -> dict[str, Any]:
        """Return counts, tokens and cost as JSON values."""
        return asdict(self)


def publish(plan_uri: str, results: Sequence[Mapping[str, Any]]) -> Publication:
    """Give every product of the plan its row: published, withheld (why) or failed (why).

    Products whose description is unchanged keep their rows; products outside the plan are not touched. A product
    that no list of outcomes names is looked up by its input, and failed if it has no outcome there either.

    Args:
        plan_uri: of :func:`lookbook.descriptions.planning.plan_products`.
        results: what the mapped tasks returned, in any order; their ``uri`` is that of a list of outcomes.
    """
    plan = read_plan(plan_uri)
    shards = read_shards(plan.root)
    outcomes = _outcomes(shards, results)
    snapshot = _commit(plan.drop_id, outcomes) if outcomes else None
    published = _publication(shards, outcomes, snapshot)
    _report(published)
    return published


def _outcomes(shards: ShardPlan, results: Sequence[Mapping[str, Any]]) -> list[Result]:
    with ThreadPoolExecutor(_READERS) as pool:
        lists = list(pool.map(storage.read_json, [result["uri"] for result in results]))
        told = [Result.from_dict(stored) for stored in _flat(lists)]
        by_input = {result.item.input_hash: result for result in told}
        items = _flat(pool.map(_items, shards.shards))
        return list(pool.map(lambda item: by_input.get(item.input_hash) or _looked_up(item), items))


def _items(shard: Shard) -> list[WorkItem]:
    return read_items(shard.uri)


def _looked_up(item: WorkItem) -> Result:
    return stored_result(item) or Result(item, "failed", (_NO_OUTCOME,))


def _flat(lists: Iterable[list[Any]]) -> list[Any]:
    return [entry for entries in lists for entry in entries]


def _commit(drop_id: str, outcomes: Sequence[Result]) -> str:
    rows = pa.Table.from_pylist([outcome.row() for outcome in outcomes], schema=DESCRIPTIONS)
    ids = [outcome.item.product_id for outcome in outcomes]
    return tables.replace(TABLE, rows, And(tables.equals("drop_id", drop_id), tables.one_of("product_id", ids)))


def _publication(shards: ShardPlan, outcomes: Sequence[Result], snapshot: str | None) -> Publication:
    counted = Counter(outcome.status for outcome in outcomes)
    version = shards.attribute_model_version
    return Publication(
        drop_id=shards.drop_id,
        products=len(outcomes) + len(shards.unchanged),
        published=counted["published"],
        withheld=counted["withheld"],
        failed=counted["failed"],
        unchanged=len(shards.unchanged),
        input_tokens=sum(outcome.input_tokens for outcome in outcomes),
        output_tokens=sum(outcome.output_tokens for outcome in outcomes),
        cost_usd=_cost(outcomes),
        prices_of=price_list()["date"],
        differences=sum(len(outcome.item.facts.differences) for outcome in outcomes),
        attribute_model_version=version,
        facts_from=f"catalogue and model {version}" if version else "catalogue alone: no model is in service",
        snapshot=snapshot,
    )


def _cost(outcomes: Sequence[Result]) -> float | None:
    costs = [outcome.cost_usd for outcome in outcomes if outcome.calls]
    known = [cost for cost in costs if cost is not None]
    return round(sum(known), 6) if len(known) == len(costs) else None


def _report(published: Publication) -> None:
    records.counts(
        products=published.products,
        published=published.published,
        withheld=published.withheld,
        failed=published.failed,
        unchanged=published.unchanged,
        input_tokens=published.input_tokens,
        output_tokens=published.output_tokens,
    )
    cost = "no list price" if published.cost_usd is None else f"{published.cost_usd:.6f} USD"
    records.details(cost=f"{cost} (prices of {published.prices_of})", facts_from=published.facts_from)
    log.info(
        "Drop %s: %d published, %d withheld, %d failed, %d unchanged; %d + %d tokens, %s",
        published.drop_id,
        published.published,
        published.withheld,
        published.failed,
        published.unchanged,
        published.input_tokens,
        published.output_tokens,
        cost,
    )
