"""Commit the outcome of every product of a run to ``descriptions.descriptions``, in one go."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import And

from lookbook.catalog import tables
from lookbook.descriptions import outcomes, reviewed
from lookbook.descriptions.cost import price_list
from lookbook.descriptions.plans import ShardPlan, read_shards
from lookbook.lineage import records

log = logging.getLogger(__name__)

TABLE = "descriptions.descriptions"


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

    Products whose description is unchanged keep their rows; products outside the plan are not touched; what a person
    decided about a text stands (:func:`lookbook.descriptions.reviewed.keep`). A product that no list of outcomes names
    is looked up by its input, and failed if it has no outcome there either.

    Args:
        plan_uri: of :func:`lookbook.descriptions.planning.plan_products`.
        results: what the mapped tasks returned, in any order; their ``uri`` is that of a list of outcomes.
    """
    shards = read_shards(plan_uri.rpartition("/")[0])
    rows = reviewed.keep(shards.drop_id, outcomes.rows_of(shards, [result["uri"] for result in results]))
    snapshot = _commit(shards.drop_id, rows) if len(rows) else None
    published = _publication(shards, rows, snapshot)
    _report(published)
    return published


def _commit(drop_id: str, rows: pa.Table) -> str:
    of_products = And(tables.equals("drop_id", drop_id), tables.one_of("product_id", rows["product_id"].to_pylist()))
    return tables.replace(TABLE, rows, of_products)


def _publication(shards: ShardPlan, rows: pa.Table, snapshot: str | None) -> Publication:
    counted = Counter(rows["status"].to_pylist())
    version = shards.attribute_model_version
    return Publication(
        drop_id=shards.drop_id,
        products=len(rows) + len(shards.unchanged),
        published=counted["published"],
        withheld=counted["withheld"],
        failed=counted["failed"],
        unchanged=len(shards.unchanged),
        input_tokens=_sum(rows["input_tokens"]),
        output_tokens=_sum(rows["output_tokens"]),
        cost_usd=_cost(rows),
        prices_of=price_list()["date"],
        differences=_sum(pc.list_value_length(rows["differences"])),
        attribute_model_version=version,
        facts_from=f"catalogue and model {version}" if version else "catalogue alone: no model is in service",
        snapshot=snapshot,
    )


def _sum(numbers: pa.ChunkedArray) -> int:
    return int(pc.sum(numbers, min_count=0).as_py())


def _cost(rows: pa.Table) -> float | None:
    costs = rows.filter(pc.field("calls") > 0)["cost_usd"]
    return None if costs.null_count else round(pc.sum(costs, min_count=0).as_py(), 6)


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
    records.outputs_cost(published.cost_usd)
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
