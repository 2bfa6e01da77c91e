"""What a call to Bedrock gives back, and which failures are worth another try."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from tests.descriptions.conftest import AT_ONCE, PROSE, SOON, ScriptedBedrock, refused, said, work_item

from lookbook.descriptions import prompts
from lookbook.descriptions.asking import Backoff, asking
from lookbook.descriptions.bedrock import ThrottledError, _translated
from lookbook.descriptions.conversation import Reply, message, request_of
from lookbook.descriptions.cost import cost_usd, price_list
from lookbook.errors import PermanentError, RetryableError
from lookbook.settings import get_settings

MODEL = "anthropic.claude-3-5-haiku-20241022-v1:0"


async def ask(backoff: Backoff = AT_ONCE) -> Reply:
    async with asking(MODEL, backoff=backoff, alone=True) as asked:
        return await asked.ask(request_of(work_item(), [message("user", "Hello")]), asked.turn(0))


async def test_a_reply_has_its_text_tokens_and_request_id(bedrock: ScriptedBedrock) -> None:
    bedrock.script = [said("A blue\n shirt. ", input_tokens=11, output_tokens=5)]
    reply = await ask()
    assert (reply.text, reply.input_tokens, reply.output_tokens) == ("A blue shirt.", 11, 5)
    assert len(reply.request_id) == 36
    assert reply.withheld is None


async def test_a_request_carries_prompt_and_settings(bedrock: ScriptedBedrock) -> None:
    bedrock.script = [said("Hi.")]
    await ask()
    [request] = bedrock.requests
    assert request["modelId"] == MODEL
    assert request["system"] == [{"text": prompts.load(PROSE).system}]
    assert request["inferenceConfig"] == {"maxTokens": 400, "temperature": 0.0}
    assert request["messages"] == [{"role": "user", "content": [{"text": "Hello"}]}]


@pytest.mark.parametrize(
    ("model_id", "points"),
    [(MODEL, 1), ("anthropic.claude-3-sonnet-20240229-v1:0", 0), ("somebody.unlisted-v1:0", 0)],
)
async def test_only_a_model_that_keeps_prompts_is_told_to(bedrock: ScriptedBedrock, model_id: str, points: int) -> None:
    bedrock.script = [said("Hi.")]
    system = [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}]
    request = request_of(work_item(), [message("user", "Hello")]) | {"system": system}
    async with asking(model_id, backoff=AT_ONCE, alone=True) as asked:
        await asked.ask(request, asked.turn(0))
    [sent] = bedrock.requests
    assert sent["system"] == system[: 1 + points]


@pytest.mark.parametrize(
    "failure",
    [
        refused("ThrottlingException", 429),
        refused("ServiceUnavailableException", 503),
        refused("InternalServerException", 500),
        refused("ModelTimeoutException", 408),
        refused("ModelErrorException", 424),
        (502, b"<html>bad gateway</html>", None),
        (200, b"{not json", None),
        (200, {"metrics": {"latencyMs": 1}}, "malformed"),
    ],
    ids=lambda failure: f"{failure[0]}-{failure[2]}",
)
async def test_what_time_can_mend_is_tried_again(bedrock: ScriptedBedrock, failure: tuple) -> None:
    if failure[2] == "malformed":
        failure = (200, b'{"metrics": {"latencyMs": 1}}', None)
    bedrock.script = [failure, said("At last.")]
    assert (await ask()).text == "At last."
    assert len(bedrock.requests) == 2


async def test_a_call_that_never_succeeds_can_be_retried_later(bedrock: ScriptedBedrock) -> None:
    bedrock.script = [refused("InternalServerException", 500, "Out of order")] * 3
    with pytest.raises(RetryableError, match=r"no answer in 3 attempts.*Out of order"):
        await ask()


async def test_a_throttled_call_is_tried_until_its_time_is_over(bedrock: ScriptedBedrock) -> None:
    bedrock.respond = lambda request: refused("ThrottlingException", 429, "Too many requests")
    with pytest.raises(RetryableError, match=r"gave no answer.*Too many requests"):
        await ask(SOON)
    assert len(bedrock.requests) > SOON.attempts


def test_a_throttle_says_for_how_long_the_service_wants_no_calls() -> None:
    metadata = {"HTTPStatusCode": 429, "HTTPHeaders": {"retry-after": "7"}}
    response = {"Error": {"Code": "ThrottlingException", "Message": "slow down"}, "ResponseMetadata": metadata}
    throttled = _translated(ClientError(response, "Converse"), MODEL)
    assert isinstance(throttled, ThrottledError)
    assert throttled.retry_after_s == 7


async def test_an_address_where_nobody_listens_can_be_retried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://127.0.0.1:9")
    with pytest.raises(RetryableError, match="EndpointConnectionError"):
        await ask()


@pytest.mark.parametrize(
    "failure",
    [
        refused("ValidationException", 400),
        refused("AccessDeniedException", 403),
        refused("ResourceNotFoundException", 404),
    ],
)
async def test_a_refusal_is_permanent_and_asked_once(bedrock: ScriptedBedrock, failure: tuple) -> None:
    bedrock.script = [failure]
    with pytest.raises(PermanentError, match=rf"{failure[2]}.*LOOKBOOK_TEXT_MODEL_ID"):
        await ask()
    assert len(bedrock.requests) == 1


async def test_missing_credentials_are_permanent(bedrock: ScriptedBedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with pytest.raises(PermanentError, match="credentials"):
        await ask()


@pytest.mark.parametrize(
    ("stop_reason", "reason"),
    [("content_filtered", "content_filtered"), ("guardrail_intervened", "guardrail"), ("max_tokens", "truncated")],
)
async def test_a_text_that_must_not_be_used_says_why(bedrock: ScriptedBedrock, stop_reason: str, reason: str) -> None:
    bedrock.script = [said("Half a", stop_reason)]
    assert (await ask()).withheld == reason


def test_waits_grow_and_are_capped() -> None:
    backoff = Backoff(base_s=1, cap_s=5)
    assert all(0 <= backoff.wait_s(1) <= 2 for _ in range(50))
    assert all(0 <= backoff.wait_s(9) <= 5 for _ in range(50))
    assert len({backoff.wait_s(5) for _ in range(50)}) > 1


def test_cost_is_the_list_price() -> None:
    assert cost_usd("anthropic.claude-3-5-haiku-20241022-v1:0", 1_000_000, 500_000) == pytest.approx(0.8 + 2.0)


def test_a_model_without_a_price_has_no_cost_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert cost_usd("nobody.knows-v1:0", 1, 1) is None
    assert "no price of nobody.knows-v1:0" in caplog.text


def test_the_price_list_names_its_source_and_has_the_default_model() -> None:
    assert "https://aws.amazon.com/bedrock/pricing/" in price_list()["source"]
    assert get_settings().text_model_id in price_list()["models"]
