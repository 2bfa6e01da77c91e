"""CreateEndpoint, DescribeEndpoint, ListEndpoints, UpdateEndpoint and DeleteEndpoint."""

from __future__ import annotations

import time

from local_aws.errors import unsupported, validation
from local_aws.sagemaker import names
from local_aws.sagemaker.hosting import Hosting
from local_aws.sagemaker.listing import Listing
from local_aws.sagemaker.models import Models
from local_aws.sagemaker.tags import Tags
from local_aws.state import Document, Store

_LISTING = Listing("Endpoints", "EndpointName", "EndpointStatus", descending=True)


class Endpoints:
    """The endpoint operations; each takes and returns what its AWS namesake does."""

    def __init__(self, store: Store, hosting: Hosting, models: Models, tags: Tags) -> None:
        self._store, self._hosting, self._models, self._tags = store, hosting, models, tags

    def create(self, request: Document) -> Document:
        """Write an endpoint down and begin to deploy it."""
        _check_deployment(request)
        name, arn, now = request["EndpointName"], names.arn(names.ENDPOINT, request["EndpointName"]), time.time()
        with self._store.transaction():
            if self._store.get(names.ENDPOINT, name):
                raise names.already_existing(names.ENDPOINT, name)
            target = self._target(request["EndpointConfigName"])
            status = {"EndpointStatus": "Creating", "CreationTime": now, "LastModifiedTime": now}
            endpoint = {**request, **status, "EndpointArn": arn, "_target": target}
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
        _check_deployment(request)
        with self._store.transaction():
            endpoint = self.describe(request)
            name, arn, status = endpoint["EndpointName"], endpoint["EndpointArn"], endpoint["EndpointStatus"]
            if status == "Failed":
                raise validation(f'Cannot update endpoint "{arn}" with status Failed. Delete it and create it anew.')
            if status != "InService":
                raise validation(f'Cannot update in-progress endpoint "{arn}".')
            target, now = self._target(request["EndpointConfigName"]), time.time()
            pending = {**target, "ProductionVariants": target["_summaries"], "StartTime": now}
            fields = {"EndpointStatus": "Updating", "PendingDeploymentSummary": pending, "LastModifiedTime": now}
            self._store.update(names.ENDPOINT, name, _target=target, **fields)
        self._hosting.deploy(name)
        return {"EndpointArn": arn}

    def delete(self, request: Document) -> Document:
        """Begin to take an endpoint down."""
        name = self.describe(request)["EndpointName"]
        fields = {"EndpointStatus": "Deleting", "LastModifiedTime": time.time()}
        arn = self._store.update(names.ENDPOINT, name, **fields)["EndpointArn"]
        self._tags.forget(arn)
        self._hosting.remove(name)
        return {}

    def _target(self, config_name: str) -> Document:
        """Return the config with its models written in: both may be deleted while the endpoint lives."""
        config = names.find(self._store, names.ENDPOINT_CONFIG, config_name)
        variants = [
            {**variant, "_model": names.find(self._store, names.MODEL, variant["ModelName"])}
            for variant in config["ProductionVariants"]
        ]
        return {
            "EndpointConfigName": config_name,
            "ProductionVariants": variants,
            "_summaries": [self._summary(variant) for variant in variants],
        }

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


def _check_deployment(request: Document) -> None:
    policy = request.get("DeploymentConfig", {})
    if "RollingUpdatePolicy" in policy:
        raise unsupported("DeploymentConfig.RollingUpdatePolicy")
    routing = policy.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
    if routing.get("Type", "ALL_AT_ONCE") != "ALL_AT_ONCE":
        raise unsupported(f"Traffic routing {routing['Type']}")
