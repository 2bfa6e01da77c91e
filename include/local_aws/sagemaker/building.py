"""Serving containers made from models: command, variables, artefact; endpoints and transform jobs run them alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_aws.images import Image
from local_aws.objects import Objects
from local_aws.sagemaker import container
from local_aws.sagemaker.fleet import Fleet
from local_aws.sagemaker.models import Models
from local_aws.sagemaker.replica import Replica, new_id
from local_aws.settings import Settings
from local_aws.state import Document


@dataclass(frozen=True)
class Builder:
    """Makes replicas of models."""

    models: Models
    images: Mapping[str, Image]
    objects: Objects
    settings: Settings

    def replica(
        self, model: Document, directory: Path, *, environment: Mapping[str, str] | None = None, **fields: Any
    ) -> Replica:
        """Return a replica that serves a model from ``directory``, not yet started.

        Args:
            model: the model's record.
            directory: of its own.
            environment: variables beside the model's.
            fields: the replica's others.
        """
        described = self.models.container(model)
        image = self.images[described["Image"]]
        variables = container.serving_environment(image, described, directory, self.settings.url)
        return Replica(
            directory=directory,
            argv=[*image.command, "serve"],
            env={**variables, **(environment or {})},
            cwd=str(image.cwd),
            **{"start_timeout": self.settings.endpoint_start_timeout, **fields},
        )

    def fleet(self, endpoint: str, config: Document) -> Fleet:
        """Return the fleet of an endpoint config whose variants have their models written in, not yet started."""
        identity = new_id()
        directory = self.settings.state / "endpoints" / endpoint / identity
        fleet = Fleet(
            identity, endpoint, config["EndpointConfigName"], directory, capture=config.get("DataCaptureConfig")
        )
        fleet.asynchronous = config.get("AsyncInferenceConfig")
        fleet.replicas = [
            self.instance(fleet, variant, number, shadow=shadow)
            for variant, shadow in variants(config)
            for number in range(1, variant.get("InitialInstanceCount", 1) + 1)
        ]
        return fleet

    def instance(self, fleet: Fleet, variant: Document, number: int, *, shadow: bool = False) -> Replica:
        """Return one instance of a variant, not yet started."""
        timeout = "ContainerStartupHealthCheckTimeoutInSeconds"
        fields = {"start_timeout": variant[timeout]} if timeout in variant else {}
        return self.replica(
            variant["_model"],
            fleet.directory / variant["VariantName"] / str(number),
            name=variant["VariantName"],
            weight=variant.get("InitialVariantWeight", 1.0),
            number=number,
            shadow=shadow,
            **fields,
        )

    def prepare(self, replica: Replica, model: Document) -> None:
        """Make a replica's directories and bring its model's artefact.

        Raises:
            ObjectsError: the artefact is missing or can't be unpacked.
        """
        (replica.directory / "tmp").mkdir(parents=True)
        data = self.models.container(model).get("ModelDataUrl")
        if data:
            self.objects.unpack(data, replica.directory / "model")


def variants(config: Document) -> list[tuple[Document, bool]]:
    """Return a config's variants, each with whether it is a shadow."""
    production = [(variant, False) for variant in config["ProductionVariants"]]
    return [*production, *((variant, True) for variant in config.get("ShadowProductionVariants", []))]
