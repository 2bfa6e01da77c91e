"""Anthropic's form of a conversation and of an answer: the body of InvokeModel.

A request is put into Converse's form first, and checked there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from local_aws.bedrock import converse
from local_aws.bedrock.conversation import Answer, Conversation
from local_aws.errors import AwsError, unsupported, validation

_VERSION = "bedrock-2023-05-31"
_UNSUPPORTED = ("thinking",)
_STOP_REASONS = {"content_filtered": "refusal", "guardrail_intervened": "refusal"}
_LIMITS = {"max_tokens": "maxTokens", "stop_sequences": "stopSequences", "temperature": "temperature", "top_p": "topP"}

Json = dict[str, Any]


def read(model: str, body: Any) -> Conversation:
    """Return the conversation of an InvokeModel body.

    Raises:
        AwsError: ValidationException, for what AWS would refuse or local AWS can't do.
    """
    if "anthropic" not in model:
        raise unsupported(f"InvokeModel of {model} (only Anthropic's messages body; use Converse)")
    _check(body)
    try:
        return converse.read(model, _as_converse(body))
    except KeyError as error:
        raise _malformed(f"#: required key [{error.args[0]}] not found") from error
    except (TypeError, AttributeError) as error:
        raise _malformed(f"#: {error!r}") from error


def write(answer: Answer, model: str, milliseconds: int) -> Json:
    """Return the answer in Anthropic's form."""
    digest = hashlib.sha256(f"{model}\n{answer.text}\n{answer.tool_use}".encode()).hexdigest()
    content: list[Json] = [{"type": "text", "text": answer.text}] if answer.text else []
    if use := answer.tool_use:
        content.append({"type": "tool_use", "id": use.id, "name": use.name, "input": use.input})
    return {
        "id": f"msg_bdrk_{digest[:24]}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": _STOP_REASONS.get(answer.stop_reason, answer.stop_reason),
        "stop_sequence": None,
        "usage": _usage(answer),
    }


def headers(answer: Answer, milliseconds: int) -> dict[str, str]:
    """Return what InvokeModel tells beside the body."""
    return {
        "X-Amzn-Bedrock-Input-Token-Count": str(answer.input_tokens),
        "X-Amzn-Bedrock-Output-Token-Count": str(answer.output_tokens),
        "X-Amzn-Bedrock-Invocation-Latency": str(milliseconds),
    }


def _usage(answer: Answer) -> dict[str, int]:
    usage = {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens}
    if answer.cache_read is not None and answer.cache_written is not None:
        usage |= {"cache_read_input_tokens": answer.cache_read, "cache_creation_input_tokens": answer.cache_written}
    return usage


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


def _as_converse(body: Json) -> Json:
    request: Json = {
        "messages": [{"role": _role(turn), "content": list(_blocks(turn.get("content")))} for turn in body["messages"]],
        "inferenceConfig": {name: body[key] for key, name in _LIMITS.items() if key in body},
    }
    if body.get("system"):
        request["system"] = list(_blocks(body["system"]))
    if body.get("tools"):
        request["toolConfig"] = {"tools": list(_tools(body["tools"])), "toolChoice": _choice(body.get("tool_choice"))}
    return request


def _are_objects(items: Any) -> bool:
    return isinstance(items, list) and all(isinstance(item, dict) for item in items)


def _role(turn: Json) -> str:
    role = turn.get("role")
    if role not in ("user", "assistant"):
        raise validation(f"messages: Unexpected role {role!r}. Allowed roles are 'user' or 'assistant'.")
    return str(role)


def _blocks(content: Any) -> Iterator[Json]:
    if isinstance(content, str):
        yield {"text": content}
        return
    if not _are_objects(content):
        raise _malformed("#/messages/content: expected a string or an array of objects")
    for block in content:
        yield _block(block)
        yield from _cache_point(block)


def _block(block: Json) -> Json:
    kind = block.get("type")
    if kind == "text":
        return {"text": block["text"]}
    if kind == "image":
        source = block["source"]
        return {"image": {"format": source["media_type"].removeprefix("image/"), "source": {"bytes": source["data"]}}}
    if kind == "tool_use":
        return {"toolUse": {"toolUseId": block["id"], "name": block["name"], "input": block["input"]}}
    if kind == "tool_result":
        status = "error" if block.get("is_error") else "success"
        said = list(_blocks(block.get("content", "")))
        return {"toolResult": {"toolUseId": block["tool_use_id"], "content": said, "status": status}}
    raise unsupported(f"InvokeModel with a content block of type {kind!r}")


def _tools(tools: Any) -> Iterator[Json]:
    for tool in tools:
        if tool.get("type", "custom") != "custom":
            raise unsupported(f"InvokeModel with a tool of type {tool['type']!r}")
        told = {"description": tool["description"]} if tool.get("description") else {}
        yield {"toolSpec": {"name": tool["name"], **told, "inputSchema": {"json": tool["input_schema"]}}}
        yield from _cache_point(tool)


def _choice(choice: Mapping[str, Any] | None) -> Json:
    kind = (choice or {"type": "auto"})["type"]
    if kind not in ("auto", "any", "tool"):
        raise unsupported(f"InvokeModel with tool_choice {kind!r}")
    return {kind: {"name": choice["name"]} if choice and kind == "tool" else {}}


def _cache_point(marked: Json) -> Iterator[Json]:
    if marked.get("cache_control"):
        yield {"cachePoint": {"type": "default"}}


def _malformed(what: str) -> AwsError:
    return validation(f"Malformed input request: {what}, please reformat your input and try again.")
