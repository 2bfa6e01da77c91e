"""The requests that put a model package in service: model, endpoint config, endpoint.

Names hold a hash of all that they stand for, so that making a request twice finds the first one's resource.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from lookbook.errors import PermanentError
from lookbook.lineage import records
from lookbook.serving import traffic
from lookbook.serving.alarms import VARIANT
from lookbook.settings import Settings, get_settings
from lookbook.training import evaluation, registry

THRESHOLDS_VARIABLE = "LOOKBOOK_THRESHOLDS"
"""From which probability on the container answers: a JSON object of attribute and number, or null for never."""

TAGS = [{"Key": "project", "Value": "lookbook"}]
"""What everything that Lookbook makes carries, so that housekeeping knows its own."""

_VALUE_LIMIT = 1024  # of a variable in a model's environment
_NAME_LIMIT = 63
_HASH_LENGTH = 8
# A model of some gigabytes is downloaded and loaded in minutes; SageMaker gives up after these.
_DOWNLOAD_TIMEOUT_S = 1200
_STARTUP_TIMEOUT_S = 600


def serving_requests(package_arn: str, *, at_once: bool = False) -> dict[str, dict[str, Any]]:
    """Return the requests for a package: ``model``, ``endpoint_config``, ``endpoint`` and the ``way_back``.

    ``way_back`` is the request that undoes the update: the endpoint with the config it has now. Its config is ``None``
    where nothing that was verified serves now: the endpoint is then to be taken down.

    Args:
        package_arn: a version of the model package group.
        at_once: update without steps, waits and alarms, for a rollback: what serves now may be what makes them ring.
    """
    settings = get_settings()
    records.reads("model_package", settings.model_package_group, package_arn)
    model = model_request(package_arn, settings)
    config = endpoint_config_request(model["ModelName"], registry.version_of(package_arn), settings)
    endpoint = {"EndpointName": settings.endpoint_name, "EndpointConfigName": config["EndpointConfigName"]}
    return {
        "model": model,
        "endpoint_config": config,
        "endpoint": endpoint if at_once else endpoint | {"DeploymentConfig": traffic.deployment_config(settings)},
        "way_back": endpoint | {"EndpointConfigName": _config_before(config["EndpointConfigName"], package_arn)},
    }


def model_request(package_arn: str, settings: Settings) -> dict[str, Any]:
    """Return the CreateModel request; the container learns version, package and thresholds from the environment."""
    version, package = registry.version_of(package_arn), registry.describe(package_arn)
    packaged = package["InferenceSpecification"]["Containers"][0]
    known = {registry.VERSION_VARIABLE: version, registry.PACKAGE_VARIABLE: package_arn}
    container = {
        "Image": packaged["Image"],
        "ModelDataUrl": packaged["ModelDataUrl"],
        "Environment": known | _thresholds(package.get("CustomerMetadataProperties", {}).get("evaluation_report")),
    }
    return {
        "ModelName": name_of(settings, version, container),
        "PrimaryContainer": container,
        "ExecutionRoleArn": settings.execution_role_arn,
        "Tags": TAGS,
    }


def endpoint_config_request(model_name: str, version: str, settings: Settings) -> dict[str, Any]:
    """Return the CreateEndpointConfig request: all traffic to one variant, the model."""
    variant = variant_request(model_name, settings)
    return {"EndpointConfigName": name_of(settings, version, variant), "ProductionVariants": [variant], "Tags": TAGS}


def variant_request(model_name: str, settings: Settings) -> dict[str, Any]:
    """Return the variant of an endpoint config that has all traffic."""
    return {
        "VariantName": VARIANT,
        "ModelName": model_name,
        "InstanceType": settings.endpoint_instance_type,
        "InitialInstanceCount": settings.endpoint_instances,
        "InitialVariantWeight": 1.0,
        "ModelDataDownloadTimeoutInSeconds": _DOWNLOAD_TIMEOUT_S,
        "ContainerStartupHealthCheckTimeoutInSeconds": _STARTUP_TIMEOUT_S,
    }


def name_of(settings: Settings, version: str, content: dict[str, Any]) -> str:
    """Return the name of a model or an endpoint config: a function of version and content."""
    digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:_HASH_LENGTH]
    suffix = f"-{version}-{digest}"
    return settings.model_package_group[: _NAME_LIMIT - len(suffix)] + suffix


def _thresholds(report_uri: str | None) -> dict[str, str]:
    """Return the variable that tells the container how sure it must be; none for a package without an evaluation."""
    if report_uri is None:
        return {}
    text = orjson.dumps(dict(evaluation.thresholds(report_uri)), option=orjson.OPT_SORT_KEYS).decode()
    if len(text) > _VALUE_LIMIT:
        raise PermanentError(
            f"{THRESHOLDS_VARIABLE} from {report_uri} has {len(text)} characters; a model's variable holds "
            f"{_VALUE_LIMIT}. Train fewer attributes."
        )
    return {THRESHOLDS_VARIABLE: text}


def _config_before(config: str, package_arn: str) -> str | None:
    """Return the endpoint config to go back to if the deployment of this config of the package fails.

    It is the one in service, without a challenger beside it; if that is this one, or of a model that is not approved,
    that of the champion before it.
    """
    serving = registry.in_service()
    if serving is None:
        return None
    if serving.approved and (alone := registry.config_alone(serving)) != config:
        return alone
    others = [one for one in registry.served() if one.approved and one.package_arn != package_arn]
    return others[0].endpoint_config if others else None
