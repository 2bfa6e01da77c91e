"""What a model is asked and what it answers, whichever API brought it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from local_aws.errors import validation

_CHARACTERS_PER_TOKEN = 4
_IGNORED_BLOCKS = {"cachePoint"}


@dataclass(frozen=True)
class Message:
    """One turn: who speaks, and the text."""

    role: str
    text: str


@dataclass(frozen=True)
class Conversation:
    """A model's input: system prompt, turns, and how the answer is bounded and drawn."""

    model: str
    system: str
    messages: tuple[Message, ...]
    max_tokens: int
    stop_sequences: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None

    def input_tokens(self) -> int:
        """Return the estimate of the input's tokens."""
        return sum(tokens(text) for text in (self.system, *(message.text for message in self.messages)) if text)


@dataclass(frozen=True)
class Answer:
    """A model's output. ``stop_reason`` is one of end_turn, max_tokens, stop_sequence, content_filtered."""

    text: str
    stop_reason: str
    input_tokens: int
    output_tokens: int
    writer: str

    def refused(self) -> Answer:
        """Return the answer of a model that won't say this."""
        return replace(self, text="", stop_reason="content_filtered", output_tokens=0)


def tokens(text: str) -> int:
    """Estimate a text's tokens: one for every four characters begun, which is about right for English prose."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def bounded(text: str, conversation: Conversation) -> tuple[str, str]:
    """Cut a finished text as a model would have stopped; return it with the reason it stops."""
    cuts = [position for stop in conversation.stop_sequences if (position := text.find(stop)) >= 0]
    reason = "stop_sequence" if cuts else "end_turn"
    text = text[: min(cuts)] if cuts else text
    if tokens(text) > conversation.max_tokens:
        return text[: conversation.max_tokens * _CHARACTERS_PER_TOKEN], "max_tokens"
    return text, reason


def check_turns(messages: tuple[Message, ...]) -> None:
    """Refuse what AWS refuses of a conversation's order.

    Raises:
        AwsError: ValidationException.
    """
    if not messages or messages[0].role != "user":
        raise validation(
            "A conversation must start with a user message. "
            "Try again with a conversation that starts with a user message."
        )
    if any(one.role == other.role for one, other in pairwise(messages)):
        raise validation(
            "A conversation must alternate between user and assistant roles. "
            "Make sure the conversation alternates between user and assistant roles and try again."
        )
    if any(not message.text.strip() for message in messages):
        raise validation(
            "The text field in the ContentBlock object is blank. Add text to the text field, and try again."
        )


def block_text(block: dict[str, Any]) -> str:
    """Return a content block's text.

    Raises:
        AwsError: the block holds something that local AWS has no model for.
    """
    if "text" in block:
        return str(block["text"])
    if set(block) <= _IGNORED_BLOCKS:
        return ""
    raise validation(f"This model doesn't support the {', '.join(sorted(block))} field. Remove it and try again.")
