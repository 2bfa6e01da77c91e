"""The operations on endpoints, from CreateEndpoint to DeleteEndpoint."""

from __future__ import annotations

import time
from typing import Any

from local_aws.errors import unsupported, validation
from local_aws.sagemaker import names
from local_aws.sagemaker.hosting import Hosting
from local_aws.sagemaker.listing import Listing
from local_aws.sagemaker.models import Models
from local_aws.sagemaker.tags import Tags
from local_aws.sagemaker.traffic import Policy
from local_aws.state import Document, Store

_LISTING = Listing("Endpoints", "EndpointName", "EndpointStatus", descending=True)


class Endpoints:
    """The endpoint operations; each takes and returns what its AWS namesake does."""

    def __init__(self, store: Store, hosting: Hosting, models: Models, cloudwatch: Any, tags: Tags) -> None:
        self._store, self._hosting, self._models = store, hosting, models
        self._cloudwatch, self._tags = cloudwatch, tags

    def create(self, request: Document) -> Document:
        """Write an endpoint down and begin to deploy it."""
        name, arn, now = request["EndpointName"], names.arn(names.ENDPOINT, request["EndpointName"]), time.time()
        with self._store.transaction():
            if self._store.get(names.ENDPOINT, name):
                raise names.already_existing(names.ENDPOINT, name)
            target = self._target(request["EndpointConfigName"])
            status = {"EndpointStatus": "Creating", "CreationTime": now, "LastModifiedTime": now}
            deployment = self._deployment(request, target)
            endpoint = {**request, **status, "EndpointArn": arn, "_target": target, **deployment}
            self._store.put(names.ENDPOINT, name, endpoint)
            self._tags.set(arn, request.get("Tags", []))
        self._hosting.deploy(name)
        return {"EndpointArn": arn}

    def describe(self, request: Document) -> Document:
        """Return an endpoint."""
        return names.find(self._store, names.ENDPOINT, request["EndpointName"])

    def list(self, request: Document) -> Document:
        """Return a page of endpoints."""
        return _LISTING.answer(self._store.all(names.ENDPOINT), request)

    def update(self, request: Document) -> Document:
        """Begin to move an endpoint to another config; it serves with the old one until the new one answers."""
        if request.get("RetainAllVariantProperties"):
            raise unsupported("RetainAllVariantProperties")
        with self._store.transaction():
            endpoint = self._updatable(request)
            target, now = self._target(request["EndpointConfigName"]), time.time()
            if request.get("RetainDeploymentConfig"):
                request = {**request, "DeploymentConfig": endpoint.get("LastDeploymentConfig", {})}
            described = {"EndpointConfigName": target["EndpointConfigName"], **target["_described"]}
            fields = {
                "EndpointStatus": "Updating",
                "PendingDeploymentSummary": {**described, "StartTime": now},
                "LastModifiedTime": now,
                "_deployment": None,
                **self._deployment(request, target),
            }
            self._store.update(names.ENDPOINT, endpoint["EndpointName"], _target=target, **fields)
        self._hosting.deploy(endpoint["EndpointName"])
        return {"EndpointArn": endpoint["EndpointArn"]}

    def scale(self, request: Document) -> Document:
        """Begin to give an endpoint's variants other weights and instance counts."""
        with self._store.transaction():
            endpoint = self._updatable(request)
            # Requests to an asynchronous endpoint can wait while it has no instance.
            least = 0 if "AsyncInferenceConfig" in endpoint else 1
            asked = {wanted["VariantName"]: wanted for wanted in request["DesiredWeightsAndCapacities"]}
            variants = [
                _scaled(variant, asked.pop(variant["VariantName"], {}), least)
                for variant in endpoint["ProductionVariants"]
            ]
            if asked:
                raise validation(f"The endpoint has no variant {', '.join(asked)}.")
            desired = [
                {**variant, "CurrentWeight": old["CurrentWeight"], "CurrentInstanceCount": old["CurrentInstanceCount"]}
                for variant, old in zip(variants, endpoint["ProductionVariants"], strict=True)
            ]
            fields = {"EndpointStatus": "Updating", "LastModifiedTime": time.time(), "ProductionVariants": desired}
            self._store.update(names.ENDPOINT, endpoint["EndpointName"], _scale=variants, **fields)
        self._hosting.scale(endpoint["EndpointName"])
        return {"EndpointArn": endpoint["EndpointArn"]}

    def delete(self, request: Document) -> Document:
        """Begin to take an endpoint down."""
        name = self.describe(request)["EndpointName"]
        fields = {"EndpointStatus": "Deleting", "LastModifiedTime": time.time()}
        arn = self._store.update(names.ENDPOINT, name, **fields)["EndpointArn"]
        self._tags.forget(arn)
        self._hosting.remove(name)
        return {}

    def _updatable(self, request: Document) -> Document:
        endpoint = self.describe(request)
        arn, status = endpoint["EndpointArn"], endpoint["EndpointStatus"]
        if status == "Failed":
            raise validation(f'Cannot update endpoint "{arn}" with status Failed. Delete it and create it anew.')
        if status != "InService":
            raise validation(f'Cannot update in-progress endpoint "{arn}".')
        return endpoint

    def _deployment(self, request: Document, target: Document) -> Document:
        """Return the fields that keep a request's ``DeploymentConfig``, once it is known that it can be obeyed."""
        config = request.get("DeploymentConfig")
        if not config:
            return {}
        instances = sum(variant.get("InitialInstanceCount", 1) for variant in target["ProductionVariants"])
        wanted = Policy.read(config, instances).alarms
        if wanted:
            found = self._cloudwatch.describe_alarms(AlarmNames=list(wanted))
            there = [alarm["AlarmName"] for alarm in [*found["MetricAlarms"], *found["CompositeAlarms"]]]
            if missing := [name for name in wanted if name not in there]:
                raise validation(
                    f"Could not find CloudWatch alarms of AutoRollbackConfiguration: {', '.join(missing)}."
                )
        return {"LastDeploymentConfig": config, "_deployment": config}

    def _target(self, config_name: str) -> Document:
        """Return the config with its models written in: both may be deleted while the endpoint lives."""
        config = names.find(self._store, names.ENDPOINT_CONFIG, config_name)
        kinds = [kind for kind in ("ProductionVariants", "ShadowProductionVariants") if config.get(kind)]
        variants = {kind: [self._with_model(variant) for variant in config[kind]] for kind in kinds}
        described: Document = {kind: [self._summary(variant) for variant in variants[kind]] for kind in kinds}
        capture = config.get("DataCaptureConfig")
        if capture:
            described["DataCaptureConfig"] = _capture_summary(capture)
        asynchronous = config.get("AsyncInferenceConfig")
        if asynchronous:
            described["AsyncInferenceConfig"] = asynchronous
        own = {"DataCaptureConfig": capture, "AsyncInferenceConfig": asynchronous, "_described": described}
        return {"EndpointConfigName": config_name, **own, **variants}

    def _with_model(self, variant: Document) -> Document:
        return {**variant, "_model": names.find(self._store, names.MODEL, variant["ModelName"])}

    def _summary(self, variant: Document) -> Document:
        image = self._models.container(variant["_model"])["Image"]
        count, weight = variant.get("InitialInstanceCount", 1), variant.get("InitialVariantWeight", 1.0)
        deployed = {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": time.time()}
        return {
            "VariantName": variant["VariantName"],
            "DeployedImages": [deployed],
            "CurrentWeight": weight,
            "DesiredWeight": weight,
            "CurrentInstanceCount": count,
            "DesiredInstanceCount": count,
        }


def _scaled(variant: Document, wanted: Document, least: int) -> Document:
    """Return a variant's description with the weight and the instance count that are wanted."""
    if "ServerlessUpdateConfig" in wanted:
        raise unsupported("ServerlessUpdateConfig")
    count: int = {**variant, **wanted}["DesiredInstanceCount"]
    if count < least:
        raise validation(f"DesiredInstanceCount of variant {variant['VariantName']} must be at least {least}.")
    weight: float = {**variant, **wanted}["DesiredWeight"]
    counts = {"CurrentInstanceCount": count, "DesiredInstanceCount": count}
    return {**variant, **counts, "CurrentWeight": weight, "DesiredWeight": weight}


def _capture_summary(config: Document) -> Document:
    enabled = config.get("EnableCapture", True)
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }
