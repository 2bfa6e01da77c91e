"""What is said to a text model and what it says back, in the form of Bedrock's Converse API.

The same request is sent live and written as a record of a batch job.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lookbook.descriptions import prompts
from lookbook.descriptions.plans import WorkItem
from lookbook.descriptions.prompts import Prompt, Tool
from lookbook.errors import PermanentError, RetryableError
from lookbook.settings import get_settings

Messages = list[dict[str, Any]]

_WITHHOLDING_STOPS = {
    "content_filtered": "content_filtered",
    "guardrail_intervened": "guardrail",
    "max_tokens": "truncated",
    "model_context_window_exceeded": "truncated",
}
_PICTURE_FORMATS = {b"\xff\xd8\xff": "jpeg", b"\x89PNG": "png", b"GIF8": "gif", b"RIFF": "webp"}


@dataclass(frozen=True)
class Reply:
    """What a model answered; ``withheld`` is the reason why its text must not be used, if there is one.

    ``text`` is its prose on one line, ``content`` all of it as it came. ``cached_tokens`` are those of
    ``input_tokens`` that the model read from its cache of prompts, ``cache_written_tokens`` those it put there.
    """

    text: str
    request_id: str
    input_tokens: int
    output_tokens: int
    stop_reason: str
    withheld: str | None = None
    content: tuple[Mapping[str, Any], ...] = ()
    cached_tokens: int = 0
    cache_written_tokens: int = 0

    def handed_to(self, tool: Tool) -> Mapping[str, Any] | None:
        """Return what the model gave to a tool, or ``None`` if it didn't use it, or not with a JSON object."""
        use = self.tool_use
        return use["input"] if use and use.get("name") == tool.name else None

    @property
    def tool_use(self) -> Mapping[str, Any] | None:
        """The first use of a tool that can be answered: it has an id and a JSON object as its input."""
        uses = (block["toolUse"] for block in self.content if isinstance(block.get("toolUse"), Mapping))
        return next((use for use in uses if use.get("toolUseId") and isinstance(use.get("input"), Mapping)), None)


class MalformedReplyError(RetryableError):
    """The service answered something that is no Converse reply."""


def message(role: str, text: str) -> dict[str, Any]:
    """Return one message of a conversation; ``role`` is ``user`` or ``assistant``."""
    return {"role": role, "content": [{"text": text}]}


def first_messages(item: WorkItem) -> Messages:
    """Return the conversation that asks for a product's text."""
    return [message("user", prompts.load(item.prompt_version, item.language).first_message(item.facts.facts))]


def repair_messages(item: WorkItem, reply: Reply, problems: Iterable[str]) -> Messages:
    """Return the conversation that asks for the text once more, with what is wrong with the one in ``reply``.

    A reply in which there is nothing to answer to is left out: the product is asked about anew.
    """
    prompt = prompts.load(item.prompt_version, item.language)
    told = prompt.rewrite_message(item.facts.facts, problems)
    if use := reply.tool_use:
        result = {"toolUseId": use["toolUseId"], "status": "error", "content": [{"text": told}]}
        turns = [
            {"role": "assistant", "content": [{"toolUse": dict(use)}]},
            {"role": "user", "content": [{"toolResult": result}]},
        ]
    elif reply.text:
        turns = [message("assistant", reply.text), message("user", told)]
    else:
        turns = []
    return [*first_messages(item), *turns]


def request_of(item: WorkItem, messages: Messages, picture: bytes | None = None) -> dict[str, Any]:
    """Return the Converse request, all but its ``modelId``, that has a model continue ``messages``.

    Args:
        item: the facts and everything else that decides the text.
        messages: of :func:`first_messages` or :func:`repair_messages`.
        picture: the product's picture, to be looked at first; ``None`` sends none.

    Raises:
        PermanentError: the picture is of a kind that Converse doesn't take.
    """
    prompt = prompts.load(item.prompt_version, item.language)
    return request_with(prompt, _illustrated(messages, picture) if picture else messages)


def request_with(prompt: Prompt, messages: Messages) -> dict[str, Any]:
    """Return the Converse request, all but its ``modelId``, that has a model continue ``messages`` under a prompt."""
    temperature = {} if prompt.temperature is None else {"temperature": prompt.temperature}
    return {
        "system": [{"text": prompt.system}, *([{"cachePoint": {"type": "default"}}] if prompt.cached else [])],
        "messages": messages,
        "inferenceConfig": {"maxTokens": prompt.max_tokens, **temperature},
        **_tool_config(prompt.tool),
        **_guardrail_config(),
    }


def _tool_config(tool: Tool | None) -> dict[str, Any]:
    if tool is None:
        return {}
    described = {"name": tool.name, "description": tool.description, "inputSchema": {"json": dict(tool.schema)}}
    return {"toolConfig": {"tools": [{"toolSpec": described}], "toolChoice": {"tool": {"name": tool.name}}}}


def _guardrail_config() -> dict[str, Any]:
    settings = get_settings()
    if settings.guardrail_id is None:
        return {}
    named = {"guardrailIdentifier": settings.guardrail_id, "guardrailVersion": settings.guardrail_version}
    return {"guardrailConfig": named}


def _illustrated(messages: Messages, picture: bytes) -> Messages:
    kind = next((kind for magic, kind in _PICTURE_FORMATS.items() if picture.startswith(magic)), None)
    if kind is None:
        raise PermanentError(
            f"A picture that begins with {picture[:8]!r} can't go along to the model: Bedrock takes "
            f"{', '.join(_PICTURE_FORMATS.values())}. Set LOOKBOOK_DESCRIPTION_PICTURE=false or exchange the picture."
        )
    first, *others = messages
    image = {"image": {"format": kind, "source": {"bytes": picture}}}
    return [{**first, "content": [image, *first["content"]]}, *others]


def reply_of(answer: dict[str, Any]) -> Reply:
    """Read a Converse response.

    Raises:
        MalformedReplyError: it lacks what every response has.
    """
    try:
        blocks, usage = answer["output"]["message"]["content"], answer["usage"]
        text = " ".join(" ".join(block.get("text", "") for block in blocks).split())
        cached, written = usage.get("cacheReadInputTokens") or 0, usage.get("cacheWriteInputTokens") or 0
        return Reply(
            text=text,
            request_id=answer["ResponseMetadata"]["RequestId"],
            # What is read from and written to the cache is not among Bedrock's inputTokens.
            input_tokens=usage["inputTokens"] + cached + written,
            output_tokens=usage["outputTokens"],
            stop_reason=answer["stopReason"],
            # Asked again, the model would be stopped again.
            withheld=_WITHHOLDING_STOPS.get(answer["stopReason"]),
            content=tuple(blocks),
            cached_tokens=cached,
            cache_written_tokens=written,
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise MalformedReplyError(f"Bedrock's answer is no Converse response: {error!r}.") from error
