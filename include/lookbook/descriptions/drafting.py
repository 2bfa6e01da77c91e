"""One product's text: asked for, checked, and asked for once more with its faults if it has any.

How the model is reached is the caller's: live calls and batch jobs draft alike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lookbook.descriptions import faithfulness, prompts
from lookbook.descriptions.conversation import Messages, Reply, first_messages, message
from lookbook.descriptions.plans import WorkItem
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
    last = replies[-1]
    if last.withheld:
        return Draft(replies, ProductText(last.text) if last.text else None, (last.withheld,))
    return Draft(replies, ProductText(last.text), tuple(faithfulness.check(last.text, item.facts.facts).problems()))


async def finish(item: WorkItem, first: Draft, ask: Ask) -> Draft:
    """Return a first draft if nothing is wrong with it or nothing can be mended; else have it written again."""
    if not first.problems or first.replies[-1].withheld:
        return first
    prompt = prompts.load(item.prompt_version)
    messages = [
        *first_messages(item),
        message("assistant", first.replies[-1].text),
        message("user", prompt.rewrite_message(item.facts.facts, first.problems)),
    ]
    return judge(item, (*first.replies, await ask(messages)))
