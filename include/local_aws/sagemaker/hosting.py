"""Endpoints carried out: deployed, updated blue/green, kept alive, adopted after a restart, taken down.

The old fleet serves until each process of the new one answers its ping. One that doesn't is taken down again, and the
endpoint returns to ``InService`` with the config it had: what AWS calls a rollback.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_aws import process
from local_aws.errors import AwsError
from local_aws.objects import ObjectsError
from local_aws.sagemaker import names
from local_aws.sagemaker.building import Builder
from local_aws.sagemaker.fleet import Fleet
from local_aws.sagemaker.replica import Replica, new_id, why_not
from local_aws.settings import Settings
from local_aws.state import Document, Store

_MONITOR_INTERVAL = 0.5
_NO_START = (OSError, ObjectsError, AwsError)

logger = logging.getLogger(__name__)


class DeploymentError(Exception):
    """A new fleet doesn't come up; the message is the endpoint's FailureReason."""


class Interrupted(Exception):  # noqa: N818 - says what happened; it is no fault
    """The deployment's endpoint is being deleted, or the gateway is shutting down."""


class Hosting:
    """Runs the endpoints' processes; the records are the store's, the routing table is memory's."""

    def __init__(self, store: Store, logs: Any, builder: Builder, settings: Settings) -> None:
        self._store, self._logs, self._builder, self._settings = store, logs, builder, settings
        self._routes: dict[str, Fleet] = {}
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Take up the endpoints of an earlier gateway and begin to look after them."""
        for endpoint in self._store.all(names.ENDPOINT):
            self._take_up(endpoint)
        self._spawn(self._monitor)

    def close(self) -> None:
        """End every serving process; the next gateway starts them again."""
        self._closing.set()
        for thread in self._threads:
            thread.join()
        for fleet in self._routes.values():
            fleet.ask_to_end()
        for fleet in self._routes.values():
            fleet.end(self._settings.stop_grace)

    def route(self, endpoint: str) -> Fleet | None:
        """Return the fleet that serves an endpoint now, or None."""
        return self._routes.get(endpoint)

    def deploy(self, endpoint: str) -> None:
        """Begin to bring an endpoint to its target config."""
        logger.info("Endpoint %s: deploying", endpoint)
        self._spawn(self._deploy, endpoint)

    def remove(self, endpoint: str) -> None:
        """Begin to take an endpoint down, whose record says so."""
        self._spawn(self._remove, endpoint)

    def _spawn(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, name=f"hosting-{work.__name__}", daemon=True)
        thread.start()
        with self._lock:
            self._threads = [*(other for other in self._threads if other.is_alive()), thread]

    def _take_up(self, endpoint: Document) -> None:
        name, status = endpoint["EndpointName"], endpoint["EndpointStatus"]
        if "_fleet" in endpoint:
            self._routes[name] = Fleet.from_document(endpoint["_fleet"])
        leftovers = [endpoint[key] for key in ("_pending", "_retiring") if key in endpoint]
        for fleet in map(Fleet.from_document, leftovers):
            self._spawn(self._take_down, fleet)
        if status == "Deleting":
            self.remove(name)
        elif status in ("Creating", "Updating"):
            self.deploy(name)

    # --- deployments

    def _deploy(self, name: str) -> None:
        target = self._store.get(names.ENDPOINT, name)
        if target is None:
            return
        try:
            fleet = self._come_up(name, target["_target"])
        except Interrupted:
            return
        except DeploymentError as error:
            self._roll_back(name, str(error))
        except Exception as error:
            logger.exception("Deployment of endpoint %s", name)
            self._roll_back(name, f"InternalServerError: {error!r}")
        else:
            self._shift(name, fleet)

    def _come_up(self, name: str, config: Document) -> Fleet:
        fleet = self._build(name, config)
        try:
            self._prepare(fleet, config)
            fleet.start()
            self._store.update(names.ENDPOINT, name, _pending=fleet.document())
            for replica in fleet.replicas:
                self._await(fleet, replica)
        except BaseException as error:
            fleet.ship_logs(self._logs)
            self._take_down(fleet)
            if isinstance(error, _NO_START):
                raise DeploymentError(str(error)) from error
            raise
        return fleet

    def _build(self, name: str, config: Document) -> Fleet:
        identity = new_id()
        directory = self._settings.state / "endpoints" / name / identity
        replicas = [self._replica(variant, directory) for variant in config["ProductionVariants"]]
        return Fleet(identity, name, config["EndpointConfigName"], directory, replicas)

    def _replica(self, variant: Document, directory: Path) -> Replica:
        timeout = "ContainerStartupHealthCheckTimeoutInSeconds"
        fields = {"start_timeout": variant[timeout]} if timeout in variant else {}
        return self._builder.replica(
            variant["_model"],
            directory / variant["VariantName"],
            name=variant["VariantName"],
            weight=variant.get("InitialVariantWeight", 1.0),
            **fields,
        )

    def _prepare(self, fleet: Fleet, config: Document) -> None:
        for replica, variant in zip(fleet.replicas, config["ProductionVariants"], strict=True):
            self._builder.prepare(replica, variant["_model"])

    def _await(self, fleet: Fleet, replica: Replica) -> None:
        deadline = time.monotonic() + replica.start_timeout
        while not replica.pings():
            if self._closing.is_set() or self._is_deleting(fleet.endpoint):
                raise Interrupted
            if not replica.is_alive() or time.monotonic() > deadline:
                raise DeploymentError(why_not(replica))
            time.sleep(self._settings.poll)

    def _is_deleting(self, name: str) -> bool:
        endpoint = self._store.get(names.ENDPOINT, name)
        return endpoint is None or endpoint["EndpointStatus"] == "Deleting"

    def _shift(self, name: str, fleet: Fleet) -> None:
        with self._store.transaction():
            endpoint = self._store.get(names.ENDPOINT, name)
            wanted = endpoint is not None and endpoint["EndpointStatus"] != "Deleting"
            if endpoint and wanted:
                summaries, retiring = endpoint["_target"]["_summaries"], endpoint.get("_fleet")
                served = {"EndpointConfigName": fleet.config, "ProductionVariants": summaries}
                self._settle(name, **served, _fleet=fleet.document(), _retiring=retiring)
        if not wanted:
            self._take_down(fleet)
            return
        logger.info("Endpoint %s: serving with %s", name, fleet.config)
        old, self._routes[name] = self._routes.get(name), fleet
        if old:
            self._retire(name, old)

    def _retire(self, name: str, fleet: Fleet) -> None:
        self._take_down(fleet, self._settings.endpoint_drain)
        if self._store.get(names.ENDPOINT, name):
            self._store.update(names.ENDPOINT, name, _retiring=None)

    def _roll_back(self, name: str, reason: str) -> None:
        logger.warning("Endpoint %s: the deployment failed: %s", name, reason)
        if self._is_deleting(name):
            return
        serving = name in self._routes
        self._settle(name, "InService" if serving else "Failed", FailureReason=reason[:1024])

    def _settle(self, name: str, status: str = "InService", **fields: Any) -> None:
        cleared = {"_pending": None, "_target": None, "PendingDeploymentSummary": None, "FailureReason": None}
        fields = {**cleared, "EndpointStatus": status, "LastModifiedTime": time.time(), **fields}
        self._store.update(names.ENDPOINT, name, **fields)

    def _take_down(self, fleet: Fleet, drain: float = 0.0) -> None:
        fleet.end(self._settings.stop_grace, drain)
        fleet.discard()

    def _remove(self, name: str) -> None:
        fleet = self._routes.pop(name, None)
        if fleet:
            self._take_down(fleet, self._settings.endpoint_drain)
        self._store.delete(names.ENDPOINT, name)

    # --- looking after them

    def _monitor(self) -> None:
        while not self._closing.wait(_MONITOR_INTERVAL):
            process.collect()
            for name, fleet in list(self._routes.items()):
                self._look_after(name, fleet)

    def _look_after(self, name: str, fleet: Fleet) -> None:
        try:
            revived = [replica for replica in fleet.replicas if replica.revive()]
            changed = fleet.ship_logs(self._logs) or revived
        except Exception:
            # The next look may go better, and the other endpoints must not be left alone.
            logger.exception("Endpoint %s can't be looked after now", name)
            return
        for replica in revived:
            logger.warning("Endpoint %s: variant %s had died and was started again", name, replica.name)
        if changed and self._routes.get(name) is fleet:
            self._save(name, fleet)

    def _save(self, name: str, fleet: Fleet) -> None:
        with self._store.transaction():
            endpoint = self._store.get(names.ENDPOINT, name)
            if endpoint and endpoint.get("_fleet", {}).get("id") == fleet.id:
                self._store.update(names.ENDPOINT, name, _fleet=fleet.document())
