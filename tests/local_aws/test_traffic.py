"""The steps by which an update moves requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local_aws.errors import AwsError
from local_aws.sagemaker.fleet import Fleet
from local_aws.sagemaker.traffic import Policy, Route


def _fleet(name: str) -> Fleet:
    return Fleet(name, "endpoint", f"config-{name}", Path(name))


def _routing(kind: str, **members: Any) -> dict[str, Any]:
    routing = {"Type": kind, "WaitIntervalInSeconds": 7, **members}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 9}}


def _size(value: int, kind: str = "CAPACITY_PERCENT") -> dict[str, Any]:
    return {"Type": kind, "Value": value}


def _steps(config: dict[str, Any], instances: int = 1) -> list[tuple[float, float]]:
    return [(round(step.share, 6), step.baking) for step in Policy.read(config, instances).steps]


def test_without_a_policy_all_requests_move_at_once() -> None:
    assert _steps({}) == [(1.0, 0)]


def test_all_at_once_is_watched_before_the_old_fleet_ends() -> None:
    assert _steps(_routing("ALL_AT_ONCE")) == [(1.0, 9)]


def test_a_canary_goes_first() -> None:
    assert _steps(_routing("CANARY", CanarySize=_size(10))) == [(0.1, 7), (1.0, 9)]
    assert _steps(_routing("CANARY", CanarySize=_size(1, "INSTANCE_COUNT")), instances=4) == [(0.25, 7), (1.0, 9)]


def test_a_linear_shift_goes_by_equal_steps() -> None:
    steps = _steps(_routing("LINEAR", LinearStepSize=_size(10)))
    assert steps == [(round(tenth / 10, 6), 7) for tenth in range(1, 10)] + [(1.0, 9)]
    assert _steps(_routing("LINEAR", LinearStepSize=_size(40))) == [(0.4, 7), (0.8, 7), (1.0, 9)]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (_routing("CANARY"), "CanarySize is required"),
        (_routing("CANARY", CanarySize=_size(51)), "CanarySize must be between 0% and 50%"),
        (_routing("CANARY", CanarySize=_size(1, "INSTANCE_COUNT")), "1 of 1 is 100%"),
        (_routing("LINEAR", LinearStepSize=_size(9)), "LinearStepSize must be between 10% and 50%"),
        ({"RollingUpdatePolicy": {}}, "not supported"),
    ],
)
def test_a_policy_that_can_not_be_obeyed_is_refused(config: dict[str, Any], told: str) -> None:
    with pytest.raises(AwsError, match=told):
        Policy.read(config, 1)


def test_a_timeout_shorter_than_the_waits_is_refused() -> None:
    config = _routing("LINEAR", LinearStepSize=_size(10), WaitIntervalInSeconds=100)
    config["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = 600
    with pytest.raises(AwsError, match="must be larger than the total waiting time"):
        Policy.read(config, 1)


def test_alarms_are_those_of_the_rollback_configuration() -> None:
    config = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}, {"AlarmName": "latency"}]}}
    assert Policy.read(config, 1).alarms == ("errors", "latency")


def test_the_new_fleet_gets_its_share_of_any_row_of_requests() -> None:
    old, new = _fleet("old"), _fleet("new")
    route = Route(old)
    assert [route.choose() for _ in range(3)] == [old] * 3
    route.shift(new, 0.25)
    row = [route.choose() for _ in range(40)]
    assert [row[start : start + 4].count(new) for start in range(0, 40, 4)] == [1] * 10
    route.shift(new, 1.0)
    assert [route.choose() for _ in range(3)] == [new] * 3
    route.back()
    assert [route.choose() for _ in range(3)] == [old] * 3
