"""The words for every known attribute value: ``lexicon.toml`` on top of the drops' vocabulary."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
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
    """What a phrase claims; an ambiguous one claims it only in the right company."""

    claims: frozenset[Claim]
    ambiguous: bool


@dataclass(frozen=True)
class Lexicon:
    """Every phrase that states a value, each attribute's cues, and the nouns with what may stand before them."""

    phrases: Mapping[Phrase, Meaning]
    cues: Mapping[str, frozenset[Phrase]]
    openings: Mapping[str, frozenset[Phrase]]  # cues only where they stand before
    modifiers: Mapping[str, frozenset[Phrase]]  # by head: {"sleeve": {("long",), ("three", "quarter"), …}}
    longest: int

    def with_facts(self, facts: Iterable[Fact]) -> Lexicon:
        """Return the lexicon extended by the facts' own values, which it need not know."""
        phrases = dict(self.phrases)
        for fact in facts:
            phrase = words(fact.value)
            known = phrases.get(phrase, Meaning(frozenset(), ambiguous=False))
            phrases[phrase] = Meaning(known.claims | {(fact.attribute, fact.value)}, known.ambiguous)
        return replace(self, phrases=phrases, longest=max(map(len, phrases)))


@lru_cache(maxsize=1)
def load() -> Lexicon:
    """Return the lexicon of the installed vocabulary."""
    content = tomllib.loads((files(__package__) / "lexicon.toml").read_text(encoding="utf-8"))
    heads = content.pop("heads")
    phrases: dict[Phrase, Meaning] = {}
    for phrase, claim, ambiguous in _wordings(content):
        known = phrases.get(phrase)
        claims = known.claims | {claim} if known else frozenset({claim})
        phrases[phrase] = Meaning(claims, ambiguous or bool(known and known.ambiguous))
    cues, openings = (
        {attribute: frozenset(map(words, entry.get(key, ()))) for attribute, entry in content.items()}
        for key in ("cues", "openings")
    )
    return Lexicon(phrases, cues, openings, _modifiers(phrases, heads), max(map(len, phrases)))


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
