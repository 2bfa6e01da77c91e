"""The words for every known attribute value: ``lexicon.toml`` on top of the drops' vocabulary."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

from lookbook.descriptions.facts import Fact
from lookbook.descriptions.wording import words
from lookbook.drops import vocabulary

Phrase = tuple[str, ...]
Claim = tuple[str, str]  # attribute, value


@dataclass(frozen=True)
class Meaning:
    """What a phrase claims; an ambiguous one claims it only in the right company, an idiom claims nothing."""

    claims: frozenset[Claim]
    ambiguous: bool


@dataclass(frozen=True)
class Found:
    """A phrase for known values at ``start`` up to, not including, ``end``."""

    start: int
    end: int
    meaning: Meaning


@dataclass(frozen=True)
class Lexicon:
    """Every phrase that states a value, each attribute's cues, and the nouns with what may stand before them."""

    phrases: Mapping[Phrase, Meaning]
    cues: Mapping[str, frozenset[Phrase]]
    openings: Mapping[str, frozenset[Phrase]]  # cues only where they stand before
    modifiers: Mapping[str, frozenset[Phrase]]  # by head: {"sleeve": {("long",), ("three", "quarter"), …}}
    starts: frozenset[str]  # every head, and the first word of every modifier
    lengths: Mapping[str, tuple[int, ...]]  # by first word: how many words the phrases have, longest first

    def find(self, text: Phrase) -> Iterator[Found]:
        """Yield the phrases in a text, longest first: "navy blue" is never "blue"."""
        position = 0
        while position < len(text):
            length = longest_at(text, position, self.phrases, self.lengths)
            if length:
                yield Found(position, position + length, self.phrases[text[position : position + length]])
            position += length or 1


def longest_at(text: Phrase, position: int, phrases: Container[Phrase], lengths: Mapping[str, tuple[int, ...]]) -> int:
    """Return how many words the longest of the known phrases at a position has, 0 if there is none."""
    for length in lengths.get(text[position], ()):
        if position + length <= len(text) and text[position : position + length] in phrases:
            return length
    return 0


def lengths_of(phrases: Iterable[Phrase]) -> dict[str, tuple[int, ...]]:
    """Return by first word how many words the phrases have, longest first."""
    found: dict[str, set[int]] = defaultdict(set)
    for phrase in phrases:
        found[phrase[0]].add(len(phrase))
    return {first: tuple(sorted(lengths, reverse=True)) for first, lengths in found.items()}


@lru_cache(maxsize=1)
def load() -> Lexicon:
    """Return the lexicon of the installed vocabulary."""
    content = tomllib.loads((files(__package__) / "lexicon.toml").read_text(encoding="utf-8"))
    heads, idioms = content.pop("heads"), content.pop("idioms")
    phrases: dict[Phrase, Meaning] = {words(idiom): Meaning(frozenset(), ambiguous=False) for idiom in idioms}
    for phrase, claim, ambiguous in _wordings(content):
        known = phrases.get(phrase)
        claims = known.claims | {claim} if known else frozenset({claim})
        phrases[phrase] = Meaning(claims, ambiguous or bool(known and known.ambiguous))
    cues, openings = (
        {attribute: frozenset(map(words, entry.get(key, ()))) for attribute, entry in content.items()}
        for key in ("cues", "openings")
    )
    modifiers = _modifiers(phrases, heads)
    starts = frozenset([*modifiers, *(modifier[0] for known in modifiers.values() for modifier in known)])
    return Lexicon(phrases, cues, openings, modifiers, starts, lengths_of(phrases))


@lru_cache(maxsize=32)
def with_facts(facts: tuple[Fact, ...]) -> Lexicon:
    """Return the lexicon extended by the facts' own values, which it need not know."""
    known = load()
    own: dict[Phrase, Meaning] = {}
    for fact in facts:
        phrase = words(fact.value)
        meaning = own.get(phrase) or known.phrases.get(phrase) or Meaning(frozenset(), ambiguous=False)
        own[phrase] = Meaning(meaning.claims | {(fact.attribute, fact.value)}, meaning.ambiguous)
    lengths = dict(known.lengths)
    for first, more in lengths_of(phrase for phrase in own if phrase).items():
        lengths[first] = tuple(sorted({*lengths.get(first, ()), *more}, reverse=True))
    return replace(known, phrases={**known.phrases, **own}, lengths=lengths)


def _wordings(content: Mapping[str, Any]) -> Iterator[tuple[Phrase, Claim, bool]]:
    known = vocabulary.load().values
    for attribute, entry in content.items():
        ambiguous = {words(wording) for wording in entry["ambiguous"]}
        unheard = entry.get("unheard", ())
        for value in dict.fromkeys([*known.get(attribute, ()), *entry["values"]]):
            if value in unheard:
                continue
            for wording in (value, *entry["values"].get(value, ())):
                phrase = words(wording)
                yield phrase, (attribute, value), phrase in ambiguous


def _modifiers(phrases: Iterable[Phrase], heads: Iterable[str]) -> dict[str, frozenset[Phrase]]:
    found: dict[str, set[Phrase]] = defaultdict(set)
    for phrase in phrases:
        if len(phrase) > 1 and phrase[-1] in heads:
            found[phrase[-1]].add(phrase[:-1])
    return {head: frozenset(found[head]) for head in found}
