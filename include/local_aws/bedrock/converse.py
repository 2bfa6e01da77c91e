"""The Converse API's form of a conversation and of an answer."""

from __future__ import annotations

from typing import Any

from local_aws.bedrock.conversation import Answer, Conversation, Message, block_text, check_turns
from local_aws.errors import unsupported

_UNSUPPORTED = ("toolConfig", "guardrailConfig", "promptVariables", "outputConfig")


def read(model: str, request: dict[str, Any], default_max_tokens: int) -> Conversation:
    """Return the conversation of a request that has Converse's shape.

    Raises:
        AwsError: ValidationException, for what AWS would refuse or local AWS can't do.
    """
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
        max_tokens=limits.get("maxTokens", default_max_tokens),
        stop_sequences=tuple(limits.get("stopSequences", [])),
        temperature=limits.get("temperature"),
        top_p=limits.get("topP"),
    )


def write(answer: Answer, milliseconds: int) -> dict[str, Any]:
    """Return the answer in Converse's form."""
    total = answer.input_tokens + answer.output_tokens
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": answer.text}]}},
        "stopReason": answer.stop_reason,
        "usage": {"inputTokens": answer.input_tokens, "outputTokens": answer.output_tokens, "totalTokens": total},
        "metrics": {"latencyMs": milliseconds},
    }
