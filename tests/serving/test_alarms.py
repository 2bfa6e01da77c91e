from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from lookbook.aws import client
from lookbook.lineage.records import TaskKey, recording
from lookbook.serving import alarms
from lookbook.settings import get_settings
from lookbook.training import registry
from lookbook.training.registry import Served

TOPIC = "arn:aws:sns:us-east-1:000000000000:on-call"
NAMES = [f"lookbook-attributes-{kind}" for kind in ("unhealthy", "errors", "latency", "refusals")]


@pytest.fixture
def endpoint(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An endpoint in service; the dictionary is its description."""
    described = {"EndpointStatus": "InService"}
    monkeypatch.setattr(registry, "describe_endpoint", lambda _: described)
    return described


def requested(kind: str) -> dict[str, Any]:
    return {request["AlarmName"]: request for request in alarms.requests(get_settings())}[f"lookbook-attributes-{kind}"]


@pytest.mark.parametrize("topic", [None, TOPIC])
def test_the_requests_are_ones_that_cloudwatch_takes(topic: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if topic:
        monkeypatch.setenv("LOOKBOOK_ALARM_TOPIC_ARN", topic)
        get_settings.cache_clear()
    shape = boto3.client("cloudwatch").meta.service_model.operation_model("PutMetricAlarm").input_shape
    for request in alarms.requests(get_settings()):
        assert not ParamValidator().validate(request, shape).has_errors()
        assert request["AlarmActions"] == request["OKActions"] == ([topic] if topic else [])


def test_alarms_watch_the_endpoints_variant() -> None:
    for request in alarms.requests(get_settings()):
        assert request["Namespace"] == "AWS/SageMaker"
        assert request["Dimensions"] == [
            {"Name": "EndpointName", "Value": "lookbook-attributes"},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ]


def test_limits_are_the_settings_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_ENDPOINT_MAX_LATENCY_MS", "1500")
    monkeypatch.setenv("LOOKBOOK_ENDPOINT_MAX_ERROR_SHARE", "0.02")
    get_settings.cache_clear()
    latency, errors = requested("latency"), requested("errors")
    assert (latency["ExtendedStatistic"], latency["Threshold"]) == ("p99", 1_500_000)  # microseconds
    assert (errors["Statistic"], errors["Threshold"]) == ("Average", 0.02)


def test_an_endpoint_that_nobody_asks_does_not_ring() -> None:
    assert {request["TreatMissingData"] for request in alarms.requests(get_settings())} == {"notBreaching"}


def test_one_bad_minute_is_enough_only_where_half_of_all_requests_fail() -> None:
    needed = {kind: requested(kind)["DatapointsToAlarm"] for kind in alarms.KINDS}
    assert needed == {"unhealthy": 1, "errors": 2, "latency": 2, "refusals": 2}


def test_putting_alarms_twice_leaves_each_once_as_the_settings_say_now(
    endpoint: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with recording(TaskKey("retrain_attribute_model", "r", "put_alarms")) as record:
        assert alarms.put() == NAMES
    monkeypatch.setenv("LOOKBOOK_ENDPOINT_MAX_LATENCY_MS", "1500")
    get_settings.cache_clear()
    alarms.put()
    found = client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert sorted(alarm["AlarmName"] for alarm in found) == sorted(NAMES)
    assert [alarm["Threshold"] for alarm in found if alarm["AlarmName"] == NAMES[2]] == [1_500_000]
    assert record.details["alarms"] == ", ".join(NAMES)


def test_an_endpoint_in_service_without_a_ringing_alarm_is_healthy(
    endpoint: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    alarms.put()
    assert alarms.main() == 0
    assert capsys.readouterr().out.splitlines()[0] == "endpoint lookbook-attributes: InService"


def test_a_ringing_alarm_is_told_with_its_reason(endpoint: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    alarms.put()
    client("cloudwatch").set_alarm_state(AlarmName=NAMES[0], StateValue="ALARM", StateReason="4 of 5 failed")
    assert alarms.main() == 1
    assert "lookbook-attributes-unhealthy: ALARM (4 of 5 failed)" in capsys.readouterr().out


def test_an_endpoint_that_does_not_serve_is_not_healthy(
    endpoint: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint["EndpointStatus"] = "Failed"
    assert alarms.main() == 1
    assert "lookbook-attributes: Failed" in capsys.readouterr().out


@pytest.mark.parametrize(("life", "healthy"), [("always", False), ("run", True)])
def test_without_an_endpoint_a_verified_model_is_missed_unless_it_lives_only_for_runs(
    life: str, healthy: bool, aws_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBOOK_ENDPOINT_LIFE", life)
    get_settings.cache_clear()
    monkeypatch.setattr(registry, "served", lambda: [Served("arn/1", "v1", approved=True)])
    assert alarms.health().healthy is healthy


def test_before_the_first_model_no_endpoint_is_missed(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "served", list)
    health = alarms.health()
    assert health.healthy
    assert health.text().startswith("endpoint lookbook-attributes: none, and none is needed now")


def test_what_aws_refuses_to_tell_is_said_in_a_line(
    endpoint: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no DescribeAlarms"}}, "DescribeAlarms")

    monkeypatch.setattr(alarms, "health", refuse)
    assert alarms.main() == 1
    assert "no DescribeAlarms" in capsys.readouterr().err


def test_an_alarm_that_was_never_put_is_told_and_rings_nobody(endpoint: dict[str, Any]) -> None:
    health = alarms.health()
    assert health.healthy
    assert {alarm.state for alarm in health.alarms} == {"MISSING"}
