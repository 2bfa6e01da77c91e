"""What is sent to a model and what is made of its answer, by the form of the Converse API."""

from __future__ import annotations

import base64
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator
from tests.descriptions.conftest import PROSE, STRUCTURED, handed_over, work_item

from lookbook.descriptions import conversation
from lookbook.descriptions.conversation import MalformedReplyError, Reply, first_messages, repair_messages, request_of
from lookbook.descriptions.plans import WorkItem
from lookbook.errors import PermanentError
from lookbook.settings import get_settings

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")
TEXT = {
    "title": "Blue Cotton Shirt",
    "description": "A blue shirt of cotton, for days that ask little.",
    "bullet_points": ["Blue cotton"],
    "keywords": ["blue shirt"],
    "language": "en-GB",
}


def item(version: str = STRUCTURED) -> WorkItem:
    return work_item(prompt=version)


def reply(answer: tuple[int, Any, str | None]) -> Reply:
    return conversation.reply_of(answer[1] | {"ResponseMetadata": {"RequestId": "request-1"}})


def conforms(request: dict[str, Any]) -> None:
    """Check a request against botocore's own model of Converse."""
    service = boto3.Session().client("bedrock-runtime", region_name="us-east-1").meta.service_model
    shape = service.operation_model("Converse").input_shape
    assert not ParamValidator().validate(request | {"modelId": "m"}, shape).generate_report()


def test_a_structured_prompt_has_its_tool_used_and_its_system_text_cached() -> None:
    request = request_of(item(), first_messages(item()))
    conforms(request)
    assert request["system"][1:] == [{"cachePoint": {"type": "default"}}]
    assert request["toolConfig"]["toolChoice"] == {"tool": {"name": "write_product_text"}}
    [tool] = request["toolConfig"]["tools"]
    assert tool["toolSpec"]["name"] == "write_product_text"
    assert set(tool["toolSpec"]["inputSchema"]["json"]["properties"]) == set(TEXT)
    assert request["inferenceConfig"] == {"maxTokens": 900}
    assert "guardrailConfig" not in request


def test_a_prose_prompt_asks_for_no_tool_and_states_its_temperature() -> None:
    request = request_of(item(PROSE), first_messages(item(PROSE)))
    conforms(request)
    assert set(request) == {"system", "messages", "inferenceConfig"}
    assert request["inferenceConfig"] == {"maxTokens": 400, "temperature": 0.0}


def test_the_system_text_is_the_same_for_every_product() -> None:
    other = work_item(prompt=STRUCTURED, Article_Type="Watches", Brand="Fossil")
    assert request_of(other, [])["system"] == request_of(item(), [])["system"]


def test_a_guardrail_goes_along_by_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_GUARDRAIL_ID", "gr-1")
    monkeypatch.setenv("LOOKBOOK_GUARDRAIL_VERSION", "3")
    get_settings.cache_clear()
    request = request_of(item(), first_messages(item()))
    conforms(request)
    assert request["guardrailConfig"] == {"guardrailIdentifier": "gr-1", "guardrailVersion": "3"}


def test_a_picture_comes_before_the_facts_and_stays_there_in_a_repair() -> None:
    for messages in (first_messages(item()), repair_messages(item(), reply(handed_over(TEXT)), ["wrong"])):
        request = request_of(item(), messages, PNG)
        conforms(request)
        image, asked = request["messages"][0]["content"]
        assert image["image"] == {"format": "png", "source": {"bytes": PNG}}
        assert asked["text"].startswith("<facts>")
        assert len(messages[0]["content"]) == 1


def test_a_picture_of_a_kind_that_bedrock_does_not_take_is_refused() -> None:
    with pytest.raises(PermanentError, match=r"begins with b'BM1234'.*jpeg, png, gif, webp"):
        request_of(item(), first_messages(item()), b"BM1234")


def test_a_tools_input_is_given_back_as_the_failed_result_of_its_use() -> None:
    messages = repair_messages(item(), reply(handed_over(TEXT, tool_use_id="tooluse_7")), ["it doesn't state X"])
    conforms(request_of(item(), messages))
    assert [turn["role"] for turn in messages] == ["user", "assistant", "user"]
    assert messages[1]["content"][0]["toolUse"]["input"] == TEXT
    [block] = messages[2]["content"]
    assert (block["toolResult"]["toolUseId"], block["toolResult"]["status"]) == ("tooluse_7", "error")
    [told] = block["toolResult"]["content"]
    assert "- it doesn't state X\n" in told["text"]


def test_only_one_of_several_uses_of_a_tool_is_answered() -> None:
    status, answer, code = handed_over(TEXT)
    second = {"toolUse": {"toolUseId": "other", "name": "write_product_text", "input": {}}}
    answer["output"]["message"]["content"] += [{"text": "Here you are."}, second]
    messages = repair_messages(item(), reply((status, answer, code)), ["wrong"])
    assert len(messages[1]["content"]) == len(messages[2]["content"]) == 1


def test_prose_is_answered_with_prose_and_nothing_with_the_first_question() -> None:
    prose = Reply("A shirt.", "r", 1, 1, "end_turn", content=({"text": "A shirt."},))
    assert repair_messages(item(), prose, ["wrong"])[1] == {"role": "assistant", "content": [{"text": "A shirt."}]}
    nothing = Reply("", "r", 1, 1, "malformed_tool_use")
    assert repair_messages(item(), nothing, ["wrong"]) == first_messages(item())


def test_a_tools_input_that_is_no_object_is_not_sent_back() -> None:
    broken = reply(handed_over('{"title": "Blu'))  # type: ignore[arg-type]
    assert broken.tool_use is None
    assert repair_messages(item(), broken, ["wrong"]) == first_messages(item())


def test_tokens_from_the_cache_are_input_tokens() -> None:
    _, answer, _ = handed_over(TEXT)
    answer["usage"] |= {"inputTokens": 100, "cacheReadInputTokens": 2000, "cacheWriteInputTokens": 30}
    read = reply((200, answer, None))
    assert (read.input_tokens, read.cached_tokens, read.cache_written_tokens) == (2130, 2000, 30)


@pytest.mark.parametrize(
    ("stop_reason", "withheld"),
    [
        ("tool_use", None),
        ("malformed_tool_use", None),
        ("max_tokens", "truncated"),
        ("guardrail_intervened", "guardrail"),
        ("content_filtered", "content_filtered"),
    ],
)
def test_what_a_stop_reason_means_for_the_text(stop_reason: str, withheld: str | None) -> None:
    assert reply(handed_over(TEXT, stop_reason=stop_reason)).withheld == withheld


@pytest.mark.parametrize("content", [None, [None], ["text"], [{"text": None}]])
def test_a_response_of_another_form_is_malformed(content: Any) -> None:
    _, answer, _ = handed_over(TEXT)
    answer["output"]["message"]["content"] = content
    with pytest.raises(MalformedReplyError, match="no Converse response"):
        reply((200, answer, None))
