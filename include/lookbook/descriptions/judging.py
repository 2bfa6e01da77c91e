"""A second model's opinion on a text that passed the check, where LOOKBOOK_JUDGE_MODEL_ID names one.

It can only add objections: what the check refuses never comes before it. An opinion that can't be read is an objection,
since a text that nobody read is not one that was found good.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from jsonschema import Draft202012Validator

from lookbook.descriptions import prompts
from lookbook.descriptions.conversation import Reply, message, request_with
from lookbook.descriptions.plans import WorkItem
from lookbook.descriptions.sanitising import label
from lookbook.descriptions.texts import ProductText

PROMPT = "faithfulness_judge@1"

Consult = Callable[[ProductText], Awaitable[Reply]]

_LONGEST = 200  # characters of an objection that are passed on


def request_of(item: WorkItem, text: ProductText) -> dict[str, Any]:
    """Return the Converse request, all but its ``modelId``, that asks for a verdict on a product's text."""
    prompt = prompts.load(PROMPT, item.language)
    # Brackets would end the block; the check lets none through, but this doesn't rest on it.
    shown = "\n".join(label(line, 2000) for line in _lines(text))
    asked = prompt.first_message(item.facts.facts).replace("{text}", shown)
    return request_with(prompt, [message("user", asked)])


def objections_of(reply: Reply, language: str) -> list[str]:
    """Return what a judge objects to, a line each; an unreadable verdict is one too."""
    tool = prompts.load(PROMPT, language).tool
    given = reply.handed_to(tool) if tool else None
    if reply.withheld or given is None or not _is_verdict(given, tool.schema if tool else {}):
        return [f"the judge gave no verdict that can be read ({reply.withheld or reply.stop_reason})"]
    if given["faithful"] and not given["objections"]:
        return []
    told = [f"the judge objects: {label(objection, _LONGEST)}" for objection in given["objections"]]
    return told or ["the judge objects, and doesn't say to what"]


def _is_verdict(given: Any, schema: Any) -> bool:
    return bool(Draft202012Validator(dict(schema)).is_valid(orjson.loads(orjson.dumps(dict(given)))))


def _lines(text: ProductText) -> list[str]:
    parts = {"Title": text.title, "Description": text.description}
    listed = {"Bullet points": text.bullet_points, "Keywords": text.keywords}
    joined = parts | {name: "; ".join(entries) for name, entries in listed.items()}
    return [f"{name}: {part}" for name, part in joined.items() if part]
