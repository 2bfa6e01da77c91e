"""Which products a run describes, and the work cut into mapped tasks.

Two steps with the attribute model between them: :func:`plan_products` chooses, the model answers, :func:`plan_shards`
merges both into facts. A product whose published description was written from the same input is left alone.

A whole catalogue is planned at once: its rows are taken a few thousand at a time, and what is to be done is kept as it
will be stored.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pyiceberg.expressions import And, BooleanExpression

from lookbook.catalog import tables
from lookbook.descriptions import cutting, estimate, work
from lookbook.descriptions.plans import (
    Plan,
    PlannedProduct,
    Redrive,
    Shard,
    ShardPlan,
    read_plan,
    read_shards,
    root_of,
    statuses_of,
    write_encoded_items,
    write_plan,
    write_shards,
)
from lookbook.descriptions.selection import Asked, newest_drops
from lookbook.descriptions.work import Todo
from lookbook.errors import PermanentError
from lookbook.lineage import records
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
_CHOOSING = ("drop_id", "product_id", "article_type", "picture_uri", "picture_sha256")


def plan_products(drop_id: str | None, only: Sequence[str], run_key: str, redrive: Redrive = "none") -> Plan:
    """Choose the products of a run and store the plan.

    Args:
        drop_id: the drop; ``None`` means the newest drop of the products in ``only``.
        only: product ids; empty means the whole drop.
        run_key: names the run; the plan's place in S3 is a function of it.
        redrive: of these products, only those whose description failed, was withheld, or either.

    Raises:
        PermanentError: the drop or a product is not in the catalogue, or there is no telling which drop is meant.
    """
    snapshot = tables.current_snapshot("catalog.products")
    drop_id = drop_id or _one_drop(only, snapshot)
    rows = tables.read("catalog.products", _chosen(drop_id, only), _CHOOSING, snapshot).sort_by("product_id")
    products = rows.to_pylist()
    _check_found(drop_id, products, only)
    if redrive != "none":
        again = _with_status(drop_id, redrive)
        products = [row for row in products if row["product_id"] in again]
    chosen = tuple(PlannedProduct(*(row[name] for name in _CHOOSING[1:])) for row in products)
    plan = Plan(f"{root_of(run_key)}/plan.json", drop_id, run_key, snapshot, chosen, redrive)
    records.writes_object(write_plan(plan))
    records.counts(products=len(chosen))
    log.info("Drop %s: %d products planned.", drop_id, len(chosen))
    return plan


def plan_run(asked: Asked, others: Sequence[Any], run_key: str) -> Plan | None:
    """Store the plan of a run, unless there is nothing for it to do, or runs of their own do it.

    Args:
        asked: what the run was started for.
        others: the runs of :func:`lookbook.descriptions.selection.runs_of`.
        run_key: names the run.

    Raises:
        PermanentError: as :func:`plan_products` does.
    """
    if others or asked.everywhere:
        log.info("%d runs of their own describe what was asked for, one a drop.", len(others))
        return None
    plan = plan_products(asked.drop_id, asked.product_ids, run_key, asked.redrive)
    return plan if plan.products else None


def plan_shards(
    plan_uri: str, predictions: Mapping[str, Any], mode: cutting.AskedMode = "auto", side_by_side: int = 1
) -> ShardPlan:
    """Merge facts, leave out what is unchanged, cut the rest into shards of work items and estimate what it takes.

    Args:
        plan_uri: of :func:`plan_products`.
        predictions: the reference that attribute prediction returned; its ``model_version`` is ``None`` when no
            model is in service: facts are then the catalogue's alone.
        mode: how to describe; ``auto`` goes by the number of products.
        side_by_side: how many mapped tasks of a run may work at the same time; they share the account's quota.

    Raises:
        PermanentError: the work can't be cut as ``mode`` wants it.
    """
    plan = read_plan(plan_uri)
    found = work.of_plan(plan, predictions.get("model_version"))
    taken = cutting.mode_of(mode, len(found.todo))
    groups = cutting.cut(found.todo, taken, max(1, side_by_side))
    share = 1 / max(1, min(len(groups), side_by_side))
    shards = _store_shards(plan.root, groups, cutting.names_of(groups, taken), share)
    expected = estimate.estimate(found.todo, plan.drop_id, taken, share)
    planned = ShardPlan(
        plan.drop_id, taken, predictions.get("model_version"), shards, found.unchanged, expected.as_dict()
    )
    records.writes_object(write_shards(plan.root, planned))
    if shards:
        records.writes_prefix(f"{plan.root}/items/")
    records.counts(to_describe=len(found.todo), unchanged=len(found.unchanged), shards=len(shards))
    log.info(
        "Drop %s: %d products to describe (%s), %d unchanged.",
        plan.drop_id,
        len(found.todo),
        taken,
        len(found.unchanged),
    )
    return planned


def on_demand(plan_uri: str) -> list[dict[str, Any]]:
    """Return the references of the shards that mapped tasks describe; none where batch jobs do."""
    shards = read_shards(plan_uri.rpartition("/")[0])
    return [] if shards.mode == "batch" else shards.references()


def _chosen(drop_id: str, only: Sequence[str]) -> BooleanExpression:
    of_drop = tables.equals("drop_id", drop_id)
    return And(of_drop, tables.one_of("product_id", only)) if only else of_drop


def _one_drop(only: Sequence[str], snapshot: str) -> str:
    if not only:
        raise PermanentError("Neither a drop nor product ids are given. Start the run with a partition key or 'Drop'.")
    drops = sorted(newest_drops(only, snapshot))
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


def _with_status(drop_id: str, redrive: Redrive) -> set[str]:
    of_status = And(tables.equals("drop_id", drop_id), tables.one_of("status", statuses_of(redrive)))
    return set(tables.read("descriptions.descriptions", of_status, ("product_id",))["product_id"].to_pylist())


def _store_shards(root: str, groups: Sequence[Sequence[Todo]], names: Sequence[str], share: float) -> tuple[Shard, ...]:
    def store(number: int) -> Shard:
        uri = f"{root}/items/{number:05d}.json"
        write_encoded_items(uri, [todo.content for todo in groups[number]])
        return Shard(uri, names[number], len(groups[number]), share)

    with ThreadPoolExecutor(get_settings().read_concurrency) as writers:
        return tuple(writers.map(store, range(len(groups))))
