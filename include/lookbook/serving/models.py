"""The model that a run asks, whether it sits behind the endpoint or is loaded by a transform job."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from lookbook import storage
from lookbook.aws import client
from lookbook.errors import PermanentError
from lookbook.training import evaluation, registry
from lookbook.training.registry import Champion
from lookbook.vqa import datasets

log = logging.getLogger(__name__)

THRESHOLDS_VARIABLE = "LOOKBOOK_THRESHOLDS"


@dataclass(frozen=True)
class AskedModel:
    """A version of the attribute model, what it was taught, and how sure it must be.

    ``endpoint_config`` is ``None`` when no endpoint serves it. ``thresholds`` are by attribute; ``None`` as a threshold
    means that no answer about the attribute is sure enough, an attribute without one that any is.
    """

    version: str
    package_arn: str
    model_name: str
    attributes: tuple[str, ...]
    endpoint_config: str | None = None
    thresholds: Mapping[str, float | None] = field(default_factory=dict)


def in_service() -> AskedModel | None:
    """Return the model that the endpoint serves, or ``None`` where nothing serves."""
    champion = registry.champion()
    return None if champion is None else _of_champion(champion)


def _of_champion(champion: Champion) -> AskedModel:
    return AskedModel(
        champion.version,
        champion.package_arn,
        champion.model_name,
        taught(champion.dataset_id),
        champion.endpoint_config,
        thresholds(champion.model_name, champion.report_uri),
    )


def taught(dataset_id: str) -> tuple[str, ...]:
    """Return the attributes that a data set teaches."""
    return tuple(storage.read_json(f"{datasets.dataset_uri(dataset_id)}dataset.json")["attributes"])


def thresholds(model_name: str, report_uri: str | None) -> Mapping[str, float | None]:
    """Return how sure a model must be, by attribute.

    They are those that its container abstains by; for a model that was deployed before containers did, those of its
    evaluation, which are the same numbers.

    Raises:
        PermanentError: the model's environment holds something else.
    """
    model = client("sagemaker").describe_model(ModelName=model_name)
    stated = model["PrimaryContainer"].get("Environment", {}).get(THRESHOLDS_VARIABLE)
    if stated is None:
        return evaluation.thresholds(report_uri) if report_uri else {}
    try:
        return {attribute: None if one is None else float(one) for attribute, one in orjson.loads(stated).items()}
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
        raise PermanentError(
            f"Model {model_name} has {THRESHOLDS_VARIABLE}={stated!r}, expected an object of numbers. Deploy it anew."
        ) from error
