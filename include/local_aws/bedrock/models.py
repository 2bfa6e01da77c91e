"""Every model of this account: whatever writes, behind the prompt cache and the guardrails."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from local_aws.bedrock.caching import PromptCache
from local_aws.bedrock.conversation import Answer, Conversation
from local_aws.bedrock.guardrails import Guardrails
from local_aws.bedrock.places import Place


class Writer(Protocol):
    """Whatever answers conversations."""

    async def write(self, conversation: Conversation) -> Answer:
        """Answer a conversation."""


class Models:
    """Answers conversations."""

    def __init__(self, writer: Writer, cache: PromptCache, guardrails: Guardrails) -> None:
        self._writer, self._cache, self._guardrails = writer, cache, guardrails

    async def answer(self, place: Place, conversation: Conversation) -> Answer:
        """Answer a conversation.

        Raises:
            AwsError: the model has no cache, there is no such guardrail, or the writer fails.
        """
        points = conversation.cache_points
        self._cache.check(place, points)
        if blocked := self._guardrails.before(conversation):
            return blocked
        read = self._cache.read(place, points)
        answer = self._guardrails.after(conversation, await self._writer.write(conversation))
        if not points:
            return answer
        written = self._cache.write(place, points, read)
        left = max(0, answer.input_tokens - read - written)
        return replace(answer, input_tokens=left, cache_read=read, cache_written=written)
