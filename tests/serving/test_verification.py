from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image
from tests.serving.conftest import BROKEN, DEAF, LIAR, RUBBISH, SLOW
from tests.training.reports import GOLDEN

from lookbook import storage
from lookbook.aws import client
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage.records import TaskKey, recording
from lookbook.serving import requests, verification
from lookbook.settings import get_settings
from lookbook.training import registry
from lookbook.vqa.questions import QUESTIONS


def golden(*texts: str, answer: str = "so") -> list[dict[str, str]]:
    """Golden questions about pictures that the container understands as texts."""
    return [
        GOLDEN[0] | {"name": text, "picture": base64.b64encode(text.encode()).decode(), "answer": answer}
        for text in texts
    ]


def verify(account: Any, image: str) -> None:
    package = account.register(image=image)
    verification.verify(account.deploy(package), package)


def test_a_deployment_is_verified_by_version_and_golden_answers(account: Any) -> None:
    package = account.register()
    config = account.deploy(package)
    with recording(TaskKey("retrain_attribute_model", "r", "verify")) as record:
        verified = verification.verify(config, package)
    assert (verified.endpoint_name, verified.endpoint_config) == (account.name, config)
    assert (verified.model_version, verified.instances, verified.golden) == ("v1", 1, 1)
    assert record.details["model_version"] == "v1"
    assert record.counts == {"instances": 1, "requests": 1, "golden_answers": 1}
    assert [call["questions"] for call in account.calls()] == [[QUESTIONS["Fabric"]]]


def test_an_update_replaces_the_version_that_answers(account: Any) -> None:
    account.deploy(account.register())
    package = account.register()
    assert verification.verify(account.deploy(package), package).model_version == "v2"


def test_every_golden_question_is_asked(account: Any) -> None:
    package = account.register()
    storage.write_json(account.golden_uri, golden("shirt one", "shirt two", "shirt three"))
    assert verification.verify(account.deploy(package), package).golden == 3
    assert [call["picture"] for call in account.calls()] == ["shirt one", "shirt two", "shirt three"]


def test_a_model_that_crashes_while_it_loads_fails_with_sagemakers_reason(account: Any) -> None:
    old = account.deploy(account.register())
    package = account.register(image=BROKEN)
    config = account.deploy(package)
    with pytest.raises(PermanentError) as failure:
        verification.verify(config, package)
    assert f"InService with config {old}, expected InService with {config}. Reason: " in str(failure.value)
    assert "none given" not in str(failure.value)


def test_a_model_whose_ping_never_answers_fails_with_sagemakers_reason(
    account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = account.deploy(account.register())
    request = requests.endpoint_config_request

    def impatient(*arguments: Any) -> dict[str, Any]:
        config = request(*arguments)
        del config["ProductionVariants"][0]["ContainerStartupHealthCheckTimeoutInSeconds"]
        return config

    monkeypatch.setattr(requests, "endpoint_config_request", impatient)
    package = account.register(image=DEAF)
    config = account.deploy(package)
    with pytest.raises(PermanentError, match=f"InService with config {old}, .* Reason: .*ping"):
        verification.verify(config, package)


def test_a_model_that_answers_rubbish_fails_and_is_quoted(account: Any) -> None:
    with pytest.raises(PermanentError) as failure:
        verify(account, RUBBISH)
    assert "Model v1 answers 1 of 1 golden questions otherwise than when it was evaluated" in str(failure.value)
    assert f"a.jpg: {QUESTIONS['Fabric']} 'rubbish', expected 'so'." in str(failure.value)


def test_of_many_wrong_answers_three_are_quoted(account: Any) -> None:
    package = account.register()
    storage.write_json(account.golden_uri, golden("one", "two", "three", "four", "five", answer="Fabric: Silk"))
    with pytest.raises(PermanentError, match=r"5 of 5 golden .*one: .*two: .*three: .*'Fabric: Silk'; and 2 more\."):
        verification.verify(account.deploy(package), package)


def test_a_model_that_is_slow_fails(account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_ENDPOINT_MAX_LATENCY_MS", "200")
    get_settings.cache_clear()
    with pytest.raises(
        PermanentError, match=r"Model v1 is slow: half of 1 answers took \d+ ms or more, expected at most 200"
    ):
        verify(account, SLOW)


def test_an_endpoint_where_another_version_answers_fails(account: Any) -> None:
    with pytest.raises(PermanentError, match=r"model version 'v99' answers 1 of 1 requests, expected v1"):
        verify(account, LIAR)


def test_an_endpoint_that_refuses_a_golden_picture_fails(account: Any) -> None:
    package = account.register()
    storage.write_json(account.golden_uri, golden("refuse me"))
    with pytest.raises(PermanentError, match=r"refuses refuse me: .*the container says 400"):
        verification.verify(account.deploy(package), package)


def test_an_endpoint_that_answers_in_another_form_fails(account: Any) -> None:
    package = account.register()
    storage.write_json(account.golden_uri, golden("garbage please"))
    with pytest.raises(PermanentError, match=r"<html>.*Is another image deployed there\?"):
        verification.verify(account.deploy(package), package)


def test_an_endpoint_that_fails_now_is_asked_again_later(account: Any) -> None:
    package = account.register()
    storage.write_json(account.golden_uri, golden("fail me"))
    with pytest.raises(RetryableError, match="does not answer"):
        verification.verify(account.deploy(package), package)


def test_a_model_of_before_there_were_golden_questions_is_asked_a_plain_one(
    account: Any, caplog: pytest.LogCaptureFixture
) -> None:
    package = account.register()
    storage.delete(account.golden_uri)
    verified = verification.verify(account.deploy(package), package)
    assert (verified.golden, verified.requests) == (0, 1)
    assert "only that it answers is checked" in caplog.text


def test_an_endpoint_that_is_on_its_way_out_fails(account: Any) -> None:
    package = account.register()
    config = account.deploy(package)
    client("sagemaker").delete_endpoint(EndpointName=account.name)
    with pytest.raises(PermanentError, match=r"is Deleting with config|There is no endpoint"):
        verification.verify(config, package)


def test_an_endpoint_that_is_not_there_fails(account: Any) -> None:
    with pytest.raises(PermanentError, match=f"There is no endpoint {account.name}, expected one with config new"):
        verification.verify("new", account.register())


def test_every_instance_is_asked_often_enough(account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    package = account.register()
    config = account.deploy(package)
    three = account.endpoint()
    three["ProductionVariants"][0]["CurrentInstanceCount"] = 3
    monkeypatch.setattr(registry, "describe_endpoint", lambda _: three)
    verified = verification.verify(config, package)
    assert (verified.instances, verified.requests) == (3, verification.enough(3))
    assert len(account.calls()) == verified.requests


@pytest.mark.parametrize("instances", [2, 3, 10])
def test_an_instance_with_another_model_is_hardly_ever_missed(instances: int) -> None:
    requests_sent = verification.enough(instances)
    missed = (1 - 1 / instances) ** requests_sent
    assert missed <= verification.CHANCE_OF_MISSING < (1 - 1 / instances) ** (requests_sent - 1)


def test_one_instance_is_asked_once() -> None:
    assert verification.enough(1) == 1


def test_the_plain_picture_is_a_picture() -> None:
    assert Image.open(io.BytesIO(verification.plain_picture())).size == (64, 64)
