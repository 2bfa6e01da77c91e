"""Endpoints carried out: deployed, scaled, kept alive, adopted after a restart, taken down."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from local_aws import process
from local_aws.sagemaker import names
from local_aws.sagemaker.building import Builder
from local_aws.sagemaker.deployment import Deployer
from local_aws.sagemaker.fleet import Fleet
from local_aws.sagemaker.scaling import Scaler
from local_aws.sagemaker.traffic import Route
from local_aws.settings import Settings
from local_aws.state import Document, Store

_MONITOR_INTERVAL = 0.5

logger = logging.getLogger(__name__)


class Hosting:
    """Runs the endpoints' processes; the records are the store's, the routing table is memory's."""

    def __init__(self, store: Store, logs: Any, cloudwatch: Any, builder: Builder, settings: Settings) -> None:
        self._store, self._logs, self._settings = store, logs, settings
        self._routes: dict[str, Route] = {}
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._deployer = Deployer(store, builder, logs, cloudwatch, settings, self._routes, self._closing)
        self._scaler = Scaler(self._deployer)

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
        for route in self._routes.values():
            route.serving.ask_to_end()
        for route in self._routes.values():
            route.serving.end(self._settings.stop_grace)

    def route(self, endpoint: str) -> Route | None:
        """Return where an endpoint's requests go now, or None."""
        return self._routes.get(endpoint)

    def deploy(self, endpoint: str) -> None:
        """Begin to bring an endpoint to its target config."""
        logger.info("Endpoint %s: deploying", endpoint)
        self._spawn(self._deployer.deploy, endpoint)

    def scale(self, endpoint: str) -> None:
        """Begin to bring an endpoint's variants to the weights and instance counts that its record asks for."""
        self._spawn(self._scaler.scale, endpoint)

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
            self._routes[name] = Route(Fleet.from_document(endpoint["_fleet"]))
        leftovers = [endpoint[key] for key in ("_pending", "_retiring") if key in endpoint]
        for fleet in map(Fleet.from_document, leftovers):
            self._spawn(self._deployer.take_down, fleet)
        if status == "Deleting":
            self.remove(name)
        elif "_scale" in endpoint:
            self.scale(name)
        elif status in ("Creating", "Updating"):
            self.deploy(name)
        elif status == "RollingBack":
            self._deployer.settle(name, FailureReason=endpoint["FailureReason"])

    def _remove(self, name: str) -> None:
        route = self._routes.pop(name, None)
        if route:
            self._deployer.take_down(route.serving, self._settings.endpoint_drain)
        self._store.delete(names.ENDPOINT, name)

    # --- looking after them

    def _monitor(self) -> None:
        while not self._closing.wait(_MONITOR_INTERVAL):
            process.collect()
            for name, route in list(self._routes.items()):
                for fleet in route.fleets():
                    self._look_after(name, fleet)

    def _look_after(self, name: str, fleet: Fleet) -> None:
        try:
            patience = self._settings.endpoint_unhealthy
            revived = [replica for replica in fleet.replicas if replica.keep_alive(patience)]
            changed = fleet.ship_logs(self._logs) or revived
        except Exception:
            # The next look may go better, and the other endpoints must not be left alone.
            logger.exception("Endpoint %s can't be looked after now", name)
            return
        for replica in revived:
            logger.warning("Endpoint %s: a container of variant %s was started again", name, replica.name)
        if changed:
            self._save(name, fleet)

    def _save(self, name: str, fleet: Fleet) -> None:
        with self._store.transaction():
            endpoint = self._store.get(names.ENDPOINT, name)
            key = next(
                (key for key in ("_fleet", "_pending") if (endpoint or {}).get(key, {}).get("id") == fleet.id), None
            )
            if key:
                self._store.update(names.ENDPOINT, name, **{key: fleet.document()})
