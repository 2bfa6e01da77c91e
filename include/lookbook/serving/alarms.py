"""The endpoint's alarms: what rings, whom it tells, and how it stands now.

CloudWatch watches the endpoint's own metrics. An update that is under way is taken back when one rings
(``AutoRollbackConfiguration``); at any other time ``LOOKBOOK_ALARM_TOPIC_ARN`` is told. ``python -m
lookbook.serving.alarms`` prints endpoint and alarms and returns 1 if something is wrong.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from lookbook.aws import client
from lookbook.errors import LookbookError
from lookbook.lineage import records
from lookbook.settings import Settings, get_settings
from lookbook.training import registry

VARIANT = "AllTraffic"
"""The endpoint's only variant, which has all traffic."""

Kind = Literal["unhealthy", "errors", "latency", "refusals"]
KINDS: tuple[Kind, ...] = ("unhealthy", "errors", "latency", "refusals")
_NAMESPACE = "AWS/SageMaker"
_SERVING = ("InService", "Updating", "SystemUpdating", "RollingBack")
_PERIOD_S = 60  # SageMaker writes its metrics once a minute
# Half of all requests failing is no bad luck with a few pictures: whatever minute shows that rings at once.
_UNHEALTHY_SHARE = 0.5
# A container may refuse a picture that is none; when it refuses half of them, the fault is not the drop's.
_REFUSED_SHARE = 0.5
# One bad minute of three may be a restart; two are not.
_MINUTES, _BAD_MINUTES = 3, 2


@dataclass(frozen=True)
class AlarmState:
    """How an alarm stands: ``OK``, ``ALARM``, ``INSUFFICIENT_DATA``, or ``MISSING`` where it was never put."""

    name: str
    state: str
    reason: str


@dataclass(frozen=True)
class Health:
    """How the endpoint and its alarms stand; ``status`` is ``None`` where there is no endpoint.

    ``expected`` says whether there should be one: a model was verified, and the endpoint lives always.
    """

    endpoint: str
    status: str | None
    expected: bool
    alarms: tuple[AlarmState, ...]

    @property
    def healthy(self) -> bool:
        """Whether it serves, or need not, and nothing rings."""
        serves = self.status in _SERVING or (self.status is None and not self.expected)
        return serves and all(alarm.state != "ALARM" for alarm in self.alarms)

    def text(self) -> str:
        """Return it as lines for people."""
        status = self.status or (
            "gone, though a model should serve" if self.expected else "none, and none is needed now"
        )
        lines = [f"alarm {alarm.name}: {alarm.state}{_because(alarm)}" for alarm in self.alarms]
        return "\n".join([f"endpoint {self.endpoint}: {status}", *lines])


def names(settings: Settings) -> list[str]:
    """Return the names of the endpoint's alarms."""
    return [_name(kind, settings) for kind in KINDS]


def put() -> list[str]:
    """Create the endpoint's alarms, or make them what the settings say now; return their names."""
    settings = get_settings()
    for request in requests(settings):
        client("cloudwatch").put_metric_alarm(**request)
    records.details(alarms=", ".join(names(settings)))
    return names(settings)


def requests(settings: Settings) -> list[dict[str, Any]]:
    """Return the PutMetricAlarm request of every alarm.

    The error metrics are 0 or 1 for each request, so that their average is a share.
    """
    watched: dict[Kind, dict[str, Any]] = {
        "unhealthy": {
            "AlarmDescription": "At least half of the requests of a minute end in the container's fault.",
            "MetricName": "Invocation5XXErrors",
            "Statistic": "Average",
            "Threshold": _UNHEALTHY_SHARE,
            "EvaluationPeriods": 1,
            "DatapointsToAlarm": 1,
        },
        "errors": {
            "AlarmDescription": f"More than {settings.endpoint_max_error_share:.1%} of requests end in the "
            "container's fault.",
            "MetricName": "Invocation5XXErrors",
            "Statistic": "Average",
            "Threshold": settings.endpoint_max_error_share,
        },
        "latency": {
            "AlarmDescription": f"One request in a hundred takes over {settings.endpoint_max_latency_ms} ms.",
            "MetricName": "ModelLatency",
            "ExtendedStatistic": "p99",
            "Threshold": settings.endpoint_max_latency_ms * 1000.0,  # microseconds
        },
        "refusals": {
            "AlarmDescription": "The container refuses at least half of what it is sent.",
            "MetricName": "Invocation4XXErrors",
            "Statistic": "Average",
            "Threshold": _REFUSED_SHARE,
        },
    }
    return [_request(kind, settings) | watched[kind] for kind in KINDS]


def health() -> Health:
    """Return how endpoint and alarms stand."""
    settings = get_settings()
    described = registry.describe_endpoint(settings.endpoint_name)
    alarms = tuple(_states(names(settings)))
    if described:
        return Health(settings.endpoint_name, described["EndpointStatus"], True, alarms)
    verified = settings.endpoint_life == "always" and any(one.approved for one in registry.served())
    return Health(settings.endpoint_name, None, verified, alarms)


def _states(wanted: list[str]) -> list[AlarmState]:
    found = client("cloudwatch").describe_alarms(AlarmNames=wanted, AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    by_name = {alarm["AlarmName"]: alarm for alarm in found}
    missing = {"StateValue": "MISSING", "StateReason": "put by the next deployment"}
    described = [(name, by_name.get(name, missing)) for name in wanted]
    return [AlarmState(name, alarm["StateValue"], alarm.get("StateReason", "")) for name, alarm in described]


def _request(kind: Kind, settings: Settings) -> dict[str, Any]:
    told = [settings.alarm_topic_arn] if settings.alarm_topic_arn else []
    share_of_half = kind in ("unhealthy", "refusals")
    return {
        "AlarmName": _name(kind, settings),
        "Namespace": _NAMESPACE,
        "Dimensions": [
            {"Name": "EndpointName", "Value": settings.endpoint_name},
            {"Name": "VariantName", "Value": VARIANT},
        ],
        "Period": _PERIOD_S,
        "EvaluationPeriods": _MINUTES,
        "DatapointsToAlarm": _BAD_MINUTES,
        "ComparisonOperator": f"GreaterThan{'OrEqualTo' if share_of_half else ''}Threshold",
        # No request, no fault: an endpoint that is asked once a week must not ring the other days.
        "TreatMissingData": "notBreaching",
        "AlarmActions": told,
        "OKActions": told,
    }


def _name(kind: Kind, settings: Settings) -> str:
    return f"{settings.endpoint_name}-{kind}"


def _because(alarm: AlarmState) -> str:
    return f" ({alarm.reason})" if alarm.state in ("ALARM", "MISSING") else ""


def main() -> int:
    """Print how endpoint and alarms stand; return 1 if something is wrong."""
    try:
        found = health()
    except (LookbookError, ClientError, BotoCoreError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{found.text()}\n")
    return 0 if found.healthy else 1


if __name__ == "__main__":
    sys.exit(main())
