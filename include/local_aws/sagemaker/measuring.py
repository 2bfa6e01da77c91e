"""What CloudWatch is told of each invocation: SageMaker's metrics of an endpoint's variants."""

from __future__ import annotations

from local_aws.cloudwatch import CloudWatch
from local_aws.sagemaker.fleet import Fleet
from local_aws.sagemaker.replica import Replica

NAMESPACE = "AWS/SageMaker"
# Latencies are kept to so many digits: values that differ by less share a place.
_DIGITS = 2


def measure(cloudwatch: CloudWatch, fleet: Fleet, replica: Replica, status: int, seconds: float | None) -> None:
    """Count an invocation.

    Args:
        cloudwatch: where.
        fleet: the fleet that was asked.
        replica: of its replicas the one that was asked.
        status: what the container answered, a 5xx if it did not.
        seconds: how long it took to answer, None if it did not.
    """
    values = {
        "Invocations": (1.0, "Count"),
        "Invocation4XXErrors": (float(400 <= status < 500), "Count"),
        "Invocation5XXErrors": (float(status >= 500), "Count"),
        "InvocationModelErrors": (float(status >= 400), "Count"),
    }
    if seconds is not None:
        values["ModelLatency"] = (float(f"{seconds * 1e6:.{_DIGITS}g}"), "Microseconds")
    variant = {"EndpointName": fleet.endpoint, "VariantName": replica.name}
    # With the config's name as well, an alarm can look at the new fleet of an update alone.
    for dimensions in (variant, {**variant, "EndpointConfigName": fleet.config}):
        cloudwatch.record(NAMESPACE, dimensions, values)
