"""The stand-in for a foundation model: it puts given facts into sentences, and can do nothing else."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson

from local_aws.bedrock import structured
from local_aws.bedrock.conversation import Answer, Conversation, Message, ToolUse, bounded, tokens
from local_aws.bedrock.prose import Fact, compose, read_facts

NAME = "LocalWriter (deterministic stand-in, not a foundation model; writes English, doesn't look at pictures)"


class LocalWriter:
    """Writes from the facts in a conversation's last message, or in the last one that has any."""

    async def write(self, conversation: Conversation) -> Answer:
        """Answer a conversation in prose or, if it has tools, by calling one; takes about no time.

        Raises:
            AwsError: ValidationException: a tool asks for something that isn't a product's text.
        """
        facts, seed = _facts(conversation), _said(conversation.messages[-1])
        if conversation.tools:
            return _call(conversation, facts, seed)
        text, reason = bounded(compose(facts, seed), conversation)
        return Answer(text, reason, conversation.input_tokens, tokens(text), NAME)


def _facts(conversation: Conversation) -> list[Fact]:
    """Return the facts that were given last; a request to write again needn't repeat them."""
    users = (message for message in reversed(conversation.messages) if message.role == "user")
    return next((facts for message in users if (facts := read_facts(_said(message)))), [])


def _said(message: Message) -> str:
    return "\n".join([message.text, *(result.text for result in message.tool_results)])


def _call(conversation: Conversation, facts: list[Fact], seed: str) -> Answer:
    tool = next((tool for tool in conversation.tools if tool.name == conversation.tool), conversation.tools[0])
    given, reason = structured.fill(tool, facts, seed), "tool_use"
    while (written := tokens(orjson.dumps(given).decode())) > conversation.max_tokens and given:
        given, reason = _without_last(given), "max_tokens"
    use = ToolUse(_identity(seed), tool.name, given)
    return Answer("", reason, conversation.input_tokens, min(written, conversation.max_tokens), NAME, tool_use=use)


def _without_last(given: dict[str, Any]) -> dict[str, Any]:
    """Return what a model had said of a tool's input when it was cut off."""
    return dict(list(given.items())[:-1])


def _identity(seed: str) -> str:
    return "tooluse_" + base64.urlsafe_b64encode(hashlib.sha256(seed.encode()).digest())[:22].decode()
