"""Where the attribute model is sure and contradicts the catalogue: one of the two is wrong, and people must say which.

Findings are about the data, not about descriptions: a product whose description is unchanged has them too, and one
without a description as well. They are those of the last run that asked about the product.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa
from pyiceberg.expressions import And, BooleanExpression, NotNull, Reference

from lookbook.catalog import tables
from lookbook.catalog.schemas import FINDINGS
from lookbook.descriptions.facts import LEADING_COLUMNS, TRAILING_COLUMNS, Difference, merge
from lookbook.descriptions.plans import Plan, read_plan
from lookbook.descriptions.sanitising import fact_name
from lookbook.lineage import records
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

TABLE = "quality.findings"
_PRODUCT_COLUMNS = (
    "product_id",
    *LEADING_COLUMNS.values(),
    *TRAILING_COLUMNS.values(),
    "attributes",
    "picture_uri",
    "picture_sha256",
)
_ANSWER_COLUMNS = ("product_id", "attribute", "value", "probability", "threshold", "picture_sha256", "result_uri")
_BATCH = 1000  # rows that are Python values at a time

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Findings:
    """What a run found: how many, of how many products, by attribute. ``snapshot`` is ``None`` for no commit."""

    drop_id: str
    model_version: str | None
    findings: int
    products: int
    by_attribute: dict[str, int]
    snapshot: str | None

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def report(plan_uri: str, predictions: Mapping[str, Any]) -> Findings:
    """Replace the findings of a plan's products by those of the model that was asked, in one commit.

    Done twice, it leaves what once leaves: a finding keeps the run that first saw the two values at odds. Without a
    model in service nothing is compared, and what was found before stays.

    Args:
        plan_uri: of :func:`lookbook.descriptions.planning.plan_products`.
        predictions: the reference that attribute prediction returned.
    """
    plan, version = read_plan(plan_uri), predictions.get("model_version")
    if version is None:
        log.info("No model is in service: there is nothing to compare the catalogue with.")
        return Findings(plan.drop_id, None, 0, 0, {}, None)
    products = _products(plan)
    replaced = _replaced(plan, products)
    before = tables.read(TABLE, replaced)
    found = _found(plan, products, version, before)
    snapshot = tables.replace(TABLE, found, replaced) if len(found) or len(before) else None
    return _reported(plan.drop_id, version, found, snapshot)


def _products(plan: Plan) -> pa.Table:
    of_drop = tables.equals("drop_id", plan.drop_id)
    return tables.read("catalog.products", of_drop, _PRODUCT_COLUMNS, plan.products_snapshot)


def _replaced(plan: Plan, products: pa.Table) -> BooleanExpression:
    """Return the filter for what a plan has a say in; of a whole drop, also of products that are gone from it."""
    of_drop, planned = tables.equals("drop_id", plan.drop_id), [product.product_id for product in plan.products]
    if set(planned) == set(products["product_id"].to_pylist()):
        return of_drop
    return And(of_drop, tables.one_of("product_id", planned))


def _found(plan: Plan, products: pa.Table, version: str, before: pa.Table) -> pa.Table:
    first_seen = {_pair(row): row["first_seen_run"] for row in _each(before)}
    batch: list[dict[str, Any]] = []
    for row in _contradictions(plan, products, version):
        of_run = {"drop_id": plan.drop_id, "model_version": version, "products_snapshot": plan.products_snapshot}
        batch.append({**row, **of_run, "first_seen_run": first_seen.get(_pair(row), plan.run_key)})
    return pa.Table.from_pylist(batch, schema=FINDINGS)


def _pair(row: Row) -> tuple[str, ...]:
    return row["product_id"], row["attribute"], row["catalogue_value"], row["model_value"]


def _contradictions(plan: Plan, products: pa.Table, version: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each attribute of each product of the plan of which the model is sure otherwise."""
    planned = {product.product_id for product in plan.products}
    answers = _answers_by_product(plan.drop_id, version)
    floor, current = get_settings().min_probability, next(answers, None)
    for product in _each(products.sort_by("product_id")):
        while current and current[0] < product["product_id"]:
            current = next(answers, None)
        if current and current[0] == product["product_id"] in planned:
            yield from _of_product(product, current[1], floor)


def _of_product(product: Row, answers: list[Row], floor: float) -> Iterator[dict[str, Any]]:
    # An answer about a picture that has since been replaced is an answer about something else.
    of_picture = [answer for answer in answers if answer["picture_sha256"] == product["picture_sha256"]]
    by_attribute = {fact_name(answer["attribute"]): answer for answer in of_picture}
    for difference in merge(product, of_picture, floor).differences:
        yield _row(product, difference, by_attribute[difference.attribute])


def _row(product: Row, difference: Difference, answer: Row) -> dict[str, Any]:
    of_product = {name: product[name] for name in ("product_id", "article_type", "picture_uri", "picture_sha256")}
    return {
        **of_product,
        **asdict(difference),
        "threshold": answer["threshold"],
        "result_uri": answer["result_uri"],
    }


def _answers_by_product(drop_id: str, version: str) -> Iterator[tuple[str, list[Row]]]:
    """Yield each product's answers that have a value, by product id."""
    of_model = And(tables.equals("drop_id", drop_id), tables.equals("model_version", version))
    said = NotNull(term=Reference("value"))
    rows = tables.read("predictions.attributes", And(of_model, said), _ANSWER_COLUMNS).sort_by("product_id")
    for product_id, answers in groupby(_each(rows), key=lambda row: row["product_id"]):
        yield product_id, list(answers)


def _each(rows: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in rows.to_batches(max_chunksize=_BATCH):
        yield from batch.to_pylist(maps_as_pydicts="strict")


def _reported(drop_id: str, version: str, found: pa.Table, snapshot: str | None) -> Findings:
    by_attribute = dict(Counter(found["attribute"].to_pylist()).most_common())
    products = len(set(found["product_id"].to_pylist()))
    records.counts(findings=len(found), products=products)
    log.info("Drop %s: model %s contradicts the catalogue %d times: %s", drop_id, version, len(found), by_attribute)
    return Findings(drop_id, version, len(found), products, by_attribute, snapshot)
