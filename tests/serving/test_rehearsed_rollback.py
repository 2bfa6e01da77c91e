"""An update that Lookbook's own alarms take back, rehearsed on local AWS."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.serving.conftest import wait_for

from lookbook.aws import client
from lookbook.errors import PermanentError
from lookbook.serving import alarms, invocation, verification
from lookbook.serving.requests import serving_requests
from lookbook.settings import get_settings


@pytest.mark.parametrize(("traffic", "wait"), [("all_at_once", "TERMINATION_WAIT_S"), ("canary", "WAIT_S")])
def test_an_update_whose_requests_fail_is_taken_back_and_the_alarm_is_named(
    account: Any, traffic: str, wait: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = account.deploy(account.register())
    monkeypatch.setenv("LOOKBOOK_DEPLOYMENT_TRAFFIC", traffic)
    monkeypatch.setenv(f"LOOKBOOK_DEPLOYMENT_{wait}", "60")
    get_settings.cache_clear()
    package = account.register()
    asked = serving_requests(package)
    update(asked)
    failing_requests(account)
    assert account.endpoint()["EndpointConfigName"] == old
    with pytest.raises(PermanentError, match=f"Reason: .*{account.name}-unhealthy"):
        verification.verify(asked["endpoint"]["EndpointConfigName"], package)
    assert not alarms.health().healthy


def update(asked: dict[str, Any]) -> None:
    sagemaker = client("sagemaker")
    sagemaker.create_model(**asked["model"])
    sagemaker.create_endpoint_config(**asked["endpoint_config"])
    sagemaker.update_endpoint(**asked["endpoint"])


def failing_requests(account: Any) -> None:
    """Ask what the container fails at until the update has ended."""
    runtime = boto3.client("sagemaker-runtime", config=Config(retries={"total_max_attempts": 1}))
    body = invocation.request_body(b"fail me", ("Fabric",))

    def ended() -> bool:
        with pytest.raises(ClientError, match="the container says 500"):
            runtime.invoke_endpoint(EndpointName=account.name, ContentType="application/json", Body=body)
        return bool(account.endpoint()["EndpointStatus"] == "InService")

    wait_for(ended, seconds=60)
