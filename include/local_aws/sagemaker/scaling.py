"""UpdateEndpointWeightsAndCapacities carried out: instances added and taken away, weights set, while requests come."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass

from local_aws.sagemaker import fleet as fleets
from local_aws.sagemaker import names
from local_aws.sagemaker.deployment import NO_START, Deployer, DeploymentError, Interrupted
from local_aws.sagemaker.fleet import Fleet
from local_aws.sagemaker.replica import Replica
from local_aws.state import Document

_DONE: Document = {"_scale": None, "_growing": None}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scaler:
    """Scales endpoints with what deploys them."""

    deployer: Deployer

    def scale(self, name: str) -> None:
        """Bring an endpoint's variants to what its record asks for, or leave them as they are and say why."""
        endpoint, route = self.deployer.store.get(names.ENDPOINT, name), self.deployer.routes.get(name)
        if endpoint is None or route is None:
            return
        self._end([Replica.from_document(replica) for replica in endpoint.get("_growing", [])])
        try:
            self._grow(route.serving, endpoint)
        except Interrupted:
            return
        except (DeploymentError, *NO_START) as error:
            self._fail(name, endpoint, str(error))
            return
        surplus = self._shrink(route.serving, endpoint["_scale"])
        described = {"ProductionVariants": endpoint["_scale"]}
        self.deployer.settle(name, **described, **_DONE, _fleet=route.serving.document())
        self.deployer.drain(surplus, self.deployer.settings.endpoint_drain)
        self._end(surplus)

    def _grow(self, fleet: Fleet, endpoint: Document) -> None:
        variants = {variant["VariantName"]: variant for variant in endpoint["_variants"]}
        new: list[Replica] = []
        try:
            for wanted in endpoint["_scale"]:
                variant = variants[wanted["VariantName"]]
                for number in _missing(fleet, wanted):
                    new.append(self.deployer.builder.instance(fleet, variant, number))
                    self.deployer.builder.prepare(new[-1], variant["_model"])
                    new[-1].start()
            # So that the next gateway knows them, should this one be killed now.
            growing = [replica.document() for replica in new]
            self.deployer.store.update(names.ENDPOINT, fleet.endpoint, _growing=growing)
            for replica in new:
                self.deployer.await_answer(fleet.endpoint, replica)
        except BaseException:
            self._end(new)
            raise
        fleet.replicas = [*fleet.replicas, *new]

    def _fail(self, name: str, endpoint: Document, reason: str) -> None:
        logger.warning("Endpoint %s can't be scaled: %s", name, reason)
        kept = [
            {
                **variant,
                "DesiredWeight": variant["CurrentWeight"],
                "DesiredInstanceCount": variant["CurrentInstanceCount"],
            }
            for variant in endpoint["ProductionVariants"]
        ]
        self.deployer.settle(name, ProductionVariants=kept, FailureReason=reason[:1024], **_DONE)

    def _end(self, replicas: list[Replica]) -> None:
        fleets.end(replicas, self.deployer.settings.stop_grace)
        for replica in replicas:
            shutil.rmtree(replica.directory, ignore_errors=True)

    def _shrink(self, fleet: Fleet, scale: list[Document]) -> list[Replica]:
        """Take weights over, and surplus replicas out of the fleet; return those."""
        wanted = {variant["VariantName"]: variant for variant in scale}
        surplus = []
        for replica in fleet.replicas:
            if replica.shadow:
                continue
            replica.weight = wanted[replica.name]["DesiredWeight"]
            if replica.number > wanted[replica.name]["DesiredInstanceCount"]:
                surplus.append(replica)
        fleet.replicas = [replica for replica in fleet.replicas if replica not in surplus]
        return surplus


def _missing(fleet: Fleet, wanted: Document) -> list[int]:
    """Return the numbers of the instances that a variant lacks."""
    there = {replica.number for replica in fleet.replicas if replica.name == wanted["VariantName"]}
    return [number for number in range(1, wanted["DesiredInstanceCount"] + 1) if number not in there]
