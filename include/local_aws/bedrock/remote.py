"""A real model behind the same API: any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from local_aws.bedrock.conversation import Answer, Conversation, Message, Picture, Tool, ToolUse
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
        turns = [turn for message in conversation.messages for turn in _turns(message)]
        request = {
            "model": self._model or conversation.model,
            "messages": [*system, *turns],
            "max_tokens": conversation.max_tokens,
            "stop": list(conversation.stop_sequences) or None,
            "temperature": conversation.temperature,
            "top_p": conversation.top_p,
            "tools": [_tool(tool) for tool in conversation.tools] or None,
            "tool_choice": _choice(conversation),
        }
        return {name: value for name, value in request.items() if value is not None}

    def _answer(self, response: httpx.Response) -> Answer:
        try:
            body = response.raise_for_status().json()
            choice, usage = body["choices"][0], body["usage"]
            reason = _STOP_REASONS.get(choice["finish_reason"], "end_turn")
            counts = usage["prompt_tokens"], usage["completion_tokens"]
            use, text = _tool_use(choice["message"]), choice["message"].get("content") or ""
            return Answer(text, "tool_use" if use else reason, *counts, f"{body['model']} at {self._url}", use)
        except (httpx.HTTPStatusError, ValueError, KeyError, IndexError, TypeError) as error:
            message = f"{self._url} answered HTTP {response.status_code}, {error!r}: {response.text[:500]}"
            raise AwsError("ModelErrorException", message, status=424) from error


def _turns(message: Message) -> Iterator[dict[str, Any]]:
    """Return a turn in OpenAI's form, in which every tool's answer is a turn of its own."""
    for result in message.tool_results:
        yield {"role": "tool", "tool_call_id": result.id, "content": result.text}
    if message.tool_uses:
        calls = [_tool_call(use) for use in message.tool_uses]
        yield {"role": message.role, "content": message.text or None, "tool_calls": calls}
    elif message.pictures:
        pictures = [{"type": "image_url", "image_url": {"url": _data_url(one)}} for one in message.pictures]
        yield {"role": message.role, "content": [*pictures, {"type": "text", "text": message.text}]}
    elif message.text:
        yield {"role": message.role, "content": message.text}


def _data_url(picture: Picture) -> str:
    return f"data:image/{picture.format};base64,{base64.b64encode(picture.data).decode()}"


def _tool(tool: Tool) -> dict[str, Any]:
    told = {"description": tool.description} if tool.description else {}
    return {"type": "function", "function": {"name": tool.name, **told, "parameters": tool.schema}}


def _tool_call(use: ToolUse) -> dict[str, Any]:
    return {"id": use.id, "type": "function", "function": {"name": use.name, "arguments": json.dumps(use.input)}}


def _choice(conversation: Conversation) -> Any:
    if conversation.tool in (None, "*"):
        return "required" if conversation.tool else None
    return {"type": "function", "function": {"name": conversation.tool}}


def _tool_use(message: Mapping[str, Any]) -> ToolUse | None:
    """Return the first call of a tool; what isn't JSON is a ValueError, as is any other reply that can't be read."""
    if not message.get("tool_calls"):
        return None
    call = message["tool_calls"][0]
    return ToolUse(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
