"""Which products a run describes, and the work cut into mapped tasks.

Two steps with the attribute model between them: :func:`plan_products` chooses, the model answers, :func:`plan_shards`
merges both into facts. A product whose published description was written from the same input is left alone.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyiceberg.expressions import And, BooleanExpression

from lookbook.catalog import tables
from lookbook.descriptions import prompts
from lookbook.descriptions.facts import merge
from lookbook.descriptions.plans import (
    Plan,
    PlannedProduct,
    Shard,
    ShardPlan,
    WorkItem,
    input_hash,
    read_plan,
    root_of,
    write_items,
    write_plan,
    write_shards,
)
from lookbook.descriptions.sanitising import label
from lookbook.errors import PermanentError
from lookbook.lineage import records
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
_CHOOSING = ("drop_id", "product_id", "article_type", "picture_uri", "picture_sha256")


@dataclass(frozen=True)
class _Answers:
    """What the attribute model said about a drop, by product; empty when no model is in service."""

    model_version: str | None
    by_product: Mapping[str, list[Row]]


def plan_products(drop_id: str | None, only: Sequence[str], run_key: str) -> Plan:
    """Choose the products of a run and store the plan.

    Args:
        drop_id: the drop; ``None`` means the newest drop of the products in ``only``.
        only: product ids; empty means the whole drop.
        run_key: names the run; the plan's place in S3 is a function of it.

    Raises:
        PermanentError: the drop or a product is not in the catalogue, or there is no telling which drop is meant.
    """
    snapshot = tables.current_snapshot("catalog.products")
    rows = tables.read("catalog.products", _chosen(drop_id, only), _CHOOSING, snapshot).to_pylist()
    drop_id = drop_id or _newest_drop(rows, only)
    products = sorted((row for row in rows if row["drop_id"] == drop_id), key=lambda row: row["product_id"])
    _check_found(drop_id, products, only)
    chosen = tuple(PlannedProduct(**{name: row[name] for name in _CHOOSING[1:]}) for row in products)
    plan = Plan(f"{root_of(run_key)}/plan.json", drop_id, run_key, snapshot, chosen)
    records.writes_object(write_plan(plan))
    records.counts(products=len(products))
    log.info("Drop %s: %d products planned.", drop_id, len(products))
    return plan


def plan_shards(plan_uri: str, predictions: Mapping[str, Any]) -> ShardPlan:
    """Merge facts, leave out what is unchanged, and store the rest as shards of work items.

    Args:
        plan_uri: of :func:`plan_products`.
        predictions: the reference that attribute prediction returned; its ``model_version`` is ``None`` when no
            model is in service: facts are then the catalogue's alone.
    """
    plan = read_plan(plan_uri)
    items = _work_items(plan, predictions)
    done = _published_hashes(plan.drop_id)
    todo = [item for item in items if done.get(item.product_id) != item.input_hash]
    unchanged = tuple(item.product_id for item in items if done.get(item.product_id) == item.input_hash)
    mode, groups = _cut(todo)
    shards = tuple(_store_shard(plan.root, mode, groups, number) for number in range(len(groups)))
    planned = ShardPlan(plan.drop_id, mode, predictions.get("model_version"), shards, unchanged)
    records.writes_object(write_shards(plan.root, planned))
    records.counts(to_describe=len(todo), unchanged=len(unchanged), shards=len(shards))
    log.info("Drop %s: %d products to describe (%s), %d unchanged.", plan.drop_id, len(todo), mode, len(unchanged))
    return planned


def _chosen(drop_id: str | None, only: Sequence[str]) -> BooleanExpression:
    if drop_id is None and not only:
        raise PermanentError("Neither a drop nor product ids are given. Start the run with a partition key or 'Drop'.")
    if drop_id is None:
        return tables.one_of("product_id", only)
    of_drop = tables.equals("drop_id", drop_id)
    return And(of_drop, tables.one_of("product_id", only)) if only else of_drop


def _newest_drop(rows: Iterable[Row], only: Sequence[str]) -> str:
    newest: dict[str, str] = {}
    for row in rows:
        newest[row["product_id"]] = max(row["drop_id"], newest.get(row["product_id"], ""))
    drops = sorted(set(newest.values()))
    if len(drops) > 1:
        raise PermanentError(f"The {len(only)} products lie in drops {', '.join(drops)}. Start one run per drop.")
    if not drops:
        raise PermanentError(f"No product of {_some(only)} is in the catalogue. Ingest their drop, or correct the ids.")
    return drops[0]


def _check_found(drop_id: str, products: Sequence[Row], only: Sequence[str]) -> None:
    if missing := sorted(set(only) - {row["product_id"] for row in products}):
        raise PermanentError(f"Drop {drop_id} has no product {_some(missing)} in the catalogue. Correct the ids.")
    if not products:
        raise PermanentError(f"Drop {drop_id} has no product in the catalogue. Run ingest_drop for it first.")


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")


def _work_items(plan: Plan, predictions: Mapping[str, Any]) -> list[WorkItem]:
    chosen = {product.product_id for product in plan.products}
    rows = tables.read("catalog.products", tables.equals("drop_id", plan.drop_id), snapshot=plan.products_snapshot)
    answers = _answers(plan, predictions.get("model_version"))
    products = [row for row in rows.to_pylist(maps_as_pydicts="strict") if row["product_id"] in chosen]
    return [_work_item(plan, row, answers) for row in sorted(products, key=lambda row: row["product_id"])]


def _answers(plan: Plan, model_version: str | None) -> _Answers:
    by_product: dict[str, list[Row]] = defaultdict(list)
    if model_version is not None:
        of_model = And(tables.equals("drop_id", plan.drop_id), tables.equals("model_version", model_version))
        for row in tables.read("predictions.attributes", of_model).to_pylist():
            by_product[row["product_id"]].append(row)
    return _Answers(model_version, by_product)


def _work_item(plan: Plan, product: Row, answers: _Answers) -> WorkItem:
    settings, prompt = get_settings(), prompts.load()
    # An answer about a picture that has since been replaced is an answer about something else.
    of_picture = [
        answer
        for answer in answers.by_product.get(product["product_id"], ())
        if answer["picture_sha256"] == product["picture_sha256"]
    ]
    facts = merge(product, of_picture, settings.min_probability)
    used = of_picture if facts.differences or any(fact.source == "model" for fact in facts.facts) else []
    return WorkItem(
        drop_id=plan.drop_id,
        product_id=product["product_id"],
        label=label(f"{product['product_id']} {product['display_name'] or product['article_type'] or ''}"),
        facts=facts,
        input_hash=input_hash(product["product_id"], facts, prompt, settings.text_model_id, product["picture_sha256"]),
        prompt_version=prompt.version,
        prompt_sha256=prompt.sha256,
        text_model_id=settings.text_model_id,
        attribute_model_version=answers.model_version if used else None,
        endpoint_config=used[0]["endpoint_config"] if used else None,
        products_snapshot=plan.products_snapshot,
        picture_uri=product["picture_uri"],
        picture_sha256=product["picture_sha256"],
    )


def _published_hashes(drop_id: str) -> dict[str, str]:
    published = And(tables.equals("drop_id", drop_id), tables.equals("status", "published"))
    rows = tables.read("descriptions.descriptions", published, ("product_id", "input_hash")).to_pylist()
    return {row["product_id"]: row["input_hash"] for row in rows}


def _cut(items: list[WorkItem]) -> tuple[str, list[list[WorkItem]]]:
    settings = get_settings()
    if len(items) <= settings.per_product_limit:
        return "per_product", [[item] for item in items]
    size = settings.shard_size
    return "sharded", [items[start : start + size] for start in range(0, len(items), size)]


def _store_shard(root: str, mode: str, groups: list[list[WorkItem]], number: int) -> Shard:
    items = groups[number]
    uri = f"{root}/items/{number:05d}.json"
    write_items(uri, items)
    name = items[0].label if mode == "per_product" else f"shard {number + 1} of {len(groups)} ({len(items)} products)"
    return Shard(uri, name, len(items))
