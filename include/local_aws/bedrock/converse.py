"""The Converse API's form of a conversation and of an answer."""

from __future__ import annotations

from typing import Any

from local_aws import shapes
from local_aws.bedrock.conversation import Answer, Conversation, Message, block_text, check_turns
from local_aws.errors import unsupported, validation

_UNSUPPORTED = ("toolConfig", "guardrailConfig", "promptVariables", "outputConfig")
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
    turns = ((turn["role"], "".join(map(block_text, turn["content"]))) for turn in request.get("messages", []))
    messages = tuple(Message(role, text) for role, text in turns)
    check_turns(messages)
    limits = request.get("inferenceConfig", {})
    return Conversation(
        model=model,
        system="\n".join(map(block_text, request.get("system", []))),
        messages=messages,
        max_tokens=limits.get("maxTokens", _DEFAULT_MAX_TOKENS),
        stop_sequences=tuple(limits.get("stopSequences", [])),
        temperature=limits.get("temperature"),
        top_p=limits.get("topP"),
    )


def write(answer: Answer, model: str, milliseconds: int) -> dict[str, Any]:
    """Return the answer in Converse's form."""
    content = [{"text": answer.text}] if answer.text else []
    total = answer.input_tokens + answer.output_tokens
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": answer.stop_reason,
        "usage": {"inputTokens": answer.input_tokens, "outputTokens": answer.output_tokens, "totalTokens": total},
        "metrics": {"latencyMs": milliseconds},
    }


def headers(answer: Answer, milliseconds: int) -> dict[str, str]:
    """Return what Converse tells beside the body: nothing."""
    return {}
