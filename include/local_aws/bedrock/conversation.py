"""What a model is asked and what it answers, whichever API brought it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

_CHARACTERS_PER_TOKEN = 4


class Picture(NamedTuple):
    """A picture in a message: ``format`` is png, jpeg, gif or webp."""

    format: str
    data: bytes
    tokens: int


class ToolUse(NamedTuple):
    """A model's call of a tool."""

    id: str
    name: str
    input: Any


class ToolResult(NamedTuple):
    """What a tool is said to have answered."""

    id: str
    text: str
    failed: bool


class Tool(NamedTuple):
    """A tool that the model may call; ``schema`` is the JSON schema of its input."""

    name: str
    description: str
    schema: Mapping[str, Any]


class CachePoint(NamedTuple):
    """The end of a beginning that may be kept: its digest and its tokens."""

    digest: bytes
    tokens: int


class Guard(NamedTuple):
    """Which guardrail judges a conversation, and whether the answer says what it found."""

    identifier: str
    version: str
    traced: bool


@dataclass(frozen=True)
class Message:
    """One turn: who speaks, the text, and what comes with it."""

    role: str
    text: str
    pictures: tuple[Picture, ...] = ()
    tool_uses: tuple[ToolUse, ...] = ()
    tool_results: tuple[ToolResult, ...] = ()


@dataclass(frozen=True)
class Conversation:
    """A model's input: system prompt, turns, tools, and how the answer is bounded and drawn.

    ``input_tokens`` is an estimate. ``tool`` is the one that must be called, ``*`` for any of them.
    """

    model: str
    system: str
    messages: tuple[Message, ...]
    max_tokens: int
    input_tokens: int = 0
    stop_sequences: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    tools: tuple[Tool, ...] = ()
    tool: str | None = None
    cache_points: tuple[CachePoint, ...] = ()
    guard: Guard | None = None


@dataclass(frozen=True)
class Answer:
    """A model's output.

    ``stop_reason`` is one of end_turn, max_tokens, stop_sequence, tool_use, content_filtered, guardrail_intervened.
    ``input_tokens`` leaves out those that were read from the cache or written to it; both are None where the
    conversation asked for no cache. ``trace`` is what a guardrail found, in Converse's form.
    """

    text: str
    stop_reason: str
    input_tokens: int
    output_tokens: int
    writer: str
    tool_use: ToolUse | None = None
    cache_read: int | None = None
    cache_written: int | None = None
    trace: dict[str, Any] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """Every token that was read or written."""
        return self.input_tokens + self.output_tokens + (self.cache_read or 0) + (self.cache_written or 0)

    def refused(self) -> Answer:
        """Return the answer of a model that won't say this."""
        return replace(self, text="", tool_use=None, stop_reason="content_filtered", output_tokens=0)


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
