"""How many requests each variant of an endpoint got, how many it failed, and how long it took: CloudWatch's own counts.

A request that a variant fails is not captured, and captured answers do not say how long they took.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lookbook.aws import client
from lookbook.settings import get_settings

_MINUTE = 60
_MOST_DATAPOINTS = 1440  # that GetMetricStatistics returns
_METRICS = ("ModelLatency", "Invocations", "Invocation4XXErrors", "Invocation5XXErrors")


@dataclass(frozen=True)
class Measured:
    """What CloudWatch counted for a variant; the latency is the mean, in milliseconds, ``None`` before it is known."""

    requests: int
    refused: int
    failed: int
    latency_ms: float | None


def measured(variant: str, since: datetime) -> Measured:
    """Return what CloudWatch has of a variant since then."""
    sums = {name: _sums(name, variant, since) for name in _METRICS}
    latency_us, answers = sums["ModelLatency"]
    return Measured(
        requests=round(sums["Invocations"][0]),
        refused=round(sums["Invocation4XXErrors"][0]),
        failed=round(sums["Invocation5XXErrors"][0]),
        latency_ms=latency_us / answers / 1000 if answers else None,
    )


def _sums(metric: str, variant: str, since: datetime) -> tuple[float, float]:
    """Return sum and number of a metric's values since then, to the minute."""
    now = datetime.now(UTC)
    begin = since.replace(second=0, microsecond=0)
    minutes = (now - begin) / timedelta(minutes=1) + 1
    answer = client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[
            {"Name": "EndpointName", "Value": get_settings().endpoint_name},
            {"Name": "VariantName", "Value": variant},
        ],
        StartTime=begin,
        EndTime=now + timedelta(minutes=1),
        Period=_MINUTE * math.ceil(minutes / _MOST_DATAPOINTS),
        Statistics=["Sum", "SampleCount"],
    )
    points = answer["Datapoints"]
    return sum(point["Sum"] for point in points), sum(point["SampleCount"] for point in points)
