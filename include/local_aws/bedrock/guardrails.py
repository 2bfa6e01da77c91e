"""Guardrails with word filters: what they block, and what they say instead.

As on AWS a guardrail reads the text of the user's turns and the text that the model answers. It doesn't read tool
definitions, what a model gives to a tool, nor what a tool answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from local_aws.bedrock.conversation import Answer, Conversation, Guard
from local_aws.errors import validation
from local_aws.settings import Guardrail

_JUDGE = "guardrail, which asked no model"


class Guardrails:
    """The guardrails of this account, by id."""

    def __init__(self, guardrails: Mapping[str, Guardrail]) -> None:
        self._guardrails = guardrails

    def find(self, identifier: str, version: str) -> Guardrail:
        """Return a guardrail by id or ARN.

        Raises:
            AwsError: ValidationException: there is none, or not in that version.
        """
        found = self._guardrails.get(identifier.rpartition("/")[2])
        if found is None or version not in found.versions:
            raise validation("The guardrail identifier or version provided in the request does not exist.")
        return found

    def before(self, conversation: Conversation) -> Answer | None:
        """Judge what the user says; return the answer that takes the model's place, if something is blocked.

        Raises:
            AwsError: ValidationException: there is no such guardrail.
        """
        if (guard := conversation.guard) is None:
            return None
        guardrail = self.find(guard.identifier, guard.version)
        matched = found(guardrail, (message.text for message in conversation.messages if message.role == "user"))
        if not matched:
            return None
        trace = {"inputAssessment": {guard.identifier: assessment(matched)}}
        return Answer(guardrail.message, "guardrail_intervened", 0, 0, _JUDGE, trace=_trace(guard, trace))

    def after(self, conversation: Conversation, answer: Answer) -> Answer:
        """Judge what the model says; return its answer, or what takes its place."""
        guard = conversation.guard
        if guard is None or not answer.text:
            return answer
        guardrail = self.find(guard.identifier, guard.version)
        if not (matched := found(guardrail, (answer.text,))):
            return answer
        trace = _trace(guard, {"outputAssessments": {guard.identifier: [assessment(matched)]}})
        return replace(answer, text=guardrail.message, tool_use=None, stop_reason="guardrail_intervened", trace=trace)


def found(guardrail: Guardrail, texts: Iterable[str]) -> list[str]:
    """Return the guardrail's words that texts contain, as they stand there."""
    if not guardrail.words:
        return []
    words = re.compile(rf"\b(?:{'|'.join(map(re.escape, guardrail.words))})\b", re.IGNORECASE)
    return [match for text in texts for match in words.findall(text)]


def assessment(matched: Iterable[str]) -> dict[str, Any]:
    """Return what was found in AWS's form."""
    return {"wordPolicy": {"customWords": [{"match": word, "action": "BLOCKED", "detected": True} for word in matched]}}


def _trace(guard: Guard, found: dict[str, Any]) -> dict[str, Any]:
    return {"guardrail": found} if guard.traced else {}
