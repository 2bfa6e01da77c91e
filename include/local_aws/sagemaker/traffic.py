"""Which fleet a request goes to, and by which steps an update moves requests from the old fleet to the new one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from local_aws.errors import unsupported, validation
from local_aws.sagemaker.fleet import Fleet
from local_aws.state import Document

ALL_AT_ONCE, CANARY, LINEAR = "ALL_AT_ONCE", "CANARY", "LINEAR"
_SIZES = {CANARY: "CanarySize", LINEAR: "LinearStepSize"}
_LARGEST_PART = 0.5
_SMALLEST_LINEAR_PART = 0.1
_DEFAULT_TIMEOUT = 28_800


@dataclass
class Route:
    """Where an endpoint's requests go: to the fleet in service, and during an update partly to the new one."""

    serving: Fleet
    new: Fleet | None = None
    share: float = 0.0
    _due: float = 0.0

    def choose(self) -> Fleet:
        """Return the fleet of the next request; of any row of requests the new fleet gets its share."""
        if self.new is None:
            return self.serving
        self._due += self.share
        if self._due < 1.0:
            return self.serving
        self._due -= 1.0
        return self.new

    def shift(self, new: Fleet, share: float) -> None:
        """Send a share of the requests, 0 to 1, to a new fleet."""
        self.new, self.share, self._due = new, share, 0.0

    def back(self) -> None:
        """Send every request to the fleet in service."""
        self.new, self.share = None, 0.0

    def fleets(self) -> list[Fleet]:
        """Return the fleets that get requests."""
        return [self.serving, self.new] if self.new else [self.serving]


@dataclass(frozen=True)
class Step:
    """One step of a deployment: the new fleet's share of the requests, and how many seconds it is watched with it."""

    share: float
    baking: float


@dataclass(frozen=True)
class Policy:
    """How an endpoint is updated, from the request's ``DeploymentConfig``."""

    steps: tuple[Step, ...]
    alarms: tuple[str, ...]
    timeout: float

    @classmethod
    def read(cls, config: Document, instances: int) -> Policy:
        """Return the policy of a ``DeploymentConfig`` for a new fleet of so many instances.

        Raises:
            AwsError: AWS, or only local AWS, doesn't take it.
        """
        if "RollingUpdatePolicy" in config:
            raise unsupported("DeploymentConfig.RollingUpdatePolicy")
        blue_green = config.get("BlueGreenUpdatePolicy", {})
        routing = blue_green.get("TrafficRoutingConfiguration", {"Type": ALL_AT_ONCE})
        steps = tuple(_steps(routing, blue_green.get("TerminationWaitInSeconds", 0), instances))
        timeout = blue_green.get("MaximumExecutionTimeoutInSeconds", _DEFAULT_TIMEOUT)
        if sum(step.baking for step in steps) >= timeout:
            raise validation(
                f"MaximumExecutionTimeoutInSeconds ({timeout}) must be larger than the total waiting time specified in "
                "TerminationWaitInSeconds and WaitIntervalInSeconds."
            )
        alarms = config.get("AutoRollbackConfiguration", {}).get("Alarms", [])
        return cls(steps, tuple(alarm["AlarmName"] for alarm in alarms), timeout)


def _steps(routing: Document, last_wait: int, instances: int) -> Iterator[Step]:
    kind, wait = routing["Type"], routing.get("WaitIntervalInSeconds", 0)
    part = 1.0 if kind == ALL_AT_ONCE else _part(routing, instances)
    share = part
    # A thousandth is no step: ten tenths make a whole, whatever their sum in binary.
    while share < 0.999:
        yield Step(share, wait)
        share = share + part if kind == LINEAR else 1.0
    yield Step(1.0, last_wait)


def _part(routing: Document, instances: int) -> float:
    """Return the share that the first step moves."""
    member = _SIZES[routing["Type"]]
    size = routing.get(member)
    if size is None:
        raise validation(f"{member} is required when the traffic routing type is {routing['Type']}.")
    whole = 100 if size["Type"] == "CAPACITY_PERCENT" else instances
    part: float = size["Value"] / whole
    smallest = _SMALLEST_LINEAR_PART if routing["Type"] == LINEAR else 0.0
    if not smallest <= part <= _LARGEST_PART:
        raise validation(
            f"{member} must be between {smallest:.0%} and {_LARGEST_PART:.0%} of the variant's total instance count; "
            f"{size['Value']} of {whole} is {part:.0%}."
        )
    return part
