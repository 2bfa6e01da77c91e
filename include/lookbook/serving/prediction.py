"""The attributes of a plan's products, asked of the model in service and committed in one go."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
from pyiceberg.expressions import And

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.schemas import PREDICTED_ATTRIBUTES
from lookbook.descriptions.plans import Plan, PlannedProduct, read_plan
from lookbook.lineage import records
from lookbook.serving.asking import Asking, Input, Result
from lookbook.settings import get_settings
from lookbook.training import registry
from lookbook.training.registry import Champion
from lookbook.vqa import datasets

log = logging.getLogger(__name__)

_TABLE = "predictions.attributes"


@dataclass(frozen=True)
class Predictions:
    """What came of asking: counts of products; ``model_version`` is ``None`` when no model is in service."""

    drop_id: str
    model_version: str | None
    endpoint_config: str | None
    products: int
    answered: int = 0
    refused: int = 0
    unanswered: int = 0
    report_uri: str | None = None
    """The evaluation of that model, which says how sure it must be."""

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


async def predict(plan_uri: str) -> Predictions:
    """Ask the model in service about every product of a plan and commit its answers to ``predictions.attributes``.

    A picture that this model was asked the same questions about before is not asked about again: each result is an
    object under a key that is a function of picture, questions and model. Without a model in service nothing is asked.

    Raises:
        RetryableError: the endpoint answers hardly anything, or was updated meanwhile.
        PermanentError: the endpoint serves something else.
    """
    plan = await asyncio.to_thread(read_plan, plan_uri)
    champion = await asyncio.to_thread(registry.champion)
    if champion is None:
        log.info("No model is in service: the catalogue's own attributes are all there is.")
        records.details(attribute_model="none in service")
        return Predictions(plan.drop_id, None, None, len(plan.products))
    inputs = await asyncio.to_thread(_inputs, plan, champion)
    results = await Asking(plan.drop_id, champion).all(set(inputs.values()))
    by_product = {product_id: results[asked] for product_id, asked in inputs.items()}
    await asyncio.to_thread(_commit, plan.drop_id, by_product, champion)
    return _summary(plan, by_product, champion)


def _inputs(plan: Plan, champion: Champion) -> dict[str, Input]:
    """Return what is asked about each product that has a picture."""
    trained = tuple(storage.read_json(f"{datasets.dataset_uri(champion.dataset_id)}dataset.json")["attributes"])
    stated = _stated_attributes(plan.products_snapshot)

    def asked(product: PlannedProduct) -> tuple[str, ...]:
        applicable = stated[product.article_type]
        return tuple(attribute for attribute in trained if attribute in applicable) or trained

    # The same picture under several ids is one input, read from one place.
    uris = {product.picture_sha256: product.picture_uri for product in plan.products}
    return {
        product.product_id: Input(uri, product.picture_sha256, asked(product))
        for product in plan.products
        if product.picture_sha256 and (uri := uris[product.picture_sha256])
    }


def _stated_attributes(snapshot: str) -> Mapping[str | None, set[str]]:
    """Return, by article type, the attributes that the catalogue states for any product of it."""
    stated: defaultdict[str | None, set[str]] = defaultdict(set)
    rows = tables.read("catalog.products", columns=("article_type", "attributes"), snapshot=snapshot)
    for row in rows.to_pylist(maps_as_pydicts="strict"):
        stated[row["article_type"]].update(row["attributes"] or {})
    return stated


def _commit(drop_id: str, results: Mapping[str, Result], champion: Champion) -> None:
    rows = [
        {
            "drop_id": drop_id,
            "product_id": product_id,
            "picture_sha256": result.picture_sha256,
            "model_version": result.model_version,
            "endpoint_config": champion.endpoint_config,
            "result_uri": result.uri,
            **answer,
        }
        for product_id, result in sorted(results.items())
        for answer in result.answers
    ]
    of_products = And(tables.equals("drop_id", drop_id), tables.one_of("product_id", results))
    tables.replace(_TABLE, pa.Table.from_pylist(rows, schema=PREDICTED_ATTRIBUTES), of_products)


def _summary(plan: Plan, results: Mapping[str, Result], champion: Champion) -> Predictions:
    numbers: dict[str, int] = dict(Counter(result.status for result in results.values()))
    records.reads("model_package", get_settings().model_package_group, champion.package_arn)
    records.reads("endpoint_config", get_settings().endpoint_name, champion.endpoint_config)
    records.counts(**numbers)
    log.info("Drop %s, model %s: %s of %d products", plan.drop_id, champion.version, numbers, len(plan.products))
    return Predictions(
        plan.drop_id,
        champion.version,
        champion.endpoint_config,
        len(plan.products),
        report_uri=champion.report_uri,
        **numbers,
    )
