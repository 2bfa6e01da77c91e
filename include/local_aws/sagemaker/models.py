"""Models and endpoint configs: what is written down and looked up; endpoints.py makes processes of them."""

from __future__ import annotations

import time
from collections.abc import Mapping

from local_aws.errors import unsupported, validation
from local_aws.images import Image
from local_aws.objects import Objects
from local_aws.sagemaker import names
from local_aws.sagemaker.listing import Listing
from local_aws.sagemaker.tags import Tags
from local_aws.state import Document, Store

_MODELS = Listing("Models", "ModelName", descending=True)
_CONFIGS = Listing("EndpointConfigs", "EndpointConfigName", descending=True)


class Models:
    """The model operations; each takes and returns what its AWS namesake does."""

    def __init__(self, store: Store, objects: Objects, images: Mapping[str, Image], tags: Tags) -> None:
        self._store, self._objects, self._images, self._tags = store, objects, images, tags

    def create(self, request: Document) -> Document:
        """Write a model down, once its image and its artefact are known to be there."""
        self._check(self.container(request))
        name = request["ModelName"]
        arn = names.arn(names.MODEL, name)
        with self._store.transaction():
            if self._store.get(names.MODEL, name):
                raise names.already_existing(names.MODEL, name)
            self._store.put(names.MODEL, name, {**request, "ModelArn": arn, "CreationTime": time.time()})
            self._tags.set(arn, request.get("Tags", []))
        return {"ModelArn": arn}

    def describe(self, request: Document) -> Document:
        """Return a model."""
        return names.find(self._store, names.MODEL, request["ModelName"])

    def list(self, request: Document) -> Document:
        """Return a page of models."""
        return _MODELS.answer(self._store.all(names.MODEL), request)

    def delete(self, request: Document) -> Document:
        """Forget a model; endpoints that serve it go on."""
        arn = self.describe(request)["ModelArn"]
        self._store.delete(names.MODEL, request["ModelName"])
        self._tags.forget(arn)
        return {}

    def container(self, model: Document) -> Document:
        """Return the model's one container, with image and artefact of its model package where it names one."""
        containers = model.get("Containers") or [model.get("PrimaryContainer", {})]
        if len(containers) != 1:
            raise unsupported("A model of several containers")
        container: Document = containers[0]
        if "ModelPackageName" not in container:
            return container
        package = self._package(container["ModelPackageName"])
        return {**package["InferenceSpecification"]["Containers"][0], **container}

    def _package(self, name: str) -> Document:
        package = self._store.get(names.PACKAGE, names.bare(name))
        if package is None or "InferenceSpecification" not in package:
            raise validation(f"Could not find model package {name} with an inference specification.")
        return package

    def _check(self, container: Document) -> None:
        image, data = container.get("Image"), container.get("ModelDataUrl")
        if image not in self._images:
            known = ", ".join(sorted(self._images))
            raise validation(f"Cannot find image: {image}. The image file of local AWS has: {known}.")
        if "ModelDataSource" in container:
            raise unsupported("ModelDataSource (give ModelDataUrl)")
        if data and not (data.startswith("s3://") and self._objects.exists(data)):
            raise validation(f"Could not find model data at {data}.")


class EndpointConfigs:
    """The endpoint config operations; each takes and returns what its AWS namesake does."""

    def __init__(self, store: Store, tags: Tags) -> None:
        self._store, self._tags = store, tags

    def create(self, request: Document) -> Document:
        """Write a config down, once its models are known to be there."""
        if "ExplainerConfig" in request:
            raise unsupported("ExplainerConfig of an endpoint config")
        _check_asynchronous(request)
        shadows = request.get("ShadowProductionVariants", [])
        if shadows and (len(shadows), len(request["ProductionVariants"])) != (1, 1):
            raise validation("An endpoint config with a shadow variant has one production and one shadow variant.")
        variants = [*request["ProductionVariants"], *shadows]
        for variant in variants:
            self._check_variant(variant)
        if len({variant["VariantName"] for variant in variants}) < len(variants):
            raise validation("The names of an endpoint config's variants must differ.")
        return self._write(request)

    def describe(self, request: Document) -> Document:
        """Return a config."""
        return names.find(self._store, names.ENDPOINT_CONFIG, request["EndpointConfigName"])

    def list(self, request: Document) -> Document:
        """Return a page of configs."""
        return _CONFIGS.answer(self._store.all(names.ENDPOINT_CONFIG), request)

    def delete(self, request: Document) -> Document:
        """Forget a config; endpoints that were made with it go on."""
        arn = self.describe(request)["EndpointConfigArn"]
        self._store.delete(names.ENDPOINT_CONFIG, request["EndpointConfigName"])
        self._tags.forget(arn)
        return {}

    def _check_variant(self, variant: Document) -> None:
        if "ServerlessConfig" in variant:
            raise unsupported(f"Variant {variant['VariantName']}: ServerlessConfig")
        if "ModelName" not in variant:
            raise unsupported(f"Variant {variant['VariantName']}: a variant without ModelName")
        names.find(self._store, names.MODEL, variant["ModelName"])

    def _write(self, request: Document) -> Document:
        name = request["EndpointConfigName"]
        arn = names.arn(names.ENDPOINT_CONFIG, name)
        with self._store.transaction():
            if self._store.get(names.ENDPOINT_CONFIG, name):
                raise names.already_existing(names.ENDPOINT_CONFIG, name)
            document = {**request, "EndpointConfigArn": arn, "CreationTime": time.time()}
            self._store.put(names.ENDPOINT_CONFIG, name, document)
            self._tags.set(arn, request.get("Tags", []))
        return {"EndpointConfigArn": arn}


def _check_asynchronous(request: Document) -> None:
    output = request.get("AsyncInferenceConfig", {}).get("OutputConfig")
    if output is None:
        return
    if "S3OutputPath" not in output:
        raise validation("AsyncInferenceConfig.OutputConfig needs an S3OutputPath.")
    if output.get("NotificationConfig"):
        raise unsupported("AsyncInferenceConfig.OutputConfig.NotificationConfig")
