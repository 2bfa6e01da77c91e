"""Claims that no attribute stands for: prices, sizes, origin, care, certificates, delivery, superlatives, other brands.

What counts as such a claim is data (``claims.toml``). A word that is part of a fact's name or value claims nothing.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from lookbook.descriptions import lexicon
from lookbook.descriptions.facts import Fact
from lookbook.descriptions.lexicon import Phrase
from lookbook.descriptions.wording import words

_BRAND = "Brand"
_LIKENESS = 0.8  # of two names; "Adibas" and "Adidas" have 0.83
_SHORTEST_NAME = 4  # characters; shorter names resemble too much
# A capital inside a sentence begins a name. Single letters are shapes: an A-line, a V-neck.
_NAME = re.compile(r"(?<=[\w,;:] )(?:[A-Z][a-z]+(?:[A-Z][a-z]+)*|[A-Z]{2,})\b")
_MARK = "▮"  # where a fact's words stood: no word, no letter, no end of a sentence
_CALENDAR = frozenset({"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"})


@dataclass(frozen=True)
class _Kind:
    said: str
    always: bool
    patterns: tuple[re.Pattern[str], ...]


@dataclass(frozen=True)
class _Claims:
    """The phrases of all kinds of claims; one that excuses another has no kind."""

    phrases: Mapping[Phrase, str | None]
    kinds: Mapping[str, _Kind]
    lengths: Mapping[str, tuple[int, ...]]  # as in the lexicon


@lru_cache(maxsize=1)
def load() -> _Claims:
    """Return the installed list of claims."""
    content = tomllib.loads((files(__package__) / "claims.toml").read_text(encoding="utf-8"))
    phrases: dict[Phrase, str | None] = {}
    for name, entry in content.items():
        phrases |= {words(phrase): name for phrase in entry.get("phrases", ())}
    for entry in content.values():
        phrases |= {words(phrase): None for phrase in entry.get("unless", ())}
    kinds = {
        name: _Kind(entry["said"], entry.get("always", False), tuple(map(re.compile, entry.get("patterns", ()))))
        for name, entry in content.items()
    }
    return _Claims(phrases, kinds, lexicon.lengths_of(phrases))


def unsupported(text: str, facts: Sequence[Fact]) -> list[str]:
    """Return what a text claims beyond its facts, each as a clause: ``speaks of a price or an offer ("discount")``.

    Args:
        text: prose or a phrase, or several with full stops between them.
        facts: all that may be said.
    """
    known = load()
    found = [*_phrases(text, facts, known), *_patterns(_without(text, tuple(facts)), known)]
    return list(dict.fromkeys(f'speaks of {known.kinds[kind].said} ("{what}")' for kind, what in found))


def foreign_names(text: str, facts: Sequence[Fact]) -> list[str]:
    """Return the names in a text that its facts don't give, and what is nearly a brand's, each as a clause.

    Args:
        text: one part of a product's text: in a headline a capital tells nothing, in a sentence it begins a name.
        facts: all that may be said.
    """
    return list(dict.fromkeys(_names(_without(text, tuple(facts)), facts)))


def _phrases(text: str, facts: Sequence[Fact], known: _Claims) -> Iterator[tuple[str, str]]:
    """Yield kind and words of each claim, longest first; words that state a fact are passed over."""
    read = words(text)
    own = _of_facts(read, facts)
    position = 0
    while position < len(read):
        length = lexicon.longest_at(read, position, known.phrases, known.lengths)
        kind = known.phrases[read[position : position + length]] if length else _number(read[position])
        excused = own.issuperset(range(position, position + (length or 1)))
        if kind and (known.kinds[kind].always or not excused):
            yield kind, " ".join(read[position : position + (length or 1)])
        position += length or 1


def _number(word: str) -> str | None:
    return "number" if any(char.isdigit() for char in word) else None


def _of_facts(read: Phrase, facts: Sequence[Fact]) -> set[int]:
    """Return the positions of words that are a fact's name, or that state its value."""
    stated = {(fact.attribute, fact.value) for fact in facts}
    spans = [
        (found.start, found.end)
        for found in lexicon.with_facts(tuple(facts)).find(read)
        if found.meaning.claims & stated
    ]
    for name in (words(fact.attribute) for fact in facts):
        starts = (at for at, word in enumerate(read) if word == name[0])
        spans += [(at, at + len(name)) for at in starts if read[at : at + len(name)] == name]
    return {position for start, end in spans for position in range(start, end)}


def _patterns(rest: str, known: _Claims) -> Iterator[tuple[str, str]]:
    lowered = rest.casefold()
    for name, kind in known.kinds.items():
        for pattern in kind.patterns:
            if match := pattern.search(lowered):
                yield name, match[0]


def _names(rest: str, facts: Sequence[Fact]) -> Iterator[str]:
    brands = [word for fact in facts if fact.attribute == _BRAND for word in _name_words(fact.value)]
    for name in _capitalised(rest) if brands else ():
        like = difflib.get_close_matches(name.casefold(), brands, 1, _LIKENESS)
        if like and not _is_no_name(name, facts):
            yield f'names "{name}", which is not the brand "{like[0]}"'
    names = _NAME.findall(rest)
    for name in () if names and _is_headline(rest) else names:
        if not _is_no_name(name, facts):
            yield f'names "{name}", which is not among the facts'


def _is_no_name(word: str, facts: Sequence[Fact]) -> bool:
    read = words(word)
    return _CALENDAR.issuperset(read) or _spoken(tuple(facts)).issuperset(read)


@lru_cache(maxsize=32)
def _spoken(facts: tuple[Fact, ...]) -> frozenset[str]:
    """Return the words that a capital makes no name of: those of all values, and of the facts' names."""
    phrases = [*lexicon.with_facts(facts).phrases, *(words(fact.attribute) for fact in facts), ("colour",)]
    return frozenset(word for phrase in phrases for word in phrase)


def _name_words(name: str) -> list[str]:
    return [word for word in re.findall(r"[a-z]+", name.casefold()) if len(word) >= _SHORTEST_NAME]


def _capitalised(text: str) -> list[str]:
    return [word for word in re.findall(r"[^\W\d_]+", text) if word[0].isupper() and len(word) >= _SHORTEST_NAME]


def _is_headline(text: str) -> bool:
    """Whether most of a text's words are capitalised, so that a capital tells nothing."""
    after_first: list[str] = re.findall(r"[^\W\d_]+", text)[1:]
    longer = [word for word in after_first if len(word) >= _SHORTEST_NAME]
    return sum(word[0].isupper() for word in longer) > len(longer) / 2


@lru_cache(maxsize=32)
def _values(facts: tuple[Fact, ...]) -> re.Pattern[str]:
    values = sorted({fact.value for fact in facts}, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, values))})(?!\w)", re.IGNORECASE)


def _without(text: str, facts: tuple[Fact, ...]) -> str:
    """Return the text with every fact's value replaced by a mark."""
    return _values(facts).sub(_MARK, text) if facts else text
