"""The Converse API's form of a conversation and of an answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from local_aws import shapes
from local_aws.bedrock import pictures, turns
from local_aws.bedrock.conversation import (
    Answer,
    CachePoint,
    Conversation,
    Guard,
    Message,
    Picture,
    Tool,
    ToolResult,
    ToolUse,
    tokens,
)
from local_aws.errors import AwsError, unsupported, validation

_UNSUPPORTED = ("promptVariables", "outputConfig")
_DEFAULT_MAX_TOKENS = 4096


def read(model: str, body: Any) -> Conversation:
    """Return the conversation of a request's body.

    Raises:
        AwsError: ValidationException, for what AWS would refuse or local AWS can't do.
    """
    if not isinstance(body, dict):
        raise validation("The request body must be a JSON object.")
    shape = shapes.operation("bedrock-runtime", "Converse").input_shape
    request = shapes.read(shape, {**body, "modelId": model})
    for member in _UNSUPPORTED:
        if request.get(member):
            raise unsupported(f"Converse with {member}")
    conversation = _conversation(model, request)
    turns.check(conversation)
    return conversation


def write(answer: Answer, model: str, milliseconds: int) -> dict[str, Any]:
    """Return the answer in Converse's form."""
    content: list[dict[str, Any]] = [{"text": answer.text}] if answer.text else []
    if use := answer.tool_use:
        content.append({"toolUse": {"toolUseId": use.id, "name": use.name, "input": use.input}})
    document = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": answer.stop_reason,
        "usage": _usage(answer),
        "metrics": {"latencyMs": milliseconds},
    }
    return {**document, "trace": answer.trace} if answer.trace else document


def headers(answer: Answer, milliseconds: int) -> dict[str, str]:
    """Return what Converse tells beside the body: nothing."""
    return {}


def _usage(answer: Answer) -> dict[str, int]:
    usage = {"inputTokens": answer.input_tokens, "outputTokens": answer.output_tokens, "totalTokens": answer.tokens}
    if answer.cache_read is not None and answer.cache_written is not None:
        usage |= {"cacheReadInputTokens": answer.cache_read, "cacheWriteInputTokens": answer.cache_written}
    return usage


def _conversation(model: str, request: Mapping[str, Any]) -> Conversation:
    # A model reads tools first, then the system prompt, then the turns: so a cache's beginnings are counted.
    reading, limits = _Reading(), request.get("inferenceConfig", {})
    tools = reading.tools(request.get("toolConfig", {}).get("tools", ()))
    system = reading.system(request.get("system", ()))
    messages = tuple(reading.message(turn, place) for place, turn in enumerate(request.get("messages", ())))
    return Conversation(
        model=model,
        system=system,
        messages=messages,
        max_tokens=limits.get("maxTokens", _DEFAULT_MAX_TOKENS),
        input_tokens=reading.tokens,
        stop_sequences=tuple(limits.get("stopSequences", ())),
        temperature=limits.get("temperature"),
        top_p=limits.get("topP"),
        tools=tools,
        tool=_forced(request.get("toolConfig", {}).get("toolChoice", {})),
        cache_points=tuple(reading.points),
        guard=_guard(request.get("guardrailConfig")),
    )


def _forced(choice: Mapping[str, Any]) -> str | None:
    """Return the tool that must be called, ``*`` for any, None if that is the model's to decide."""
    if "tool" in choice:
        return str(choice["tool"]["name"])
    return "*" if "any" in choice else None


def _guard(config: Mapping[str, Any] | None) -> Guard | None:
    if not config or not config.get("guardrailIdentifier"):
        return None
    traced = config.get("trace", "disabled") != "disabled"
    return Guard(config["guardrailIdentifier"], config.get("guardrailVersion", ""), traced)


class _Reading:
    """What a model has read so far: its tokens, and the beginnings that may be kept."""

    def __init__(self) -> None:
        self.tokens = 0
        self.points: list[CachePoint] = []
        self._digest, self._unread = hashlib.sha256(), list[bytes]()

    def tools(self, given: Any) -> tuple[Tool, ...]:
        """Read the tools' definitions."""
        found = []
        for place, tool in enumerate(given):
            if "cachePoint" in tool:
                self._point()
            elif "toolSpec" in tool:
                found.append(self._tool(tool["toolSpec"], f"toolConfig.tools.{place}.toolSpec"))
            else:
                raise _not_supported(tool)
        return tuple(found)

    def system(self, blocks: Any) -> str:
        """Read the system prompt."""
        texts = []
        for block in blocks:
            if "cachePoint" in block:
                self._point()
            elif "text" in block:
                texts.append(self._text(block["text"]))
            else:
                raise _not_supported(block)
        return "\n".join(texts)

    def message(self, turn: Mapping[str, Any], place: int) -> Message:
        """Read one turn."""
        if turn["role"] == "system":
            raise unsupported("A message with the role system")
        self._unread.append(turn["role"].encode())
        found: dict[str, list[Any]] = {"text": [], "image": [], "toolUse": [], "toolResult": []}
        for number, block in enumerate(turn["content"]):
            if "text" in block:
                found["text"].append(self._text(block["text"]))
            elif "toolResult" in block:
                found["toolResult"].append(self._tool_result(block["toolResult"]))
            elif "toolUse" in block:
                found["toolUse"].append(self._tool_use(block["toolUse"]))
            elif "image" in block:
                found["image"].append(self._picture(block["image"], f"messages.{place}.content.{number}.image"))
            elif "cachePoint" in block:
                self._point()
            else:
                raise _not_supported(block)
        pictures, uses, results = (tuple(found[name]) for name in ("image", "toolUse", "toolResult"))
        return Message(turn["role"], "".join(found["text"]), pictures, uses, results)

    def _text(self, text: str) -> str:
        self.tokens += tokens(text)
        self._unread.append(text.encode())
        return text

    def _tool(self, given: Mapping[str, Any], where: str) -> Tool:
        schema = given["inputSchema"]["json"]
        if not isinstance(schema, dict) or schema.get("type") != "object":
            raise validation(f"The value at {where}.inputSchema.json.type must be one of the following: object.")
        self._text(orjson.dumps(given).decode())
        return Tool(given["name"], given.get("description", ""), schema)

    def _tool_use(self, given: Mapping[str, Any]) -> ToolUse:
        self._text(given["name"] + orjson.dumps(given["input"]).decode())
        return ToolUse(given["toolUseId"], given["name"], given["input"])

    def _tool_result(self, given: Mapping[str, Any]) -> ToolResult:
        said = []
        for block in given["content"]:
            if not set(block) <= {"text", "json"}:
                raise _not_supported(block)
            said.append(self._text(block["text"] if "text" in block else orjson.dumps(block["json"]).decode()))
        return ToolResult(given["toolUseId"], "\n".join(said), given.get("status") == "error")

    def _picture(self, given: Mapping[str, Any], where: str) -> Picture:
        if "bytes" not in given["source"]:
            raise unsupported("Converse with an image in S3 (its bytes are taken)")
        picture = pictures.read(given["format"], given["source"]["bytes"], where)
        self.tokens += picture.tokens
        self._unread.append(picture.data)
        return picture

    def _point(self) -> None:
        for part in self._unread:
            self._digest.update(len(part).to_bytes(8) + part)
        self._unread.clear()
        self.points.append(CachePoint(self._digest.digest(), self.tokens))


def _not_supported(block: Mapping[str, Any]) -> AwsError:
    return validation(f"This model doesn't support the {', '.join(sorted(block))} field. Remove it and try again.")
