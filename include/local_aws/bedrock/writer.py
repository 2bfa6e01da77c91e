"""The stand-in for a foundation model: it puts given facts into sentences, and can do nothing else.

It is no language model. It reads lines ``- Name: Value`` between ``<facts>`` and ``</facts>`` of the last user message
and states each value once, word for word, with a choice of plain phrasings that depends on the message alone: the same
message always gets the same text. It adds no adjective, no colour, no claim. Without facts it says that it has none.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from itertools import pairwise

from local_aws.bedrock.conversation import Answer, Conversation, bounded, tokens

NAME = "LocalWriter (deterministic stand-in, not a foundation model)"
REFUSAL = "I can only put facts into sentences, and the message gives none between <facts> and </facts>."

_BLOCK = re.compile(r"<facts>(.*?)</facts>", re.DOTALL)
_LINE = re.compile(r"^\s*-\s*([^:\n]+?)\s*:\s*(\S.*?)\s*$", re.MULTILINE)
_TITLES = ("name", "product name", "title", "product", "product display name", "productdisplayname")

Fact = tuple[str, str]


class LocalWriter:
    """Writes from the facts in a conversation's last message."""

    async def write(self, conversation: Conversation) -> Answer:
        """Answer a conversation; never fails, takes about no time."""
        prompt = conversation.messages[-1].text
        text, reason = bounded(compose(read_facts(prompt), prompt), conversation)
        return Answer(text, reason, conversation.input_tokens(), tokens(text), NAME)


def read_facts(prompt: str) -> list[Fact]:
    """Return the names and values in a message's last block of facts, in its order."""
    blocks = _BLOCK.findall(prompt)
    return _LINE.findall(blocks[-1]) if blocks else []


def compose(facts: Sequence[Fact], seed: str) -> str:
    """Return two or three sentences (one, if there is one fact) that state every fact and nothing else."""
    if not facts:
        return REFUSAL
    draw = random.Random(hashlib.sha256(seed.encode()).digest())  # noqa: S311 - variety, no secret
    titles = [fact for fact in facts if fact[0].lower() in _TITLES][:1]
    rest = [fact for fact in facts if fact not in titles]
    opening = (
        [draw.choice(("This is the {}.", "Meet the {}.", "Here is the {}.")).format(titles[0][1])] if titles else []
    )
    groups = _split(rest, draw.choice((1, 2)) if opening else draw.choice((2, 3)))
    return " ".join([*opening, *(_sentence(group, draw) for group in groups)])


def _split(facts: Sequence[Fact], parts: int) -> list[Sequence[Fact]]:
    parts = min(parts, len(facts))
    bounds = [round(number * len(facts) / parts) for number in range(parts + 1)] if parts else [0]
    return [facts[start:end] for start, end in pairwise(bounds)]


def _sentence(facts: Sequence[Fact], draw: random.Random) -> str:
    opener = draw.choice(("Its", "The"))
    clauses = [f"{_lower(name)} is {value}" for name, value in facts]
    joined = " and ".join([", ".join(clauses[:-1]), clauses[-1]] if len(clauses) > 1 else clauses)
    lead = draw.choice((f"{opener} ", "As stated, its ", "To be exact, the "))
    return f"{lead}{joined}."


def _lower(name: str) -> str:
    """Return an attribute's name as it stands inside a sentence: ``baseColour`` is "base colour"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
