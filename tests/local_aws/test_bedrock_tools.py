"""Converse with tools: what is written into them, and what AWS refuses of a conversation that has any."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.local_aws.conftest import LocalAws

from local_aws.bedrock.conversation import Tool
from local_aws.bedrock.structured import fill
from local_aws.errors import AwsError

MODEL = "anthropic.claude-3-5-haiku-20241022-v1:0"
FACTS = [("Article Type", "Shirts"), ("baseColour", "Navy Blue"), ("Fabric", "Cotton"), ("Fit", "Slim Fit")]
PROMPT = "Write.\n<facts>\n" + "\n".join(f"- {name}: {value}" for name, value in FACTS) + "\n</facts>"
STRINGS = {"type": "array", "items": {"type": "string"}}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "description": {"type": "string"},
        "bullet_points": STRINGS,
        "keywords": STRINGS,
        "language": {"type": "string"},
    },
    "required": ["title", "description", "bullet_points", "keywords", "language"],
}
CONFIG = {
    "tools": [{"toolSpec": {"name": "write_product_text", "inputSchema": {"json": SCHEMA}}}],
    "toolChoice": {"tool": {"name": "write_product_text"}},
}
ASKED = {"role": "user", "content": [{"text": PROMPT}]}


@pytest.fixture(scope="session")
def bedrock(gateway: LocalAws) -> Any:
    return gateway.client("bedrock-runtime")


def _called(identity: str = "t1") -> dict[str, Any]:
    use = {"toolUseId": identity, "name": "write_product_text", "input": {}}
    return {"role": "assistant", "content": [{"toolUse": use}]}


def _result(*identities: str) -> dict[str, Any]:
    blocks = [{"toolResult": {"toolUseId": one, "content": [{"text": "x"}], "status": "error"}} for one in identities]
    return {"role": "user", "content": blocks}


def _refusal(bedrock: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        bedrock.converse(modelId=MODEL, **request)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    return str(refusal.value.response["Error"]["Message"])


def test_a_forced_tool_is_called_with_the_products_text(bedrock: Any) -> None:
    response = bedrock.converse(modelId=MODEL, messages=[ASKED], toolConfig=CONFIG)
    (block,) = response["output"]["message"]["content"]
    use = block["toolUse"]
    assert (response["stopReason"], use["name"]) == ("tool_use", "write_product_text")
    assert use["input"]["title"] == "Navy Blue Shirts"
    assert use["input"]["bullet_points"][2] == "Fabric: Cotton"
    assert use["input"]["keywords"] == ["shirts", "navy blue", "cotton", "slim fit"]
    assert use["input"]["language"] == "en-GB"
    assert all(value in use["input"]["description"] for _, value in FACTS)
    assert response["usage"]["outputTokens"] == -(-len(json.dumps(use["input"], separators=(",", ":"))) // 4)


def test_a_rejected_text_is_written_again_from_the_same_facts(bedrock: Any) -> None:
    first = bedrock.converse(modelId=MODEL, messages=[ASKED], toolConfig=CONFIG)["output"]["message"]
    identity = first["content"][0]["toolUse"]["toolUseId"]
    again = bedrock.converse(modelId=MODEL, messages=[ASKED, first, _result(identity)], toolConfig=CONFIG)
    use = again["output"]["message"]["content"][0]["toolUse"]
    assert use["toolUseId"] != identity
    assert all(value in use["input"]["description"] for _, value in FACTS)


def test_a_tool_that_need_not_be_called_is_called(bedrock: Any) -> None:
    for config in ({"tools": CONFIG["tools"]}, {"tools": CONFIG["tools"], "toolChoice": {"any": {}}}):
        assert bedrock.converse(modelId=MODEL, messages=[ASKED], toolConfig=config)["stopReason"] == "tool_use"


def test_an_input_that_is_too_long_is_cut_off(bedrock: Any) -> None:
    request = {"messages": [ASKED], "toolConfig": CONFIG, "inferenceConfig": {"maxTokens": 20}}
    response = bedrock.converse(modelId=MODEL, **request)
    assert response["stopReason"] == "max_tokens"
    assert response["usage"]["outputTokens"] <= 20
    assert list(response["output"]["message"]["content"][0]["toolUse"]["input"]) == ["title"]


def test_invoke_model_calls_tools_too(bedrock: Any) -> None:
    tool = {"name": "write_product_text", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}}
    turns: list[dict[str, Any]] = [{"role": "user", "content": PROMPT}]
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 500,
        "messages": turns,
        "tools": [tool],
        "tool_choice": {"type": "tool", "name": tool["name"]},
    }
    answer = json.load(bedrock.invoke_model(modelId=MODEL, body=json.dumps(body))["body"])
    (use,) = answer["content"]
    assert (answer["stop_reason"], use["type"], use["input"]["title"]) == ("tool_use", "tool_use", "Navy Blue Shirts")
    assert answer["usage"]["cache_read_input_tokens"] == 0

    result = {"type": "tool_result", "tool_use_id": use["id"], "content": "Mend it.", "is_error": True}
    turns += [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": [result]}]
    again = json.load(bedrock.invoke_model(modelId=MODEL, body=json.dumps(body))["body"])
    assert again["content"][0]["input"]["title"] == "Navy Blue Shirts"


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"messages": [ASKED, _called(), _result("t1")]}, "toolConfig field must be defined when using toolUse"),
        (
            {"messages": [_result("t1")], "toolConfig": CONFIG},
            "number of toolResult blocks at messages.0.content exceeds the number of toolUse blocks of previous turn",
        ),
        (
            {"messages": [ASKED, _called(), ASKED], "toolConfig": CONFIG},
            "Expected toolResult blocks at messages.2.content for the following Ids: t1",
        ),
        (
            {"messages": [ASKED, _called(), _result("t2")], "toolConfig": CONFIG},
            "Expected toolResult blocks at messages.2.content for the following Ids: t1",
        ),
        (
            {"messages": [{**_called(), "role": "user"}], "toolConfig": CONFIG},
            "`tool_use` blocks can only be in `assistant` messages",
        ),
        (
            {"messages": [ASKED], "toolConfig": {**CONFIG, "toolChoice": {"tool": {"name": "other"}}}},
            "Tool 'other' not found in provided tools",
        ),
        ({"messages": [ASKED], "toolConfig": {"tools": CONFIG["tools"] * 2}}, "Tool names must be unique"),
        (
            {
                "messages": [ASKED],
                "toolConfig": {"tools": [{"toolSpec": {"name": "x", "inputSchema": {"json": {"type": "string"}}}}]},
            },
            "toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the following: object",
        ),
    ],
)
def test_aws_refuses_tools_that_do_not_fit(bedrock: Any, request_: dict[str, Any], told: str) -> None:
    assert told in _refusal(bedrock, **request_)


def _filled(facts: list[tuple[str, str]] = FACTS, **properties: Any) -> dict[str, Any]:
    return fill(Tool("t", "", {"type": "object", "properties": properties}), facts, "seed")


def test_lengths_and_counts_of_the_schema_are_kept_to() -> None:
    short = {"type": "array", "maxItems": 2, "items": {"type": "string", "maxLength": 10}}
    filled = _filled(title={"maxLength": 12}, bullet_points=short, keywords={"maxItems": 1})
    assert filled == {"title": "Navy Blue", "bullet_points": ["Article", "baseColour"], "keywords": ["shirts"]}


@pytest.mark.parametrize(
    ("allowed", "said"), [(["en-GB", "de"], "en-GB"), (["de", "en-US"], "en-US"), (["de-DE"], "en-GB"), (None, "en-GB")]
)
def test_the_language_is_english_whatever_is_asked_for(allowed: list[str] | None, said: str) -> None:
    assert _filled(language={"enum": allowed} if allowed else {}) == {"language": said}


def test_without_a_name_or_a_type_the_first_facts_are_the_title() -> None:
    assert (
        _filled([("Fabric", "Cotton"), ("Fit", "Slim Fit"), ("Neck", "Round")], title={})["title"] == "Cotton, Slim Fit"
    )


def test_a_tool_for_something_else_is_refused() -> None:
    judge = Tool("judge", "", {"type": "object", "properties": {"faithful": {}}, "required": ["faithful"]})
    with pytest.raises(AwsError, match=r"'judge'.*can't write faithful"):
        fill(judge, FACTS, "seed")
