"""Anthropic's form of a conversation and of an answer: the body of InvokeModel."""

from __future__ import annotations

import hashlib
from typing import Any

from local_aws.bedrock.conversation import Answer, Conversation, Message, block_text, check_turns
from local_aws.errors import unsupported, validation

_VERSION = "bedrock-2023-05-31"
_STOP_REASONS = {"content_filtered": "refusal"}
_UNSUPPORTED = ("tools", "tool_choice", "thinking")


def read(model: str, body: Any) -> Conversation:
    """Return the conversation of an InvokeModel body.

    Raises:
        AwsError: ValidationException, for what AWS would refuse or local AWS can't do.
    """
    if "anthropic" not in model:
        raise unsupported(f"InvokeModel of {model} (only Anthropic's messages body; use Converse)")
    _check(body)
    messages = tuple(Message(_role(turn), _text(turn.get("content"))) for turn in body["messages"])
    check_turns(messages)
    return Conversation(
        model=model,
        system=_text(body.get("system", "")),
        messages=messages,
        max_tokens=body["max_tokens"],
        stop_sequences=tuple(body.get("stop_sequences", [])),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
    )


def write(answer: Answer, model: str, milliseconds: int) -> dict[str, Any]:
    """Return the answer in Anthropic's form."""
    digest = hashlib.sha256(f"{model}\n{answer.text}".encode()).hexdigest()
    return {
        "id": f"msg_bdrk_{digest[:24]}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": answer.text}] if answer.text else [],
        "stop_reason": _STOP_REASONS.get(answer.stop_reason, answer.stop_reason),
        "stop_sequence": None,
        "usage": {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens},
    }


def headers(answer: Answer, milliseconds: int) -> dict[str, str]:
    """Return what InvokeModel tells beside the body."""
    return {
        "X-Amzn-Bedrock-Input-Token-Count": str(answer.input_tokens),
        "X-Amzn-Bedrock-Output-Token-Count": str(answer.output_tokens),
        "X-Amzn-Bedrock-Invocation-Latency": str(milliseconds),
    }


def _check(body: Any) -> None:
    if not isinstance(body, dict):
        raise _malformed("#: expected type: JSONObject")
    missing = [key for key in ("anthropic_version", "max_tokens", "messages") if key not in body]
    if missing:
        raise _malformed(f"#: required key [{missing[0]}] not found")
    if body["anthropic_version"] != _VERSION:
        raise validation(f"Invalid API version: {body['anthropic_version']} (expected {_VERSION})")
    if type(body["max_tokens"]) is not int or body["max_tokens"] < 1:
        raise validation("max_tokens: Input should be a whole number greater than or equal to 1")
    if not _are_objects(body["messages"]):
        raise _malformed("#/messages: expected an array of objects")
    refused = [member for member in _UNSUPPORTED if body.get(member)]
    if refused:
        raise unsupported(f"InvokeModel with {refused[0]}")


def _are_objects(items: Any) -> bool:
    return isinstance(items, list) and all(isinstance(item, dict) for item in items)


def _role(turn: dict[str, Any]) -> str:
    role = turn.get("role")
    if role not in ("user", "assistant"):
        raise validation(f"messages: Unexpected role {role!r}. Allowed roles are 'user' or 'assistant'.")
    return str(role)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not _are_objects(content):
        raise _malformed("#/messages/content: expected a string or an array of objects")
    return "".join(block_text(_without_type(block)) for block in content)


def _without_type(block: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key not in ("type", "cache_control")}


def _malformed(what: str) -> Exception:
    return validation(f"Malformed input request: {what}, please reformat your input and try again.")
