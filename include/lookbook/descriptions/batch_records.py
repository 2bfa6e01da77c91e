"""A request to a text model as a record of a Bedrock batch job, and the record's answer as a Converse response.

Batch jobs of the kind *Converse* refuse every record that has tools
(https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference.html). So the records are of the other kind,
*InvokeModel*: each is the body of Anthropic's Messages API, which takes the same conversation and the same tool.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import orjson

from lookbook.descriptions.conversation import MalformedReplyError
from lookbook.errors import PermanentError

INVOCATION_TYPE = "InvokeModel"

_VERSION = "bedrock-2023-05-31"
_KNOWN = {"system", "messages", "inferenceConfig", "toolConfig"}
_STOP_REASONS = {"refusal": "content_filtered"}


def unfit(model_id: str, request: Mapping[str, Any]) -> str | None:
    """Return why a Converse request can't be a record, or ``None`` if it can."""
    if "anthropic." not in model_id:
        return f"{model_id} is no Claude model, and only Claude takes tools in a batch job"
    if others := sorted(set(request) - _KNOWN):
        return f"a record of a batch job has no place for {', '.join(others)}"
    return None


def line_of(record_id: str, request: Mapping[str, Any]) -> bytes:
    """Return the line of a job's JSONL that stands for a Converse request, with its line feed."""
    return orjson.dumps({"recordId": record_id, "modelInput": body_of(request)}) + b"\n"


def body_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the InvokeModel body that asks what the Converse request asks.

    Cache points are left out: the records of a job are answered in no order, so none finds another's prompt.

    Raises:
        PermanentError: the request holds a content block that has no counterpart.
    """
    body: dict[str, Any] = {
        "anthropic_version": _VERSION,
        "max_tokens": request["inferenceConfig"]["maxTokens"],
        "system": [_block(block) for block in request["system"] if "cachePoint" not in block],
        "messages": [
            {"role": turn["role"], "content": [_block(block) for block in turn["content"] if "cachePoint" not in block]}
            for turn in request["messages"]
        ],
    }
    if "temperature" in request["inferenceConfig"]:
        body["temperature"] = request["inferenceConfig"]["temperature"]
    return body | _tools(request["toolConfig"]) if "toolConfig" in request else body


def answer_of(output: Any) -> dict[str, Any]:
    """Return a record's ``modelOutput`` as the Converse response that says the same.

    Raises:
        MalformedReplyError: it lacks what every answer has.
    """
    try:
        usage = output["usage"]
        counted = {
            "inputTokens": usage["input_tokens"],
            "outputTokens": usage["output_tokens"],
            "totalTokens": usage["input_tokens"] + usage["output_tokens"],
        }
        return {
            "output": {"message": {"role": "assistant", "content": [_converse(block) for block in output["content"]]}},
            "stopReason": _STOP_REASONS.get(output["stop_reason"], output["stop_reason"]),
            "usage": counted,
            "ResponseMetadata": {"RequestId": output["id"]},
        }
    except (KeyError, TypeError) as error:
        raise MalformedReplyError(f"The batch job answered without {error}.") from error


def _block(block: Mapping[str, Any]) -> dict[str, Any]:
    if "text" in block:
        return {"type": "text", "text": block["text"]}
    if "image" in block:
        image = block["image"]
        data = base64.b64encode(image["source"]["bytes"]).decode()
        source = {"type": "base64", "media_type": f"image/{image['format']}", "data": data}
        return {"type": "image", "source": source}
    raise PermanentError(
        f"A batch record can't hold a content block of {', '.join(block)}. Describe on demand instead."
    )


def _tools(config: Mapping[str, Any]) -> dict[str, Any]:
    specs = [tool["toolSpec"] for tool in config["tools"] if "toolSpec" in tool]
    tools = [
        {"name": spec["name"], "input_schema": spec["inputSchema"]["json"]}
        | ({"description": spec["description"]} if "description" in spec else {})
        for spec in specs
    ]
    chosen = config.get("toolChoice", {}).get("tool")
    return {"tools": tools} | ({"tool_choice": {"type": "tool", "name": chosen["name"]}} if chosen else {})


def _converse(block: Mapping[str, Any]) -> dict[str, Any]:
    if block["type"] == "tool_use":
        return {"toolUse": {"toolUseId": block["id"], "name": block["name"], "input": block["input"]}}
    return {"text": block["text"]}
