from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from lookbook.aws import client
from lookbook.errors import PermanentError
from lookbook.lineage.records import TaskKey, recording
from lookbook.serving import verification


def test_a_deployment_is_verified_by_the_version_that_answers(account: Any) -> None:
    package = account.register()
    config = account.deploy(package)
    with recording(TaskKey("retrain_attribute_model", "r", "verify")) as record:
        verified = verification.verify(config, package)
    assert verified.reference() == {
        "endpoint_name": account.name,
        "endpoint_config": config,
        "model_version": "v1",
    }
    assert record.details["model_version"] == "v1"


def test_an_update_replaces_the_version_that_answers(account: Any) -> None:
    account.deploy(account.register())
    package = account.register()
    assert verification.verify(account.deploy(package), package).model_version == "v2"


def test_an_update_that_was_rolled_back_fails_with_sagemakers_reason(account: Any) -> None:
    old = account.deploy(account.register())
    package = account.register(image="broken:local")
    config = account.deploy(package)
    with pytest.raises(PermanentError) as failure:
        verification.verify(config, package)
    assert f"InService with config {old}, expected InService with {config}. Reason: " in str(failure.value)
    assert "none given" not in str(failure.value)


def test_an_endpoint_where_another_version_answers_fails(account: Any) -> None:
    package = account.register(image="liar:local")
    with pytest.raises(PermanentError, match=r"model version v99 answers, expected v1"):
        verification.verify(account.deploy(package), package)


def test_an_endpoint_that_refuses_a_plain_picture_fails(account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    package = account.register()
    config = account.deploy(package)
    monkeypatch.setattr(verification, "smoke_picture", lambda: b"refuse me")
    with pytest.raises(PermanentError, match=r"refuses a plain picture: .*the container says 400"):
        verification.verify(config, package)


def test_an_endpoint_that_answers_rubbish_fails(account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    package = account.register()
    config = account.deploy(package)
    monkeypatch.setattr(verification, "smoke_picture", lambda: b"garbage please")
    with pytest.raises(PermanentError, match=r"<html>.*Is another image deployed there\?"):
        verification.verify(config, package)


def test_an_endpoint_that_is_on_its_way_out_fails(account: Any) -> None:
    package = account.register()
    config = account.deploy(package)
    client("sagemaker").delete_endpoint(EndpointName=account.name)
    with pytest.raises(PermanentError, match=r"is Deleting with config|There is no endpoint"):
        verification.verify(config, package)


def test_an_endpoint_that_is_not_there_fails(account: Any) -> None:
    with pytest.raises(PermanentError, match=f"There is no endpoint {account.name}, expected one with config new"):
        verification.verify("new", account.register())


def test_the_smoke_picture_is_a_picture() -> None:
    assert Image.open(io.BytesIO(verification.smoke_picture())).size == (64, 64)
