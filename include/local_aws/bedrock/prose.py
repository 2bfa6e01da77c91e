"""Facts put into sentences, and nothing else: what the local writer says.

It is no language model. It reads lines ``- Name: Value`` between ``<facts>`` and ``</facts>`` and states each value
once, word for word, with a choice of plain phrasings that depends on the message alone: the same message always gets
the same text. It adds no adjective, no colour, no claim. Without facts it says that it has none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypeVar

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
_DENIAL = re.compile(r"(?:no|non|not|without)\b", re.IGNORECASE)
_TITLES = ("name", "product name", "title", "product", "product display name", "productdisplayname")
_REMEMBERED = 4096

Fact = tuple[str, str]
Choice = TypeVar("Choice")


def read_facts(prompt: str) -> list[Fact]:
    """Return the names and values in a message's last block of facts, in its order."""
    blocks = _BLOCK.findall(prompt)
    return _LINE.findall(blocks[-1]) if blocks else []


def compose(facts: Sequence[Fact], seed: str) -> str:
    """Return up to three sentences that state every fact and nothing else: what it is, what it has, the rest."""
    if not facts:
        return REFUSAL
    draw = iter(hashlib.sha256(seed.encode()).digest())
    opened, opening = _opening(facts, draw)
    rest = [fact for fact in facts if fact not in opened]
    had = [value for name, value in rest if _names_itself(name, value)]
    said = [f"the {_lower(name)} is {value}" for name, value in rest if not _names_itself(name, value)]
    sentences = [f"{_drawn(('The piece has', 'It comes with'), draw)} {_joined(had)}"] if had else []
    sentences += [_joined(said)] if said else []
    if len(sentences) > 1 and _drawn((True, False), draw):
        sentences = ["; ".join(sentences)]
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in [*opening, *sentences])


def heading(facts: Sequence[Fact]) -> str:
    """Return what the facts say the product is, as a title; without facts it is empty."""
    named, words = _what_it_is(facts)
    return words if named else ", ".join(value for _, value in facts[:2])


def _opening(facts: Sequence[Fact], draw: Iterator[int]) -> tuple[list[Fact], list[str]]:
    """Return the facts that say what the product is, and the sentence that states them; both may be empty."""
    named, words = _what_it_is(facts)
    if not named:
        return [], []
    phrasings = ("This is the {}", "Meet the {}", "Here is the {}")
    if named[0][0].lower() not in _TITLES:
        phrasings = ("{}", "Meet {}", "Here are {}")
    return named, [_drawn(phrasings, draw).format(words)]


def _what_it_is(facts: Sequence[Fact]) -> tuple[list[Fact], str]:
    """Return the facts that say what the product is, and those facts in words; both may be empty."""
    known = {name.lower(): (name, value) for name, value in reversed(facts)}
    if title := next((known[name] for name in _TITLES if name in known), None):
        return [title], title[1]
    if "article type" not in known:
        return [], ""
    parts = [(form, known[name]) for name, form in _WHAT_IT_IS.items() if name in known]
    return [fact for _, fact in parts], " ".join(form.format(fact[1]) for form, fact in parts)


def _drawn(options: Sequence[Choice], draw: Iterator[int]) -> Choice:
    return options[next(draw) % len(options)]


@lru_cache(_REMEMBERED)
def _names_itself(name: str, value: str) -> bool:
    """Whether a value says which attribute it is of: "Round Neck" does, "Cotton" doesn't.

    One that denies keeps its name all the same: "has No Sleeves and Round Neck" would deny both.
    """
    return bool(_stems(name) & _stems(value)) and not _DENIAL.match(value)


def _stems(text: str) -> set[str]:
    return {word.rstrip("s") for word in re.findall(r"\w+", text.lower())}


def _joined(clauses: Sequence[str]) -> str:
    return " and ".join([", ".join(clauses[:-1]), clauses[-1]] if len(clauses) > 1 else clauses)


@lru_cache(_REMEMBERED)
def _lower(name: str) -> str:
    """Return an attribute's name as it stands inside a sentence: ``baseColour`` is "base colour"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
