"""One product's text: asked for, checked, and asked for once more with its faults if it has any.

How the model is reached is the caller's: live calls and batch jobs draft alike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from lookbook.descriptions import checking, judging, prompts, structured
from lookbook.descriptions.conversation import Messages, Reply, first_messages, repair_messages
from lookbook.descriptions.judging import Consult
from lookbook.descriptions.plans import WorkItem
from lookbook.descriptions.prompts import Prompt
from lookbook.descriptions.texts import ProductText

Ask = Callable[[Messages], Awaitable[Reply]]


@dataclass(frozen=True)
class Draft:
    """A text with what is wrong with it, and the replies that it took; ``text`` is ``None`` if none can be read.

    ``opinions`` are the replies of the judge, who is another model than the one that writes.
    """

    replies: tuple[Reply, ...]
    text: ProductText | None
    problems: tuple[str, ...]
    opinions: tuple[Reply, ...] = ()


async def draft(item: WorkItem, ask: Ask, consult: Consult | None = None) -> Draft:
    """Have one product's text written and, if it isn't faithful, written once more.

    Args:
        item: the facts and everything else that decides the text.
        ask: has a model continue a conversation.
        consult: has a judge read a text that passed the check.
    """
    return await finish(item, judge(item, (await ask(first_messages(item)),)), ask, consult)


def judge(item: WorkItem, replies: tuple[Reply, ...]) -> Draft:
    """Return the last reply's text with what is wrong with it."""
    prompt = prompts.load(item.prompt_version, item.language)
    text, problems = _read(replies[-1], prompt)
    if replies[-1].withheld:
        return Draft(replies, text, (replies[-1].withheld,))
    if text is not None:
        problems = [*problems, *checking.problems(text, item.facts.facts, prompt)]
    return Draft(replies, text, tuple(problems))


async def finish(item: WorkItem, first: Draft, ask: Ask, consult: Consult | None = None) -> Draft:
    """Return a first draft if nothing is wrong with it or nothing can be mended; else have it written again."""
    first = await _with_opinion(item, first, consult)
    last = first.replies[-1]
    if not first.problems or last.withheld:
        return first
    again = judge(item, (*first.replies, await ask(repair_messages(item, last, first.problems))))
    return await _with_opinion(item, replace(again, opinions=first.opinions), consult)


async def _with_opinion(item: WorkItem, draft: Draft, consult: Consult | None) -> Draft:
    """Have the judge read a text that the check has nothing against."""
    if consult is None or draft.problems or draft.text is None:
        return draft
    opinion = await consult(draft.text)
    objections = judging.objections_of(opinion, item.language)
    return replace(draft, problems=tuple(objections), opinions=(*draft.opinions, opinion))


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
