"""The requests that put a model package in service: model, endpoint config, endpoint.

Names hold a hash of all that they stand for, so that making a request twice finds the first one's resource.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from lookbook.settings import Settings, get_settings
from lookbook.training import registry

_VARIANT = "AllTraffic"
_NAME_LIMIT = 63
_HASH_LENGTH = 8
# A model of some gigabytes is downloaded and loaded in minutes; SageMaker gives up after these.
_DOWNLOAD_TIMEOUT_S = 1200
_STARTUP_TIMEOUT_S = 600


def serving_requests(package_arn: str) -> dict[str, dict[str, Any]]:
    """Return the requests for a package: ``model``, ``endpoint_config`` and ``endpoint``.

    Args:
        package_arn: a version of the model package group.
    """
    settings = get_settings()
    model = model_request(package_arn, settings)
    config = endpoint_config_request(model["ModelName"], registry.version_of(package_arn), settings)
    endpoint = {"EndpointName": settings.endpoint_name, "EndpointConfigName": config["EndpointConfigName"]}
    return {"model": model, "endpoint_config": config, "endpoint": endpoint}


def model_request(package_arn: str, settings: Settings) -> dict[str, Any]:
    """Return the CreateModel request; the container learns its version and its package from the environment."""
    version = registry.version_of(package_arn)
    packaged = registry.describe(package_arn)["InferenceSpecification"]["Containers"][0]
    container = {
        "Image": packaged["Image"],
        "ModelDataUrl": packaged["ModelDataUrl"],
        "Environment": {registry.VERSION_VARIABLE: version, registry.PACKAGE_VARIABLE: package_arn},
    }
    return {
        "ModelName": _name(settings, version, container),
        "PrimaryContainer": container,
        "ExecutionRoleArn": settings.execution_role_arn,
        "Tags": _TAGS,
    }


def endpoint_config_request(model_name: str, version: str, settings: Settings) -> dict[str, Any]:
    """Return the CreateEndpointConfig request: all traffic to one instance of the model."""
    variant = {
        "VariantName": _VARIANT,
        "ModelName": model_name,
        "InstanceType": settings.endpoint_instance_type,
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 1.0,
        "ModelDataDownloadTimeoutInSeconds": _DOWNLOAD_TIMEOUT_S,
        "ContainerStartupHealthCheckTimeoutInSeconds": _STARTUP_TIMEOUT_S,
    }
    return {"EndpointConfigName": _name(settings, version, variant), "ProductionVariants": [variant], "Tags": _TAGS}


_TAGS = [{"Key": "project", "Value": "lookbook"}]


def _name(settings: Settings, version: str, content: dict[str, Any]) -> str:
    digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:_HASH_LENGTH]
    suffix = f"-{version}-{digest}"
    return settings.model_package_group[: _NAME_LIMIT - len(suffix)] + suffix
