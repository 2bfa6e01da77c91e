"""One product's text: asked for, checked, and asked for once more with its faults if it has any.

How the model is reached is the caller's: live calls and batch jobs draft alike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lookbook.descriptions import checking, prompts, structured
from lookbook.descriptions.conversation import Messages, Reply, first_messages, repair_messages
from lookbook.descriptions.plans import WorkItem
from lookbook.descriptions.prompts import Prompt
from lookbook.descriptions.texts import ProductText

Ask = Callable[[Messages], Awaitable[Reply]]


@dataclass(frozen=True)
class Draft:
    """A text with what is wrong with it, and the replies that it took; ``text`` is ``None`` if none can be read."""

    replies: tuple[Reply, ...]
    text: ProductText | None
    problems: tuple[str, ...]


async def draft(item: WorkItem, ask: Ask) -> Draft:
    """Have one product's text written and, if it isn't faithful, written once more.

    Args:
        item: the facts and everything else that decides the text.
        ask: has a model continue a conversation.
    """
    return await finish(item, judge(item, (await ask(first_messages(item)),)), ask)


def judge(item: WorkItem, replies: tuple[Reply, ...]) -> Draft:
    """Return the last reply's text with what is wrong with it."""
    prompt = prompts.load(item.prompt_version, item.language)
    text, problems = _read(replies[-1], prompt)
    if replies[-1].withheld:
        return Draft(replies, text, (replies[-1].withheld,))
    if text is not None:
        problems = [*problems, *checking.problems(text, item.facts.facts, prompt)]
    return Draft(replies, text, tuple(problems))


async def finish(item: WorkItem, first: Draft, ask: Ask) -> Draft:
    """Return a first draft if nothing is wrong with it or nothing can be mended; else have it written again."""
    last = first.replies[-1]
    if not first.problems or last.withheld:
        return first
    return judge(item, (*first.replies, await ask(repair_messages(item, last, first.problems))))


def _read(reply: Reply, prompt: Prompt) -> tuple[ProductText | None, list[str]]:
    """Return the reply's text and what is wrong with its form."""
    prose = ProductText(reply.text, language=prompt.language) if reply.text else None
    if prompt.tool is None:
        return prose, [] if prose else ["empty: the model wrote nothing"]
    given = reply.handed_to(prompt.tool)
    if given is None:
        said = "it answered in prose" if prose else "it answered with nothing that can be read"
        return prose, [f"malformed: {said} instead of using the tool {prompt.tool.name} ({reply.stop_reason})"]
    text, problems = structured.read(given, prompt.tool.schema)
    return text, problems if text else [f"malformed: {problem}" for problem in problems]
