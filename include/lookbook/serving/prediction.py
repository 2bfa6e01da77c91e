"""The attributes of a plan's products, asked of the attribute model and committed in one go."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
from pyiceberg.expressions import And

from lookbook.catalog import tables
from lookbook.catalog.schemas import PREDICTED_ATTRIBUTES
from lookbook.descriptions.plans import Plan, read_plan
from lookbook.lineage import records
from lookbook.serving import models, transform
from lookbook.serving.asking import Asking, ModelChangedError, Outputs, Result
from lookbook.serving.inputs import Input, inputs_of
from lookbook.serving.models import AskedModel
from lookbook.settings import get_settings
from lookbook.training import registry

log = logging.getLogger(__name__)

_TABLE = "predictions.attributes"
# How often a model may be replaced under one run's hands. Deployments take minutes and come weekly.
_MODELS_OF_A_RUN = 3
_CHANGING = {"Updating", "SystemUpdating", "RollingBack"}


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
    transform_job: str | None = None
    """The batch transform job that was asked in the endpoint's place."""

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


async def predict(plan_uri: str, job: Mapping[str, Any] | None = None) -> Predictions:
    """Ask the model in service about every product of a plan and commit its answers to ``predictions.attributes``.

    A picture that this model was asked the same questions about before is not asked about again: each result is an
    object under a key that is a function of picture, questions and model. Without a model in service nothing is asked.
    All answers of a plan are of one model: if the endpoint is updated meanwhile, the new one is asked about everything.

    Args:
        plan_uri: of :func:`lookbook.descriptions.planning.plan_products`.
        job: the reference of the transform job that was asked; the endpoint, if it serves the same model, is then asked
            only about what the job left no answer to.

    Raises:
        RetryableError: the endpoint answers hardly anything, or was updated again and again.
        PermanentError: the endpoint serves something else.
    """
    plan = await asyncio.to_thread(read_plan, plan_uri)
    model = await asyncio.to_thread(_model, job)
    if model is None:
        log.info("No model is in service: the catalogue's own attributes are all there is.")
        records.details(attribute_model="none in service")
        return Predictions(plan.drop_id, None, None, len(plan.products))
    model, results = await _ask(plan, model, job)
    await asyncio.to_thread(_commit, plan.drop_id, results, model)
    return _summary(plan, results, model, job)


def _model(job: Mapping[str, Any] | None) -> AskedModel | None:
    return models.of_name(job["model_name"]) if job else models.in_service()


async def _ask(plan: Plan, model: AskedModel, job: Mapping[str, Any] | None) -> tuple[AskedModel, dict[str, Result]]:
    """Return the model that answered about all products, and its results by product."""
    for _ in range(_MODELS_OF_A_RUN):
        inputs: dict[str, Input] = await asyncio.to_thread(inputs_of, plan, model.attributes)
        asked = set(inputs.values())
        outputs = await asyncio.to_thread(transform.outputs_of, job, asked) if job else Outputs()
        try:
            results = await Asking(plan.drop_id, model, outputs).all(asked)
        except ModelChangedError as error:
            changed = error
            if job:  # its answers stand: the endpoint, with another model, has no say in this plan any more
                model = replace(model, endpoint_config=None)
            else:
                model = await _next_model(model, error)
        else:
            return model, {product_id: results[asked] for product_id, asked in inputs.items()}
    raise changed


async def _next_model(asked: AskedModel, error: ModelChangedError) -> AskedModel:
    """Wait until an update under way has ended, well or not, and return the model that then serves.

    Raises:
        ModelChangedError: ``error``, when nothing is being updated and the endpoint still claims to serve ``asked``.
    """
    name, waited = get_settings().endpoint_name, False
    while (await asyncio.to_thread(registry.describe_endpoint, name) or {}).get("EndpointStatus") in _CHANGING:
        log.info("Endpoint %s is being updated: waiting for its end.", name)
        waited = True
        await asyncio.sleep(get_settings().poll_interval_s)
    model = await asyncio.to_thread(models.in_service)
    if model is None or (model == asked and not waited):
        raise error
    log.info("Model %s is in service now: asking it.", model.version)
    return model


def _commit(drop_id: str, results: Mapping[str, Result], model: AskedModel) -> None:
    rows = [
        {"drop_id": drop_id, "product_id": product_id, **row}
        for product_id, result in sorted(results.items())
        for row in _rows(result, model)
    ]
    of_products = And(tables.equals("drop_id", drop_id), tables.one_of("product_id", results))
    tables.replace(_TABLE, pa.Table.from_pylist(rows, schema=PREDICTED_ATTRIBUTES), of_products)


def _rows(result: Result, model: AskedModel) -> list[dict[str, Any]]:
    how = {
        "picture_sha256": result.picture_sha256,
        "model_version": result.model_version,
        "endpoint_config": None if result.transform_job else model.endpoint_config,
        "result_uri": result.uri,
        "latency_ms": result.latency_ms,
        "attempts": result.attempts,
        "transform_job": result.transform_job,
    }
    return [{**how, **_judged(answer, model)} for answer in result.answers]


def _judged(answer: Mapping[str, Any], model: AskedModel) -> dict[str, Any]:
    """Return an answer with the threshold it was held against; below it, it has no value.

    The container has abstained by the same thresholds, unless it is older than they are.
    """
    threshold = model.thresholds.get(answer["attribute"], 0.0)
    sure = threshold is not None and answer["probability"] >= threshold
    abstained = answer.get("abstained", False) or (answer["value"] is not None and not sure)
    value = None if abstained else answer["value"]
    text = answer.get("text") or answer["value"]
    return {**answer, "text": text, "value": value, "abstained": abstained, "threshold": threshold}


def _summary(
    plan: Plan, results: Mapping[str, Result], model: AskedModel, job: Mapping[str, Any] | None
) -> Predictions:
    numbers = Counter(str(result.status) for result in results.values())
    records.reads("model_package", get_settings().model_package_group, model.package_arn)
    if model.endpoint_config:
        records.reads("endpoint_config", get_settings().endpoint_name, model.endpoint_config)
    if job:
        records.reads("transform_job", job["job_name"], job["job_arn"])
    records.counts(**numbers)
    log.info("Drop %s, model %s: %s of %d products", plan.drop_id, model.version, dict(numbers), len(plan.products))
    return Predictions(
        plan.drop_id,
        model.version,
        model.endpoint_config,
        len(plan.products),
        answered=numbers["answered"],
        refused=numbers["refused"],
        unanswered=numbers["unanswered"],
        transform_job=job["job_name"] if job else None,
    )
