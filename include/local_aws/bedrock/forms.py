"""The two forms that conversations and answers have, by the operation that they are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from local_aws.bedrock import anthropic, converse
from local_aws.bedrock.conversation import Answer, Conversation


class Form(Protocol):
    """How an API writes conversations and answers."""

    def read(self, model: str, body: Any) -> Conversation:
        """Return the conversation of a request's body."""

    def write(self, answer: Answer, model: str, milliseconds: int) -> dict[str, Any]:
        """Return the body of the response."""

    def headers(self, answer: Answer, milliseconds: int) -> dict[str, str]:
        """Return what the API tells beside the body."""


FORMS: Mapping[str, Form] = {"Converse": converse, "InvokeModel": anthropic}
