"""Converse and InvokeModel, through plain boto3."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.local_aws.conftest import LocalAws, picture_of

MODEL = "anthropic.claude-3-5-haiku-20241022-v1:0"
PROMPT = "Write a description.\n<facts>\n- Name: Turtle Men Check Shirt\n- Fabric: Cotton\n- Fit: Slim Fit\n</facts>"


@pytest.fixture(scope="session")
def bedrock(gateway: LocalAws) -> Any:
    return gateway.client("bedrock-runtime")


def _turn(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": [{"text": text}]}


def _body(**changes: Any) -> bytes:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 200,
        "messages": [{"role": "user", "content": PROMPT}],
    }
    return json.dumps({key: value for key, value in {**body, **changes}.items() if value is not None}).encode()


def _refused(call: Any, **request: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as refusal:
        call(**request)
    response = refusal.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


def test_converse_writes_the_facts_and_counts_tokens(bedrock: Any) -> None:
    response = bedrock.converse(modelId=MODEL, system=[{"text": "You write."}], messages=[_turn(PROMPT)])
    (block,) = response["output"]["message"]["content"]
    for value in ("Turtle Men Check Shirt", "Cotton", "Slim Fit"):
        assert block["text"].count(value) == 1
    usage = response["usage"]
    assert usage["inputTokens"] == -(-len(PROMPT) // 4) + 3
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    assert response["stopReason"] == "end_turn"
    assert response["metrics"]["latencyMs"] >= 1
    assert len(response["ResponseMetadata"]["RequestId"]) == 36


def test_the_writer_says_what_it_is_beside_the_text(bedrock: Any) -> None:
    response = bedrock.converse(modelId=MODEL, messages=[_turn(PROMPT)])
    assert "not a foundation model" in response["ResponseMetadata"]["HTTPHeaders"]["x-local-aws-writer"]
    assert "LocalWriter" not in response["output"]["message"]["content"][0]["text"]


def test_a_model_may_be_named_by_its_arn(bedrock: Any) -> None:
    arn = f"arn:aws:bedrock:us-east-1::foundation-model/{MODEL}"
    assert bedrock.converse(modelId=arn, messages=[_turn(PROMPT)])["stopReason"] == "end_turn"


def test_an_answer_ends_at_max_tokens_and_stop_sequences(bedrock: Any) -> None:
    short = bedrock.converse(modelId=MODEL, messages=[_turn(PROMPT)], inferenceConfig={"maxTokens": 3})
    assert (short["stopReason"], short["usage"]["outputTokens"]) == ("max_tokens", 3)
    stopped = bedrock.converse(modelId=MODEL, messages=[_turn(PROMPT)], inferenceConfig={"stopSequences": ["Shirt"]})
    assert stopped["stopReason"] == "stop_sequence"
    assert "Shirt" not in stopped["output"]["message"]["content"][0]["text"]


def test_invoke_model_speaks_anthropics_form(bedrock: Any) -> None:
    response = bedrock.invoke_model(modelId=MODEL, body=_body(), contentType="application/json")
    body = json.loads(response["body"].read())
    assert (body["type"], body["role"], body["stop_reason"]) == ("message", "assistant", "end_turn")
    assert "Cotton" in body["content"][0]["text"]
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    assert int(headers["x-amzn-bedrock-input-token-count"]) == body["usage"]["input_tokens"]
    assert int(headers["x-amzn-bedrock-output-token-count"]) == body["usage"]["output_tokens"]


def test_both_apis_write_the_same(bedrock: Any) -> None:
    blocks = [{"type": "text", "text": PROMPT}]
    body = json.loads(
        bedrock.invoke_model(modelId=MODEL, body=_body(messages=[{"role": "user", "content": blocks}]))["body"].read()
    )
    other = bedrock.converse(modelId=MODEL, messages=[_turn(PROMPT)])
    assert body["content"][0]["text"] == other["output"]["message"]["content"][0]["text"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"max_tokens": None}, "required key [max_tokens] not found"),
        ({"anthropic_version": None}, "required key [anthropic_version] not found"),
        ({"anthropic_version": "2020"}, "Invalid API version"),
        ({"max_tokens": 0}, "greater than or equal to 1"),
        ({"messages": "hello"}, "expected an array"),
        ({"messages": []}, "must start with a user message"),
        ({"messages": [{"role": "system", "content": "x"}]}, "Unexpected role"),
        ({"tools": [{}]}, "required key [name] not found"),
        ({"tools": [{"name": "bash", "type": "bash_20250124"}]}, "not supported"),
        ({"thinking": {"type": "enabled"}}, "not supported"),
    ],
)
def test_a_malformed_invoke_is_a_validation_exception(bedrock: Any, changes: dict[str, Any], told: str) -> None:
    status, code, message = _refused(bedrock.invoke_model, modelId=MODEL, body=_body(**changes))
    assert (status, code) == (400, "ValidationException")
    assert told in message


def test_a_body_that_is_not_json_is_refused(bedrock: Any) -> None:
    assert _refused(bedrock.invoke_model, modelId=MODEL, body=b"\xff\x00")[0] == 400


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"messages": []}, "must start with a user message"),
        ({"messages": [_turn("x", "assistant")]}, "must start with a user message"),
        ({"messages": [_turn("x"), _turn("y")]}, "must alternate"),
        ({"messages": [_turn(" ")]}, "is blank"),
        ({"messages": [_turn("x")], "inferenceConfig": {"temperature": 7.0}}, "less than or equal to 1"),
        (
            {"messages": [{"role": "user", "content": [{"video": {"format": "mov", "source": {"bytes": b"x"}}}]}]},
            "doesn't support the video field",
        ),
    ],
)
def test_a_malformed_conversation_is_a_validation_exception(bedrock: Any, request_: dict[str, Any], told: str) -> None:
    status, code, message = _refused(bedrock.converse, modelId=MODEL, **request_)
    assert (status, code) == (400, "ValidationException")
    assert told in message


def test_requests_above_the_quota_are_throttled(bedrock: Any) -> None:
    request = {"modelId": "anthropic.one-a-minute", "messages": [_turn(PROMPT)]}
    bedrock.converse(**request)
    with pytest.raises(ClientError, match=r"ThrottlingException.*Too many requests, please wait") as refusal:
        bedrock.converse(**request)
    answered = refusal.value.response["ResponseMetadata"]
    assert (answered["HTTPStatusCode"], int(answered["HTTPHeaders"]["retry-after"])) == (429, pytest.approx(60, abs=30))


def test_tokens_above_the_quota_are_throttled(bedrock: Any) -> None:
    request = {"modelId": "anthropic.few-tokens", "messages": [_turn(PROMPT)]}
    code, message = _refused(bedrock.converse, **request, inferenceConfig={"maxTokens": 500})[1:]
    assert (code, message) == ("ThrottlingException", "Too many tokens, please wait before trying again.")
    bedrock.converse(**request, inferenceConfig={"maxTokens": 100})


def test_other_bedrock_operations_are_unknown(gateway: LocalAws, bedrock: Any) -> None:
    assert _refused(gateway.client("bedrock").list_foundation_models)[:2] == (400, "UnknownOperationException")
    assert _refused(bedrock.count_tokens, modelId=MODEL, input={"converse": {"messages": [_turn("x")]}})[0] == 400


class Completions(BaseHTTPRequestHandler):
    """An OpenAI-compatible server: echoes what it was asked, in a tool's input if it has one, or fails when told to."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        broken = asked["messages"][-1]["content"] == "break"
        message = {"content": f"{self.path} {json.dumps(asked)}"}
        if "tools" in asked:
            called = {"name": asked["tools"][0]["function"]["name"], "arguments": json.dumps({"asked": asked})}
            message = {"content": None, "tool_calls": [{"id": "call-1", "function": called}]}
        choice = {"message": message, "finish_reason": "length"}
        usage = {"prompt_tokens": 11, "completion_tokens": 7}
        answer = json.dumps({"error": "no"} if broken else {"model": "real", "choices": [choice], "usage": usage})
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, form: str, *arguments: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def real_model(tmp_path: Path) -> Iterator[Any]:
    """Bedrock in front of an OpenAI-compatible server, for one allowed model."""
    server = HTTPServer(("127.0.0.1", 0), Completions)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    settings = {"LOOKBOOK_LOCAL_LLM_URL": url, "LOCAL_AWS_BEDROCK_MODELS": MODEL}
    gateway = LocalAws(tmp_path / "state", **settings).start()
    yield gateway.client("bedrock-runtime")
    gateway.stop()
    server.shutdown()


def test_a_real_model_can_stand_behind_the_same_api(real_model: Any) -> None:
    response = real_model.converse(
        modelId=MODEL, system=[{"text": "Be brief."}], messages=[_turn("hello")], inferenceConfig={"maxTokens": 9}
    )
    path, _, asked = response["output"]["message"]["content"][0]["text"].partition(" ")
    assert path == "/v1/chat/completions"
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
    assert json.loads(asked) == {"model": MODEL, "messages": turns, "max_tokens": 9}
    assert response["usage"] == {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18}
    assert response["stopReason"] == "max_tokens"

    status, code, message = _refused(real_model.converse, modelId=MODEL, messages=[_turn("break")])
    assert (status, code) == (424, "ModelErrorException") and '"error": "no"' in message

    status, code, _ = _refused(real_model.converse, modelId="anthropic.other", messages=[_turn("hello")])
    assert (status, code) == (403, "AccessDeniedException")


def test_a_real_model_is_given_tools_their_results_and_pictures(real_model: Any) -> None:
    tool = {"toolSpec": {"name": "write", "description": "Write.", "inputSchema": {"json": {"type": "object"}}}}
    picture = {"image": {"format": "png", "source": {"bytes": picture_of(3, 2)}}}
    called = {"toolUse": {"toolUseId": "t1", "name": "write", "input": {"a": 1}}}
    result = {"toolResult": {"toolUseId": "t1", "content": [{"text": "no"}], "status": "error"}}
    response = real_model.converse(
        modelId=MODEL,
        messages=[
            {"role": "user", "content": [picture, {"text": "look"}]},
            {"role": "assistant", "content": [called]},
            {"role": "user", "content": [result]},
        ],
        toolConfig={"tools": [tool], "toolChoice": {"tool": {"name": "write"}}},
    )
    (block,) = response["output"]["message"]["content"]
    assert (block["toolUse"]["toolUseId"], block["toolUse"]["name"]) == ("call-1", "write")
    assert response["stopReason"] == "tool_use"
    asked = block["toolUse"]["input"]["asked"]
    assert asked["tool_choice"] == {"type": "function", "function": {"name": "write"}}
    assert asked["tools"][0]["function"] == {"name": "write", "description": "Write.", "parameters": {"type": "object"}}
    looked, call, told = asked["messages"]
    assert looked["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")
    assert call["tool_calls"][0]["function"]["arguments"] == '{"a": 1}'
    assert told == {"role": "tool", "tool_call_id": "t1", "content": "no"}
