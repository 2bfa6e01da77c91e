"""What CloudWatch knows of Bedrock's calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.local_aws.conftest import Account, wait_for


@pytest.fixture(scope="module")
def bedrock(account: Account) -> Any:
    """A client of a region of its own: other tests count the same models' calls."""
    return account.gateway.client("bedrock-runtime", region_name="us-west-2")


def _ask(bedrock: Any, model: str, text: str = "<facts>\n- Fabric: Cotton\n</facts>") -> dict[str, int]:
    return dict(bedrock.converse(modelId=model, messages=[{"role": "user", "content": [{"text": text}]}])["usage"])


def _statistics(account: Account, model: str, metric: str) -> dict[str, float]:
    now = datetime.now(UTC)
    points = account.cloudwatch.get_metric_statistics(
        Namespace="AWS/Bedrock",
        MetricName=metric,
        Dimensions=[{"Name": "ModelId", "Value": model}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=7200,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    return {name: sum(point[name] for point in points) for name in ("Sum", "SampleCount")}


def _sum(account: Account, model: str, metric: str, expected: float) -> None:
    wait_for(lambda: _statistics(account, model, metric)["Sum"] == pytest.approx(expected))


def test_answered_calls_their_tokens_and_their_latency_are_metered(account: Account, bedrock: Any) -> None:
    model = "anthropic.metered"
    used = [_ask(bedrock, model), _ask(bedrock, model, "Tell me about this shirt.")]
    _sum(account, model, "Invocations", 2)
    _sum(account, model, "InputTokenCount", sum(usage["inputTokens"] for usage in used))
    _sum(account, model, "OutputTokenCount", sum(usage["outputTokens"] for usage in used))
    assert _statistics(account, model, "OutputTokenCount")["SampleCount"] == 2
    assert _statistics(account, model, "InvocationLatency")["SampleCount"] == 2


@pytest.mark.parametrize(
    ("model", "text", "metric"),
    [
        ("anthropic.throttles", "x", "InvocationThrottles"),
        ("anthropic.fails", "x", "InvocationServerErrors"),
        ("anthropic.refused", " ", "InvocationClientErrors"),
    ],
)
def test_calls_that_fail_are_metered_by_whose_fault_it_is(
    account: Account, bedrock: Any, model: str, text: str, metric: str
) -> None:
    before = _statistics(account, model, metric)["Sum"]
    with pytest.raises(ClientError):
        _ask(bedrock, model, text)
    wait_for(lambda: _statistics(account, model, metric)["Sum"] > before)
    assert _statistics(account, model, "Invocations")["SampleCount"] == 0
