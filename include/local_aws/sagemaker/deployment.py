"""One endpoint brought to the config it is to have: a new fleet started, requests moved to it, the old one ended.

The old fleet serves until each container of the new one answers its ping. Then requests move by the steps of the
deployment policy, and after each step the new fleet is watched for as long as the policy says. A container that
doesn't come up, or an alarm of the policy in ALARM, takes everything back: the endpoint returns to ``InService`` with
the config it had.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

from local_aws.errors import AwsError
from local_aws.objects import ObjectsError
from local_aws.sagemaker import names
from local_aws.sagemaker.building import Builder, variants
from local_aws.sagemaker.fleet import Fleet
from local_aws.sagemaker.replica import Replica, why_not
from local_aws.sagemaker.traffic import Policy, Route
from local_aws.settings import Settings
from local_aws.state import Document, Store

NO_START = (OSError, ObjectsError, AwsError)

_DRAINING_POLL = 0.05
# What an endpoint's description has only with some configs.
_ABSENT = {"ShadowProductionVariants": None, "DataCaptureConfig": None, "AsyncInferenceConfig": None}

logger = logging.getLogger(__name__)


class DeploymentError(Exception):
    """The deployment is taken back; the message is the endpoint's FailureReason."""


class Interrupted(Exception):  # noqa: N818 - says what happened; it is no fault
    """The deployment's endpoint is being deleted, or the gateway is shutting down."""


@dataclass(frozen=True)
class Deployer:
    """Carries deployments out, each in the thread that calls it.

    Args:
        store: the endpoints' records.
        builder: makes fleets.
        logs: a client of CloudWatch Logs.
        cloudwatch: a client of CloudWatch, which is asked for alarms.
        settings: how long is waited.
        routes: by endpoint, shared with those who send requests.
        closing: set when the gateway shuts down.
    """

    store: Store
    builder: Builder
    logs: Any
    cloudwatch: Any
    settings: Settings
    routes: dict[str, Route]
    closing: threading.Event

    def deploy(self, name: str) -> None:
        """Bring an endpoint to its target config, or leave it with the one it has and say why."""
        endpoint = self.store.get(names.ENDPOINT, name)
        if endpoint is None:
            return
        began = time.monotonic()
        try:
            fleet = self._come_up(name, endpoint["_target"])
            self._put_in_service(name, fleet, endpoint, began)
        except Interrupted:
            return
        except DeploymentError as error:
            self._fail(name, str(error))
        except Exception as error:
            logger.exception("Deployment of endpoint %s", name)
            self._fail(name, f"InternalServerError: {error!r}")

    def await_answer(self, endpoint: str, replica: Replica) -> None:
        """Wait until a replica answers its ping.

        Raises:
            DeploymentError: it ended, or took too long.
            Interrupted: there is nothing left to wait for.
        """
        deadline = time.monotonic() + replica.start_timeout
        while not replica.pings():
            self._check_wanted(endpoint)
            if not replica.is_alive() or time.monotonic() > deadline:
                raise DeploymentError(why_not(replica))
            time.sleep(self.settings.poll)

    def settle(self, name: str, status: str = "InService", **fields: Any) -> None:
        """Write down that nothing more is under way."""
        cleared = {"_pending": None, "_target": None, "PendingDeploymentSummary": None, "FailureReason": None}
        fields = {**cleared, "EndpointStatus": status, "LastModifiedTime": time.time(), **fields}
        self.store.update(names.ENDPOINT, name, **fields)

    def take_down(self, fleet: Fleet, drain: float = 0.0) -> None:
        """End a fleet's processes, once they have answered what they were asked, and free its disk space."""
        self.drain(fleet.replicas, drain)
        fleet.end(self.settings.stop_grace)
        fleet.ship_logs(self.logs)
        fleet.discard()

    def drain(self, replicas: list[Replica], seconds: float) -> None:
        """Wait until replicas that get no more requests have answered those they have, but not for ever."""
        deadline = time.monotonic() + seconds
        # A request that was given to a replica just now is counted a moment later: so the first look is not at once.
        while time.monotonic() < deadline and not self.closing.wait(_DRAINING_POLL):
            if not any(replica.in_flight for replica in replicas):
                return

    # --- up

    def _come_up(self, name: str, config: Document) -> Fleet:
        self._show(name, "Creating", "The containers of the new fleet are started.")
        fleet = self.builder.fleet(name, config)
        try:
            self._prepare(fleet, config)
            fleet.start()
            self.store.update(names.ENDPOINT, name, _pending=fleet.document())
            for replica in fleet.replicas:
                self.await_answer(name, replica)
        except BaseException as error:
            self.take_down(fleet)
            if isinstance(error, NO_START):
                raise DeploymentError(str(error)) from error
            raise
        return fleet

    def _prepare(self, fleet: Fleet, config: Document) -> None:
        models = {variant["VariantName"]: variant["_model"] for variant, _ in variants(config)}
        for replica in fleet.replicas:
            self.builder.prepare(replica, models[replica.name])

    # --- requests moved

    def _put_in_service(self, name: str, fleet: Fleet, endpoint: Document, began: float) -> None:
        route = self.routes.get(name)
        try:
            if route:
                policy = Policy.read(endpoint.get("_deployment", {}), len(fleet.replicas))
                self._shift(name, route, fleet, policy, began + policy.timeout)
            self._serve(name, fleet)
        except BaseException as error:
            if route:
                route.back()
            if isinstance(error, DeploymentError):
                self._mark_rolling_back(name, str(error))
            self.take_down(fleet, self.settings.endpoint_drain)
            raise
        if route:
            self._retire(name, route)

    def _shift(self, name: str, route: Route, fleet: Fleet, policy: Policy, deadline: float) -> None:
        self._check_alarms(policy)
        for step in policy.steps:
            logger.info("Endpoint %s: %.0f %% of the requests go to %s", name, step.share * 100, fleet.config)
            route.shift(fleet, step.share)
            self._show(name, "Baking", f"{step.share:.0%} of the requests go to the new fleet, which is watched.")
            self._bake(name, policy, min(time.monotonic() + step.baking, deadline))
            if time.monotonic() >= deadline:
                raise DeploymentError("The deployment took longer than MaximumExecutionTimeoutInSeconds.")

    def _bake(self, name: str, policy: Policy, until: float) -> None:
        while time.monotonic() < until:
            self._check_wanted(name)
            self._check_alarms(policy)
            time.sleep(min(self.settings.poll, max(0.0, until - time.monotonic())))

    def _check_alarms(self, policy: Policy) -> None:
        if not policy.alarms:
            return
        found = self.cloudwatch.describe_alarms(AlarmNames=list(policy.alarms), StateValue="ALARM")
        tripped = [alarm["AlarmName"] for alarm in [*found["MetricAlarms"], *found["CompositeAlarms"]]]
        if tripped:
            raise DeploymentError(
                f"The deployment was rolled back because of CloudWatch alarms in state ALARM: {', '.join(tripped)}."
            )

    def _check_wanted(self, name: str) -> None:
        endpoint = self.store.get(names.ENDPOINT, name)
        if self.closing.is_set() or endpoint is None or endpoint["EndpointStatus"] == "Deleting":
            raise Interrupted

    def _serve(self, name: str, fleet: Fleet) -> None:
        """Write down that the new fleet serves, and send it every request.

        Raises:
            Interrupted: the endpoint is being deleted.
        """
        with self.store.transaction():
            endpoint = self.store.get(names.ENDPOINT, name)
            if endpoint is None or endpoint["EndpointStatus"] == "Deleting":
                raise Interrupted
            target = endpoint["_target"]
            shown = {**_ABSENT, **target["_described"], "EndpointConfigName": fleet.config}
            own = {
                "_fleet": fleet.document(),
                "_retiring": endpoint.get("_fleet"),
                "_variants": target["ProductionVariants"],
            }
            self.settle(name, **shown, **own)
        logger.info("Endpoint %s: serving with %s", name, fleet.config)
        self.routes[name] = Route(fleet)

    def _retire(self, name: str, old: Route) -> None:
        self.take_down(old.serving, self.settings.endpoint_drain)
        if self.store.get(names.ENDPOINT, name):
            self.store.update(names.ENDPOINT, name, _retiring=None)

    # --- what the endpoint says of itself meanwhile

    def _show(self, name: str, status: str, message: str) -> None:
        with self.store.transaction():
            endpoint = self.store.get(names.ENDPOINT, name)
            pending = (endpoint or {}).get("PendingDeploymentSummary")
            if not pending:
                return
            stage = {"Status": status, "StatusMessage": message, "StartTime": time.time()}
            shown = [{**variant, "VariantStatus": [stage]} for variant in pending["ProductionVariants"]]
            summary = {**pending, "ProductionVariants": shown}
            self.store.update(names.ENDPOINT, name, PendingDeploymentSummary=summary)

    def _mark_rolling_back(self, name: str, reason: str) -> None:
        with self.store.transaction():
            endpoint = self.store.get(names.ENDPOINT, name)
            if endpoint and endpoint["EndpointStatus"] == "Updating":
                fields = {"EndpointStatus": "RollingBack", "FailureReason": reason[:1024]}
                self.store.update(names.ENDPOINT, name, **fields)

    def _fail(self, name: str, reason: str) -> None:
        logger.warning("Endpoint %s: the deployment failed: %s", name, reason)
        endpoint = self.store.get(names.ENDPOINT, name)
        if endpoint and endpoint["EndpointStatus"] != "Deleting":
            self.settle(name, "InService" if name in self.routes else "Failed", FailureReason=reason[:1024])
