"""Updates that move requests step by step, watched by alarms."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.local_aws.conftest import Account, wait_for

PERCENT = {"Type": "CAPACITY_PERCENT"}


def _deployment(alarm: str = "", wait: int = 1, last_wait: int = 0) -> dict[str, Any]:
    """Return a canary of half of the requests, guarded by an alarm."""
    canary = {"Type": "CANARY", "CanarySize": {**PERCENT, "Value": 50}, "WaitIntervalInSeconds": wait}
    policy = {"TrafficRoutingConfiguration": canary, "TerminationWaitInSeconds": last_wait}
    guard = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]}} if alarm else {}
    return {"BlueGreenUpdatePolicy": policy, **guard}


def _alarm(account: Account, endpoint: str, metric: str = "Invocation5XXErrors", **request: Any) -> str:
    """Put an alarm on an endpoint's share of errors and return its name."""
    name = f"{endpoint}-errors"
    dimensions = {"EndpointName": endpoint, "VariantName": "AllTraffic"}
    given = {
        "Namespace": "AWS/SageMaker",
        "MetricName": metric,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        "Statistic": "Average",
        "Period": 10,
        "EvaluationPeriods": 1,
        "Threshold": 0.1,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    account.cloudwatch.put_metric_alarm(AlarmName=name, **{**given, **request})
    return name


@contextmanager
def _asking(account: Account, endpoint: str) -> Iterator[Counter[str]]:
    """Ask an endpoint on and on; yield how often which model answered, ``error`` for none."""
    answers: Counter[str] = Counter()
    ended = threading.Event()

    def ask_on() -> None:
        while not ended.wait(0.01):
            try:
                answers[account.ask(endpoint, b"{}")["model"]] += 1
            except ClientError:
                answers["error"] += 1

    asking = threading.Thread(target=ask_on)
    asking.start()
    try:
        yield answers
    finally:
        ended.set()
        asking.join()


def _begin(account: Account, name: str, config: str, deployment: dict[str, Any]) -> None:
    account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config, DeploymentConfig=deployment)


def _stage(account: Account, name: str) -> str:
    """Return what the endpoint says that its new fleet is doing."""
    endpoint = account.sagemaker.describe_endpoint(EndpointName=name)
    variants = endpoint.get("PendingDeploymentSummary", {}).get("ProductionVariants", [{}])
    return str(variants[0].get("VariantStatus", [{}])[0].get("StatusMessage", ""))


def test_a_canary_gets_its_share_of_the_requests(account: Account) -> None:
    account.endpoint("canary", account.model("canary-v1", "old"))
    _begin(account, "canary", account.model("canary-v2", "new"), _deployment(wait=600))
    wait_for(lambda: _stage(account, "canary").startswith("50%"))
    assert Counter(account.ask("canary")["model"] for _ in range(20)) == {"old": 10, "new": 10}
    endpoint = account.sagemaker.describe_endpoint(EndpointName="canary")
    assert endpoint["EndpointStatus"] == "Updating" and endpoint["EndpointConfigName"] == "canary-v1"
    assert endpoint["PendingDeploymentSummary"]["EndpointConfigName"] == "canary-v2"
    account.sagemaker.delete_endpoint(EndpointName="canary")


def test_after_the_last_step_the_new_model_has_all_requests(account: Account) -> None:
    account.endpoint("shifted", account.model("shifted-v1", "old"))
    endpoint = account.update("shifted", account.model("shifted-v2", "new"), DeploymentConfig=_deployment())
    assert endpoint["EndpointConfigName"] == "shifted-v2"
    assert "PendingDeploymentSummary" not in endpoint and "FailureReason" not in endpoint
    assert {account.ask("shifted")["model"] for _ in range(10)} == {"new"}


def test_an_alarm_takes_the_update_back(account: Account) -> None:
    account.endpoint("alarmed", account.model("alarmed-v1", "old"))
    deployment = _deployment(_alarm(account, "alarmed"), wait=600)
    bad = account.model("alarmed-v2", "new", DO="refuse-500")
    with _asking(account, "alarmed") as answers:
        endpoint = account.update("alarmed", bad, DeploymentConfig=deployment)
        errors, before = answers["error"], answers["old"]
        wait_for(lambda: answers["old"] > before + 20)
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "alarmed-v1")
    assert "alarmed-errors" in endpoint["FailureReason"] and "ALARM" in endpoint["FailureReason"]
    assert errors > 0, "the new model failed requests"
    assert answers["error"] - errors <= 1, "once rolled back, none fails"


def test_an_alarm_after_the_whole_shift_takes_the_update_back(account: Account) -> None:
    account.endpoint("late", account.model("late-v1", "old"))
    alarm = _alarm(account, "late")
    _begin(account, "late", account.model("late-v2", "new"), _deployment(alarm, wait=0, last_wait=600))
    wait_for(lambda: _stage(account, "late").startswith("100%"))
    assert account.ask("late")["model"] == "new"
    account.cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="by hand")
    assert account.settled("late")["EndpointConfigName"] == "late-v1"
    assert account.ask("late")["model"] == "old"


def test_an_alarm_that_is_already_in_alarm_takes_the_update_back_before_any_request_moves(account: Account) -> None:
    account.endpoint("before", account.model("before-v1", "old"))
    alarm = _alarm(account, "before", TreatMissingData="breaching")
    states = account.cloudwatch.describe_alarms
    wait_for(lambda: states(AlarmNames=[alarm])["MetricAlarms"][0]["StateValue"] == "ALARM")
    endpoint = account.update("before", account.model("before-v2"), DeploymentConfig=_deployment(alarm, wait=60))
    assert endpoint["EndpointConfigName"] == "before-v1"
    assert alarm in endpoint["FailureReason"]


def test_the_last_deployment_config_is_kept_and_can_be_used_again(account: Account) -> None:
    account.endpoint("retains", account.model("retains-v1", "old"))
    deployment = _deployment(wait=0, last_wait=0)
    endpoint = account.update("retains", account.model("retains-v2"), DeploymentConfig=deployment)
    assert endpoint["LastDeploymentConfig"] == deployment
    sagemaker, config = account.sagemaker, account.model("retains-v3")
    sagemaker.update_endpoint(EndpointName="retains", EndpointConfigName=config, RetainDeploymentConfig=True)
    endpoint = account.settled("retains")
    assert (endpoint["EndpointConfigName"], endpoint["LastDeploymentConfig"]) == ("retains-v3", deployment)


def test_alarms_that_are_not_there_are_refused(account: Account) -> None:
    account.endpoint("unguarded", account.model("unguarded-v1"))
    with pytest.raises(ClientError, match="AutoRollbackConfiguration: nowhere"):
        _begin(account, "unguarded", "unguarded-v1", _deployment("nowhere"))


def test_invocations_are_measured_by_variant_and_config(account: Account) -> None:
    account.endpoint("measured", account.model("measured-v1"))
    for _ in range(3):
        account.ask("measured")
    for body in (b"error 400", b"error 500"):
        with pytest.raises(ClientError):
            account.ask("measured", body)
    expected = {"Invocations": 5, "Invocation4XXErrors": 1, "Invocation5XXErrors": 1, "InvocationModelErrors": 2}
    assert {name: _sum(account, name) for name in expected} == expected
    assert {name: _sum(account, name, EndpointConfigName="measured-v1") for name in expected} == expected
    assert _sum(account, "ModelLatency") > 100, "microseconds"


def _sum(account: Account, metric: str, **dimensions: str) -> float:
    """Return the sum of a metric of the endpoint ``measured``."""
    named = {"EndpointName": "measured", "VariantName": "AllTraffic", **dimensions}
    points = account.cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in named.items()],
        StartTime=0,
        EndTime=4_000_000_000,
        Period=3600,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    assert sum(point["SampleCount"] for point in points) == 5
    return float(sum(point["Sum"] for point in points))


def test_an_alarm_looks_at_its_own_dimensions(account: Account) -> None:
    account.endpoint("healthy", account.model("healthy-v1"))
    account.endpoint("failing", account.model("failing-v1", DO="refuse-500"))
    names = [_alarm(account, name) for name in ("healthy", "failing")]
    account.ask("healthy")
    with pytest.raises(ClientError):
        account.ask("failing")

    def states() -> dict[str, str]:
        found = account.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}

    wait_for(lambda: states() == {"healthy-errors": "OK", "failing-errors": "ALARM"})


def test_an_alarm_of_metric_math_is_refused(account: Account) -> None:
    with pytest.raises(ClientError, match="metric math is not supported"):
        account.cloudwatch.put_metric_alarm(
            AlarmName="math",
            Metrics=[{"Id": "e1", "Expression": "1/2"}],
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
