"""A challenger beside the champion: it gets copies of the endpoint's requests, and its answers reach nobody.

SageMaker calls the second variant of such an endpoint config a shadow. What both variants answer is captured to S3 and
compared there (:mod:`lookbook.serving.shadow_report`); everything of a run lies under ``serving/shadow/<run>/``:

serving/shadow/<run>/captured/…     what both answered, as SageMaker writes it
serving/shadow/<run>/replay.json    which requests the run itself sent
serving/shadow/<run>/report.json    the comparison, and the same as a page: report.html
"""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass
from typing import Any

from lookbook.aws import client
from lookbook.errors import PermanentError
from lookbook.lineage import records
from lookbook.serving.requests import TAGS, model_request, name_of, variant_request
from lookbook.settings import get_settings
from lookbook.storage import key_part
from lookbook.training import registry
from lookbook.training.registry import Champion

log = logging.getLogger(__name__)

VARIANT = "Challenger"
"""The variant that gets copies."""


@dataclass(frozen=True)
class Shadow:
    """Which challenger is to stand beside which champion, and how many of the requests it gets (0 < share <= 1).

    ``serving_config`` is what the endpoint serves now, ``config_alone`` what it is to serve afterwards: they differ
    only where an earlier run could not take its challenger off again.
    """

    root: str
    champion_arn: str
    champion_version: str
    serving_config: str
    config_alone: str
    challenger_arn: str
    challenger_version: str
    share: float

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values; ``Shadow(**reference)`` restores it."""
        return asdict(self)

    @property
    def captured_uri(self) -> str:
        """The prefix under which SageMaker writes what both variants answer, without a slash at its end."""
        return f"{self.root}/captured"


def root_of(run_key: str) -> str:
    """Return the prefix of everything of a run, without a slash at its end."""
    return f"s3://{get_settings().bucket}/serving/shadow/{key_part(run_key)}"


def choose(version: str | None, share: float, run_key: str) -> Shadow:
    """Choose the challenger that is to stand beside the model in service.

    Args:
        version: a registered model (``v3``), whatever was decided about it; ``None``: the newest nobody decided about.
        share: of the endpoint's requests, how many the challenger gets a copy of.
        run_key: names the run.

    Raises:
        PermanentError: no model serves, there is no such challenger, it serves already, or its artefact is gone.
        RetryableError: the model in service is being verified.
    """
    champion = registry.champion()
    if champion is None:
        raise PermanentError("No model is in service: there is nothing to compare a challenger with. Deploy one first.")
    challenger = _named(version, champion) if version else _newest(champion)
    if registry.is_expired(challenger):
        raise PermanentError(f"Model {registry.version_of(challenger)} has no artefact any more: housekeeping took it.")
    alone = registry.config_alone(champion)
    shadow = Shadow(
        root_of(run_key),
        champion.package_arn,
        champion.version,
        champion.endpoint_config,
        alone,
        challenger,
        registry.version_of(challenger),
        share,
    )
    records.reads("model_package", get_settings().model_package_group, champion.package_arn)
    records.reads("model_package", get_settings().model_package_group, challenger)
    records.details(champion=shadow.champion_version, challenger=shadow.challenger_version)
    log.info("Model %s is to stand beside %s.", shadow.challenger_version, shadow.champion_version)
    return shadow


def requests(shadow: Shadow) -> dict[str, dict[str, Any]]:
    """Return the requests that put the challenger beside the champion, and the one that takes it off again.

    ``model``, ``endpoint_config``, ``endpoint`` and ``way_back``. The champion's variant is the one that it serves with
    now. The update names no alarms and no steps: what answers afterwards is the same model as before.
    """
    settings = get_settings()
    model = model_request(shadow.challenger_arn, settings)
    described = client("sagemaker").describe_endpoint_config(EndpointConfigName=shadow.config_alone)
    records.reads("model_package", settings.model_package_group, shadow.challenger_arn)
    records.reads("endpoint_config", settings.endpoint_name, shadow.config_alone)
    (champion,) = described["ProductionVariants"]
    content = {
        "ProductionVariants": [champion],
        "ShadowProductionVariants": [_copies(shadow, champion, model["ModelName"])],
        "DataCaptureConfig": _capture(shadow),
    }
    name = name_of(settings, f"{shadow.champion_version}-shadowed-{shadow.challenger_version}", content)
    endpoint = {"EndpointName": settings.endpoint_name}
    return {
        "model": model,
        "endpoint_config": {"EndpointConfigName": name, **content, "Tags": TAGS},
        "endpoint": endpoint | {"EndpointConfigName": name},
        "way_back": endpoint | {"EndpointConfigName": shadow.config_alone},
    }


def is_on(endpoint_config: str) -> bool:
    """Return whether the endpoint still serves the config with the challenger; another deployment may have begun."""
    endpoint = registry.describe_endpoint(get_settings().endpoint_name)
    return endpoint is not None and endpoint["EndpointConfigName"] == endpoint_config


def _named(version: str, champion: Champion) -> str:
    wanted = f"v{version.removeprefix('v')}"
    package = registry.package_of(wanted)
    if package is None:
        raise PermanentError(f"There is no model {wanted} in {get_settings().model_package_group}.")
    if package == champion.package_arn:
        raise PermanentError(f"Model {wanted} is in service: it can't be its own challenger.")
    return package


def _newest(champion: Champion) -> str:
    waiting = [arn for arn in registry.awaiting() if arn != champion.package_arn]
    if not waiting:
        raise PermanentError(
            "No registered model waits for a decision. Name one in Version; or set LOOKBOOK_REQUIRE_APPROVAL, with "
            "which retrain_attribute_model registers a challenger and waits for you."
        )
    return waiting[0]


def _copies(shadow: Shadow, champion: dict[str, Any], model_name: str) -> dict[str, Any]:
    """Return the shadow's variant: the share that it gets is its weight against the champion's."""
    return variant_request(model_name, get_settings()) | {
        "VariantName": VARIANT,
        "InitialInstanceCount": math.ceil(champion["InitialInstanceCount"] * shadow.share),
        "InitialVariantWeight": champion["InitialVariantWeight"] * shadow.share,
    }


def _capture(shadow: Shadow) -> dict[str, Any]:
    """Return what is captured: answers alone, since they name the questions, and pictures are in the bucket already."""
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": shadow.captured_uri,
        "CaptureOptions": [{"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
    }
