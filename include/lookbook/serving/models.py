"""The model that a run asks, whether it sits behind the endpoint or is loaded by a transform job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from lookbook import storage
from lookbook.aws import client
from lookbook.errors import PermanentError
from lookbook.serving.requests import THRESHOLDS_VARIABLE
from lookbook.training import evaluation, registry
from lookbook.vqa import datasets


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
    return None if champion is None else _asked(champion.model_name, champion.endpoint_config)


def of_name(model_name: str) -> AskedModel:
    """Return the model of that name, which need not be in service, as a transform job asked it.

    Raises:
        PermanentError: it is not one that Lookbook made.
    """
    serving = registry.in_service()
    serves = serving is not None and serving.model_name == model_name
    return _asked(model_name, serving.endpoint_config if serving and serves else None)


def champion_package() -> str | None:
    """Return the ARN of the champion's package: what the endpoint serves, else what was approved last."""
    if champion := registry.champion():
        return champion.package_arn
    approved = [one.package_arn for one in registry.served() if one.approved]
    return approved[0] if approved else None


def taught(dataset_id: str) -> tuple[str, ...]:
    """Return the attributes that a data set teaches."""
    return tuple(storage.read_json(f"{datasets.dataset_uri(dataset_id)}dataset.json")["attributes"])


def _asked(model_name: str, endpoint_config: str | None) -> AskedModel:
    container = client("sagemaker").describe_model(ModelName=model_name)["PrimaryContainer"]
    environment = container.get("Environment", {})
    if (package_arn := environment.get(registry.PACKAGE_VARIABLE)) is None:
        raise PermanentError(
            f"Model {model_name} names no package in {registry.PACKAGE_VARIABLE}: it is not Lookbook's."
        )
    metadata = registry.describe(package_arn)["CustomerMetadataProperties"]
    return AskedModel(
        registry.version_of(package_arn),
        package_arn,
        model_name,
        taught(metadata["dataset_id"]),
        endpoint_config,
        _thresholds(model_name, environment, metadata.get("evaluation_report")),
    )


def _thresholds(name: str, environment: Mapping[str, str], report_uri: str | None) -> Mapping[str, float | None]:
    """Return how sure a model must be, by attribute.

    They are those that its container abstains by; for a model that was deployed before containers did, those of its
    evaluation, which are the same numbers.
    """
    stated = environment.get(THRESHOLDS_VARIABLE)
    if stated is None:
        return evaluation.thresholds(report_uri) if report_uri else {}
    try:
        return {attribute: None if one is None else float(one) for attribute, one in orjson.loads(stated).items()}
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
        raise PermanentError(
            f"Model {name} has {THRESHOLDS_VARIABLE}={stated!r}, expected an object of numbers. Deploy it anew."
        ) from error
