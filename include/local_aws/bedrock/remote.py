"""A real model behind the same API: any server that speaks OpenAI's chat completions."""

from __future__ import annotations

from typing import Any

import httpx

from local_aws.bedrock.conversation import Answer, Conversation
from local_aws.errors import AwsError

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "content_filtered"}


class RemoteWriter:
    """Passes conversations to ``<url>/v1/chat/completions``."""

    def __init__(self, url: str, model: str | None, timeout: float = 120.0) -> None:
        self._url = f"{url.rstrip('/').removesuffix('/v1')}/v1/chat/completions"
        self._model = model
        self._client = httpx.AsyncClient(timeout=timeout, trust_env=False)

    async def write(self, conversation: Conversation) -> Answer:
        """Have the server answer.

        Raises:
            AwsError: it is too slow, can't be reached, or answers with something else than a completion.
        """
        try:
            response = await self._client.post(self._url, json=self._request(conversation))
        except httpx.TimeoutException as error:
            raise AwsError("ModelTimeoutException", f"{self._url} took too long: {error!r}", status=408) from error
        except httpx.TransportError as error:
            message = f"{self._url} can't be reached: {error!r}. Check LOOKBOOK_LOCAL_LLM_URL."
            raise AwsError("ServiceUnavailableException", message, status=503) from error
        if response.status_code == 429:
            raise AwsError("ThrottlingException", f"{self._url}: {response.text[:500]}", status=429)
        return self._answer(response)

    def _request(self, conversation: Conversation) -> dict[str, Any]:
        system = [{"role": "system", "content": conversation.system}] if conversation.system else []
        turns = [{"role": message.role, "content": message.text} for message in conversation.messages]
        request = {
            "model": self._model or conversation.model,
            "messages": [*system, *turns],
            "max_tokens": conversation.max_tokens,
            "stop": list(conversation.stop_sequences) or None,
            "temperature": conversation.temperature,
            "top_p": conversation.top_p,
        }
        return {name: value for name, value in request.items() if value is not None}

    def _answer(self, response: httpx.Response) -> Answer:
        try:
            body = response.raise_for_status().json()
            choice, usage = body["choices"][0], body["usage"]
            reason = _STOP_REASONS.get(choice["finish_reason"], "end_turn")
            counts = usage["prompt_tokens"], usage["completion_tokens"]
            return Answer(choice["message"]["content"], reason, *counts, f"{body['model']} at {self._url}")
        except (httpx.HTTPStatusError, ValueError, KeyError, IndexError, TypeError) as error:
            message = f"{self._url} answered HTTP {response.status_code}, {error!r}: {response.text[:500]}"
            raise AwsError("ModelErrorException", message, status=424) from error
