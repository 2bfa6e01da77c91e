"""How an update of the endpoint moves requests from the old model to the new one, and what takes it back."""

from __future__ import annotations

from typing import Any

from lookbook.serving import alarms
from lookbook.settings import Settings

_TYPES = {"all_at_once": "ALL_AT_ONCE", "canary": "CANARY", "linear": "LINEAR"}
_STEP = {"canary": "CanarySize", "linear": "LinearStepSize"}


def deployment_config(settings: Settings) -> dict[str, Any]:
    """Return the ``DeploymentConfig`` of CreateEndpoint and UpdateEndpoint: blue/green, watched by the alarms."""
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": _routing(settings),
            "TerminationWaitInSeconds": settings.deployment_termination_wait_s,
            "MaximumExecutionTimeoutInSeconds": settings.deployment_max_s,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms.names(settings)]},
    }


def _routing(settings: Settings) -> dict[str, Any]:
    kind = settings.deployment_traffic
    routing = {"Type": _TYPES[kind], "WaitIntervalInSeconds": settings.deployment_wait_s}
    if kind in _STEP:
        routing[_STEP[kind]] = {"Type": "CAPACITY_PERCENT", "Value": settings.deployment_step_percent}
    return routing
