"""What is left to do for the products of a plan: their facts merged, compared with what is published.

Rows of the catalogue and the model's answers are merged some thousand at a time, in the order of the product ids.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import And

from lookbook.catalog import tables
from lookbook.descriptions import prompts
from lookbook.descriptions.facts import LEADING_COLUMNS, TRAILING_COLUMNS, merge
from lookbook.descriptions.plans import Plan, WorkItem, encoded, input_hash, statuses_of
from lookbook.descriptions.prompts import Prompt
from lookbook.descriptions.sanitising import label
from lookbook.settings import Settings, get_settings

Row = Mapping[str, Any]

_AT_ONCE = 2000
_PRODUCT = ("product_id", "display_name", "attributes", "picture_uri", "picture_sha256")
_DESCRIBED = (*_PRODUCT, *LEADING_COLUMNS.values(), *TRAILING_COLUMNS.values())
_ANSWERED = ("product_id", "attribute", "value", "probability", "picture_sha256", "endpoint_config")
_STANDING = ("product_id", "status", "input_hash", "attempt", "run_id")
_DONE = "published"
_SETTLED = ("withheld", "failed")


@dataclass(frozen=True)
class Todo:
    """A work item as it is stored, with what a plan must know of it."""

    label: str
    result_uri: str
    content: bytes

    def item(self) -> WorkItem:
        """Return the work item."""
        return WorkItem.from_dict(orjson.loads(self.content))


@dataclass(frozen=True)
class Work:
    """What is to be done, in the order of the product ids, and the ids of the products for which nothing is.

    ``settled`` of what is to be done are withheld or failed with the very same input: they are no news.
    """

    todo: list[Todo]
    unchanged: tuple[str, ...]
    settled: int


def of_plan(plan: Plan, model_version: str | None) -> Work:
    """Return what is left to do for a plan's products.

    Args:
        plan: the products, at a version of the catalogue.
        model_version: whose answers fill in; ``None``: the catalogue's facts are all there is.
    """
    return left_of(plan, model_version, {product.product_id for product in plan.products})


def left_of(plan: Plan, model_version: str | None, chosen: Collection[str] | None = None) -> Work:
    """Return what is left to do for a plan's drop, or for those of its products whose ids are ``chosen``."""
    standing = _standing(plan.drop_id)
    making = _Making(plan, model_version, get_settings(), prompts.load())
    again = set(statuses_of(plan.redrive))
    todo: list[Todo] = []
    unchanged: list[str] = []
    settled = 0
    for product, answers in _products(plan, chosen, model_version):
        row = standing.get(product["product_id"], {})
        item = making.item(product, answers, _attempt(row, plan.run_key, again))
        same = row.get("input_hash") == item.input_hash
        if same and row["status"] == _DONE:
            unchanged.append(item.product_id)
        else:
            todo.append(Todo(item.label, item.result_uri, encoded(item)))
            settled += same and row["status"] in _SETTLED
    return Work(todo, tuple(unchanged), settled)


def _attempt(row: Row, run_key: str, again: Collection[str]) -> int:
    """Return how often a product was driven again, this time included.

    The outcome of a withheld one is stored under its input: only another input is asked about again. What this very
    run has withheld keeps its attempt, so that clearing the task pays for nothing.
    """
    before = int(row.get("attempt") or 0)
    driven = row.get("status") == "withheld" and "withheld" in again and row["run_id"] != run_key
    return before + 1 if driven else before


def _standing(drop_id: str) -> dict[str, Row]:
    rows = tables.read("descriptions.descriptions", tables.equals("drop_id", drop_id), _STANDING)
    return {row["product_id"]: row for row in rows.to_pylist()}


def _products(plan: Plan, chosen: Collection[str] | None, model_version: str | None) -> Iterator[tuple[Row, list[Row]]]:
    """Yield the chosen products by id, each with what the model answered about it."""
    of_drop = tables.equals("drop_id", plan.drop_id)
    rows = tables.read("catalog.products", of_drop, _DESCRIBED, plan.products_snapshot)
    if chosen is not None:
        rows = rows.filter(pc.is_in(rows["product_id"], pa.array(list(chosen), pa.string())))
    rows = rows.sort_by("product_id")
    answers = _answers(plan.drop_id, model_version)
    for start in range(0, len(rows), _AT_ONCE):
        some = rows.slice(start, _AT_ONCE).to_pylist(maps_as_pydicts="strict")
        answered = _answered(answers, some[0]["product_id"], some[-1]["product_id"])
        for row in some:
            yield row, answered.get(row["product_id"], [])


def _answers(drop_id: str, model_version: str | None) -> pa.Table | None:
    if model_version is None:
        return None
    of_model = And(tables.equals("drop_id", drop_id), tables.equals("model_version", model_version))
    return tables.read("predictions.attributes", of_model, _ANSWERED)


def _answered(answers: pa.Table | None, first: str, last: str) -> Mapping[str, list[Row]]:
    """Return the answers about the products with ids from ``first`` to ``last``."""
    by_product: defaultdict[str, list[Row]] = defaultdict(list)
    if answers is not None:
        ids = answers["product_id"]
        within = pc.and_(pc.greater_equal(ids, first), pc.less_equal(ids, last))
        for row in answers.filter(within).to_pylist():
            by_product[row["product_id"]].append(row)
    return by_product


@dataclass(frozen=True)
class _Making:
    """What all work items of a plan have in common."""

    plan: Plan
    model_version: str | None
    settings: Settings
    prompt: Prompt

    def item(self, product: Row, answers: list[Row], attempt: int) -> WorkItem:
        # An answer about a picture that has since been replaced is an answer about something else.
        of_picture = [answer for answer in answers if answer["picture_sha256"] == product["picture_sha256"]]
        facts = merge(product, of_picture, self.settings.min_probability)
        used = of_picture if facts.differences or any(fact.source == "model" for fact in facts.facts) else []
        product_id, model, picture = product["product_id"], self.settings.text_model_id, product["picture_sha256"]
        return WorkItem(
            drop_id=self.plan.drop_id,
            product_id=product_id,
            label=label(f"{product_id} {product['display_name'] or product['article_type'] or ''}"),
            facts=facts,
            input_hash=input_hash(product_id, facts, self.prompt, model, picture, attempt),
            prompt_version=self.prompt.version,
            prompt_sha256=self.prompt.sha256,
            text_model_id=model,
            attribute_model_version=self.model_version if used else None,
            endpoint_config=used[0]["endpoint_config"] if used else None,
            products_snapshot=self.plan.products_snapshot,
            picture_uri=product["picture_uri"],
            picture_sha256=picture,
            language=self.prompt.language,
            attempt=attempt,
        )
