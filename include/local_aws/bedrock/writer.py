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

from local_aws.bedrock.conversation import Answer, Conversation, bounded, tokens

NAME = "LocalWriter (deterministic stand-in, not a foundation model)"
REFUSAL = "I can only put facts into sentences, and the message gives none between <facts> and </facts>."

_BLOCK = re.compile(r"<facts>(.*?)</facts>", re.DOTALL)
_LINE = re.compile(r"^\s*-\s*([^:\n]+?)\s*:\s*(\S.*?)\s*$", re.MULTILINE)
# What a product is, in the order of English: Navy Blue Shirts for Men by Orlavane.
_WHAT_IT_IS = {
    "basecolour": "{}",
    "colour": "{}",
    "article type": "{}",
    "gender": "for {}",
    "brand": "by {}",
}
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
    """Return up to three sentences that state every fact and nothing else: what it is, what it has, the rest."""
    if not facts:
        return REFUSAL
    draw = random.Random(hashlib.sha256(seed.encode()).digest())  # noqa: S311 - variety, no secret
    opened, opening = _opening(facts, draw)
    rest = [fact for fact in facts if fact not in opened]
    had = [value for name, value in rest if _names_itself(name, value)]
    said = [f"the {_lower(name)} is {value}" for name, value in rest if not _names_itself(name, value)]
    sentences = [f"{draw.choice(('The piece has', 'It comes with'))} {_joined(had)}"] if had else []
    sentences += [_joined(said)] if said else []
    if len(sentences) > 1 and draw.random() < 0.5:
        sentences = ["; ".join(sentences)]
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in [*opening, *sentences])


def _opening(facts: Sequence[Fact], draw: random.Random) -> tuple[list[Fact], list[str]]:
    """Return the facts that say what the product is, and the sentence that states them; both may be empty."""
    known = {name.lower(): (name, value) for name, value in reversed(facts)}
    if title := next((known[name] for name in _TITLES if name in known), None):
        return [title], [draw.choice(("This is the {}", "Meet the {}", "Here is the {}")).format(title[1])]
    if "article type" not in known:
        return [], []
    parts = [(form, known[name]) for name, form in _WHAT_IT_IS.items() if name in known]
    words = " ".join(form.format(fact[1]) for form, fact in parts)
    return [fact for _, fact in parts], [draw.choice(("{}", "Meet {}", "Here are {}")).format(words)]


def _names_itself(name: str, value: str) -> bool:
    """Whether a value says which attribute it is of: "Round Neck" does, "Cotton" doesn't."""
    return bool(_stems(name) & _stems(value))


def _stems(text: str) -> set[str]:
    return {word.rstrip("s") for word in re.findall(r"\w+", text.lower())}


def _joined(clauses: Sequence[str]) -> str:
    return " and ".join([", ".join(clauses[:-1]), clauses[-1]] if len(clauses) > 1 else clauses)


def _lower(name: str) -> str:
    """Return an attribute's name as it stands inside a sentence: ``baseColour`` is "base colour"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
