"""What is said to a text model and what it says back, in the form of Bedrock's Converse API.

The same request is sent live and written as a record of a batch job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lookbook.descriptions import prompts
from lookbook.descriptions.plans import WorkItem
from lookbook.errors import RetryableError

Messages = list[dict[str, Any]]

_WITHHOLDING_STOPS = {
    "content_filtered": "content_filtered",
    "guardrail_intervened": "guardrail",
    "max_tokens": "truncated",
}


@dataclass(frozen=True)
class Reply:
    """What the model answered; ``withheld`` is the reason why its text must not be used, if there is one."""

    text: str
    request_id: str
    input_tokens: int
    output_tokens: int
    stop_reason: str
    withheld: str | None = None


class MalformedReplyError(RetryableError):
    """The service answered something that is no Converse reply."""


def message(role: str, text: str) -> dict[str, Any]:
    """Return one message of a conversation; ``role`` is ``user`` or ``assistant``."""
    return {"role": role, "content": [{"text": text}]}


def first_messages(item: WorkItem) -> Messages:
    """Return the conversation that asks for a product's text."""
    return [message("user", prompts.load(item.prompt_version).first_message(item.facts.facts))]


def request_of(item: WorkItem, messages: Messages) -> dict[str, Any]:
    """Return the Converse request, all but its ``modelId``, that has a model continue ``messages``."""
    prompt = prompts.load(item.prompt_version)
    return {
        "system": [{"text": prompt.system}],
        "messages": messages,
        "inferenceConfig": {"maxTokens": prompt.max_tokens, "temperature": prompt.temperature},
    }


def reply_of(answer: dict[str, Any]) -> Reply:
    """Read a Converse response.

    Raises:
        MalformedReplyError: it lacks what every response has.
    """
    try:
        blocks, usage = answer["output"]["message"]["content"], answer["usage"]
        text = " ".join(" ".join(block.get("text", "") for block in blocks).split())
        return Reply(
            text=text,
            request_id=answer["ResponseMetadata"]["RequestId"],
            input_tokens=usage["inputTokens"],
            output_tokens=usage["outputTokens"],
            stop_reason=answer["stopReason"],
            # Asked again, the model would say the same: the temperature is 0.
            withheld=_WITHHOLDING_STOPS.get(answer["stopReason"]) or (None if text else "empty"),
        )
    except (KeyError, TypeError) as error:
        raise MalformedReplyError(f"Bedrock answered without {error}.") from error
