"""Requests in the form of batch records, and back."""

from __future__ import annotations

import base64
from typing import Any

import boto3
import orjson
import pytest
from tests.descriptions.batch import output
from tests.descriptions.conftest import conforms, work_item

from lookbook.descriptions import batch_records
from lookbook.descriptions.conversation import MalformedReplyError, first_messages, message, reply_of, request_of
from lookbook.errors import PermanentError

CLAUDE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
TOOL = {"name": "write_product_text", "description": "Takes the text.", "inputSchema": {"json": {"type": "object"}}}
REQUEST: dict[str, Any] = {
    "system": [{"text": "You write."}, {"cachePoint": {"type": "default"}}],
    "messages": [message("user", "Describe it.")],
    "inferenceConfig": {"maxTokens": 400, "temperature": 0.2},
    "toolConfig": {"tools": [{"toolSpec": TOOL}], "toolChoice": {"tool": {"name": "write_product_text"}}},
}


def test_a_record_asks_what_the_live_request_asks() -> None:
    assert batch_records.body_of(REQUEST) == {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 400,
        "temperature": 0.2,
        "system": [{"type": "text", "text": "You write."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Describe it."}]}],
        "tools": [{"name": "write_product_text", "description": "Takes the text.", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "write_product_text"},
    }


def test_the_request_of_a_product_is_a_record_of_one_line() -> None:
    item = work_item()
    line = batch_records.line_of(item.input_hash, request_of(item, first_messages(item)))
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    record = orjson.loads(line)
    assert record["recordId"] == item.input_hash
    assert "- Fabric: Cotton" in record["modelInput"]["messages"][0]["content"][0]["text"]


def test_a_picture_goes_along_as_base64() -> None:
    image = {"image": {"format": "jpeg", "source": {"bytes": b"\xff\xd8\xff"}}}
    body = batch_records.body_of(REQUEST | {"messages": [{"role": "user", "content": [image]}]})
    source = {"type": "base64", "media_type": "image/jpeg", "data": base64.b64encode(b"\xff\xd8\xff").decode()}
    assert body["messages"][0]["content"] == [{"type": "image", "source": source}]


def test_what_a_record_can_not_hold_is_refused() -> None:
    with pytest.raises(PermanentError, match="document"):
        batch_records.body_of(REQUEST | {"messages": [{"role": "user", "content": [{"document": {}}]}]})


@pytest.mark.parametrize(
    ("model", "extra", "why"),
    [
        (CLAUDE, {}, None),
        ("anthropic.claude-3-sonnet-20240229-v1:0", {}, None),
        ("amazon.nova-lite-v1:0", {}, "no Claude model"),
        (CLAUDE, {"guardrailConfig": {"guardrailIdentifier": "g"}}, "no place for guardrailConfig"),
    ],
)
def test_only_what_a_batch_job_takes_goes_by_batch(model: str, extra: dict[str, Any], why: str | None) -> None:
    said = batch_records.unfit(model, REQUEST | extra)
    assert (said is None) if why is None else (said is not None and why in said)


def test_an_answer_is_read_like_a_live_one() -> None:
    reply = reply_of(batch_records.answer_of(output("A blue shirt.", input_tokens=7, output_tokens=3)))
    assert (reply.text, reply.input_tokens, reply.output_tokens) == ("A blue shirt.", 7, 3)
    assert (reply.request_id, reply.withheld) == ("msg_bdrk_01", None)


def test_a_tool_use_of_an_answer_is_converses() -> None:
    used = {"type": "tool_use", "id": "toolu_1", "name": "write_product_text", "input": {"title": "Shirt"}}
    answer = batch_records.answer_of(output("", "tool_use") | {"content": [used]})
    told = {"toolUseId": "toolu_1", "name": "write_product_text", "input": {"title": "Shirt"}}
    assert answer["output"]["message"]["content"] == [{"toolUse": told}]
    assert answer["stopReason"] == "tool_use"


@pytest.mark.parametrize("stop_reason", ["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"])
def test_every_answer_conforms_to_converse(stop_reason: str) -> None:
    answer = batch_records.answer_of(output("A shirt.", stop_reason)) | {"metrics": {"latencyMs": 1}}
    del answer["ResponseMetadata"]
    runtime = boto3.client("bedrock-runtime", region_name="us-east-1").meta.service_model
    conforms(answer, runtime.operation_model("Converse").output_shape)


def test_a_refusal_of_the_model_is_withheld() -> None:
    assert reply_of(batch_records.answer_of(output("", "refusal"))).withheld == "content_filtered"


@pytest.mark.parametrize("broken", [None, {}, {"usage": {}}, output("x") | {"content": [{"type": "text"}]}])
def test_an_answer_that_lacks_something_is_malformed(broken: Any) -> None:
    with pytest.raises(MalformedReplyError):
        batch_records.answer_of(broken)
