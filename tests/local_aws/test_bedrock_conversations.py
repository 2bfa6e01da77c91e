"""What surrounds a conversation: pictures, the prompt cache, guardrails."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.local_aws.conftest import LocalAws, picture_of

from local_aws.bedrock import pictures
from local_aws.bedrock.caching import LIFETIME_S, PromptCache
from local_aws.bedrock.conversation import Answer, CachePoint, Conversation, Guard, Message, ToolUse
from local_aws.bedrock.guardrails import Guardrails
from local_aws.bedrock.places import Place
from local_aws.errors import AwsError
from local_aws.settings import Guardrail

MODEL = "anthropic.claude-3-5-haiku-20241022-v1:0"
PROMPT = "<facts>\n- Fabric: Cotton\n</facts>"
GUARD = {"guardrailIdentifier": "shopguard", "guardrailVersion": "DRAFT", "trace": "enabled"}
CACHE_POINT = {"cachePoint": {"type": "default"}}


@pytest.fixture(scope="session")
def bedrock(gateway: LocalAws) -> Any:
    return gateway.client("bedrock-runtime")


def _ask(bedrock: Any, *content: Any, model: str = MODEL, **request: Any) -> dict[str, Any]:
    blocks = [{"text": block} if isinstance(block, str) else block for block in content]
    return dict(bedrock.converse(modelId=model, messages=[{"role": "user", "content": blocks}], **request))


def _refusal(bedrock: Any, *content: Any, code: str = "ValidationException", **request: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        _ask(bedrock, *content, **request)
    assert refusal.value.response["Error"]["Code"] == code
    return str(refusal.value.response["Error"]["Message"])


def _picture(data: bytes, form: str = "png") -> dict[str, Any]:
    return {"image": {"format": form, "source": {"bytes": data}}}


def test_a_picture_costs_tokens_and_is_not_looked_at(bedrock: Any) -> None:
    response = _ask(bedrock, _picture(picture_of(300, 200)), PROMPT)
    assert response["usage"]["inputTokens"] == 300 * 200 // 750 + -(-len(PROMPT) // 4)
    assert response["output"] == _ask(bedrock, PROMPT)["output"]
    assert "doesn't look at pictures" in response["ResponseMetadata"]["HTTPHeaders"]["x-local-aws-writer"]


@pytest.mark.parametrize("form", ["png", "jpeg", "gif", "webp"])
def test_four_formats_are_taken(form: str) -> None:
    assert pictures.read(form, picture_of(75, 10, form), "here").tokens == 1


def test_a_large_picture_costs_what_a_model_sees_of_it() -> None:
    assert pictures.read("png", picture_of(4000, 4000), "here").tokens == 1600
    assert pictures.read("png", picture_of(3136, 100), "here").tokens == round(1568 * 50 / 750)


@pytest.mark.parametrize(
    ("form", "data", "told"),
    [
        ("png", b"x", "Could not process image"),
        ("png", b"", "Could not process image"),
        ("jpeg", picture_of(2, 2), "does not match the provided media type image/jpeg"),
        ("png", bytes(pictures.MOST_BYTES + 1), "exceeds 3.75 MB maximum: 3932161 bytes"),
        ("png", picture_of(8001, 1), "max allowed size: 8000 pixels"),
    ],
)
def test_what_is_no_picture_for_bedrock_is_refused(form: str, data: bytes, told: str) -> None:
    with pytest.raises(AwsError, match=told) as refusal:
        pictures.read(form, data, "messages.0.content.0.image")
    assert refusal.value.message.startswith("The model returned the following errors: messages.0.content.0.image: ")


def test_pictures_in_the_wrong_place_are_refused(bedrock: Any) -> None:
    picture = _picture(picture_of(2, 2))
    assert "too many images" in _refusal(bedrock, *[picture] * 21)
    in_s3 = {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/key"}}}}
    assert "image in S3" in _refusal(bedrock, in_s3)


def _usage(bedrock: Any, system: str, text: str = PROMPT, model: str = "anthropic.cached") -> tuple[int, int, int]:
    usage = _ask(bedrock, text, model=model, system=[{"text": system}, CACHE_POINT])["usage"]
    assert usage["totalTokens"] == sum(tokens for name, tokens in usage.items() if name != "totalTokens")
    return usage["inputTokens"], usage["cacheWriteInputTokens"], usage["cacheReadInputTokens"]


def test_a_long_system_prompt_is_read_once(bedrock: Any) -> None:
    system, left = "You write about shirts. " * 200, -(-len(PROMPT) // 4)
    assert _usage(bedrock, system) == (left, 1200, 0)
    assert _usage(bedrock, system) == (left, 0, 1200)
    assert _usage(bedrock, system, "What else?\n" + PROMPT)[1:] == (0, 1200)
    assert _usage(bedrock, f"{system}!")[1:] == (1201, 0)
    assert _usage(bedrock, system, model="anthropic.another")[1:] == (1200, 0)


def test_a_prompt_below_the_models_least_length_is_not_kept(bedrock: Any) -> None:
    system = "You write about shirts. " * 200
    for _ in range(2):
        assert _usage(bedrock, system, model=MODEL) == (1200 + -(-len(PROMPT) // 4), 0, 0)


def test_a_model_without_a_cache_refuses_cache_points(bedrock: Any) -> None:
    request = {"system": [{"text": "x"}, CACHE_POINT], "model": "anthropic.claude-3-sonnet-20240229-v1:0"}
    assert "did not allow prompt caching" in _refusal(bedrock, PROMPT, code="AccessDeniedException", **request)
    assert "maximum of 4" in _refusal(bedrock, PROMPT, *[CACHE_POINT] * 5)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_not_read_for_five_minutes_is_forgotten() -> None:
    clock, place = Clock(), Place("m")
    cache, points = PromptCache(clock), [CachePoint(b"beginning", 2000)]
    assert (cache.read(place, points), cache.write(place, points, 0)) == (0, 2000)
    clock.now = LIFETIME_S - 1
    assert cache.read(place, points) == 2000
    clock.now += LIFETIME_S - 1
    assert cache.read(place, points) == 2000
    clock.now += LIFETIME_S
    assert cache.read(place, points) == 0


def test_a_longer_beginning_is_kept_behind_the_one_that_is() -> None:
    cache, place = PromptCache(Clock()), Place("m")
    short, long = CachePoint(b"short", 2000), CachePoint(b"long", 3000)
    cache.write(place, [short], 0)
    assert cache.read(place, [short, long]) == 2000
    assert cache.write(place, [short, long], 2000) == 1000
    assert cache.read(place, [short, long]) == 3000


def test_a_guardrail_blocks_what_is_asked(bedrock: Any) -> None:
    response = _ask(bedrock, "Is it a FAKE?", guardrailConfig=GUARD)
    assert response["stopReason"] == "guardrail_intervened"
    assert response["output"]["message"]["content"] == [{"text": "We don't say that."}]
    assert response["usage"]["totalTokens"] == 0
    found = response["trace"]["guardrail"]["inputAssessment"]["shopguard"]["wordPolicy"]["customWords"]
    assert found == [{"match": "FAKE", "action": "BLOCKED", "detected": True}]


def test_a_guardrail_reads_no_system_prompt(bedrock: Any) -> None:
    response = _ask(bedrock, PROMPT, guardrailConfig=GUARD, system=[{"text": "Never say cheap."}])
    assert response["stopReason"] == "end_turn"
    assert "trace" not in response


def _judged(answer: Answer, *, traced: bool = True) -> Answer:
    guardrails = Guardrails({"g": Guardrail(("cheap",), "No.", ("1",))})
    asked = Conversation("m", "", (Message("user", "x"),), 100, guard=Guard("g", "1", traced))
    return guardrails.after(asked, answer)


def test_a_guardrail_blocks_what_is_answered_and_its_tokens_are_paid() -> None:
    judged = _judged(Answer("A cheap shirt.", "end_turn", 3, 4, "writer"))
    assert (judged.text, judged.stop_reason, judged.tokens) == ("No.", "guardrail_intervened", 7)
    assert judged.trace["guardrail"]["outputAssessments"]["g"][0]["wordPolicy"]["customWords"][0]["match"] == "cheap"
    assert _judged(Answer("A cheap shirt.", "end_turn", 3, 4, "writer"), traced=False).trace == {}


def test_a_guardrail_does_not_read_what_a_tool_is_given() -> None:
    answer = Answer("", "tool_use", 3, 4, "writer", tool_use=ToolUse("t", "write", {"title": "cheap"}))
    assert _judged(answer) == answer


def test_words_are_whole_words(bedrock: Any) -> None:
    assert _ask(bedrock, f"Cheaply made.\n{PROMPT}", guardrailConfig=GUARD)["stopReason"] == "end_turn"


def test_an_unknown_guardrail_is_refused(bedrock: Any) -> None:
    told = "The guardrail identifier or version provided in the request does not exist."
    for changes in ({"guardrailIdentifier": "other"}, {"guardrailVersion": "7"}):
        assert _refusal(bedrock, PROMPT, guardrailConfig={**GUARD, **changes}) == told
