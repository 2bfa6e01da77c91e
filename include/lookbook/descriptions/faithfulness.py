"""Does a description state its facts, all of them, and nothing else that can be looked up? No model needed.

The text is read as a sequence of words in which every phrase for a known attribute value is found, longest first
("navy blue" is never "blue"). What is found is compared with the facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lookbook.descriptions import lexicon
from lookbook.descriptions.facts import Fact
from lookbook.descriptions.lexicon import Claim, Found, Lexicon, Phrase
from lookbook.descriptions.wording import COMMA, END, words

_NEGATORS = {"no", "not", "never", "without", "isnt", "arent", "non", "nor", "neither"}
_NOT_ONLY = {"only", "just", "merely", "simply"}
_COMPOUNDING = {"and", "or", COMMA}
_HEAD_NOUNS = {"length", "styling", "style", "type"}
_LEAD_IN = {"is", "a", "an", "the", "of", "and", COMMA}
_GARMENT = "Article Type"
_PROPER_NAME = "Brand"  # its words describe nothing: a shirt by "Blue Saint" need not be blue


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a text, as ``Attribute: Value`` each; nothing is wrong with a faithful one."""

    missing: tuple[str, ...] = ()
    contradicted: tuple[str, ...] = ()
    invented: tuple[str, ...] = ()

    @property
    def faithful(self) -> bool:
        """Whether the text states every fact and claims nothing else."""
        return not (self.missing or self.contradicted or self.invented)

    def problems(self, subject: str = "it") -> list[str]:
        """Return one line per fault, for whoever has to mend the text or to read why it was withheld."""
        return [*(f"{subject} doesn't state {fact}" for fact in self.missing), *self.untrue(subject)]

    def untrue(self, subject: str = "it") -> list[str]:
        """Return the lines of what the text says, not of what it leaves out."""
        return [
            *(f"{subject} says {claim}, which contradicts the facts" for claim in self.contradicted),
            *(f"{subject} says {claim}, which is not among the facts" for claim in self.invented),
        ]


def check(text: str, facts: Sequence[Fact], *, alone: bool = False) -> Verdict:
    """Compare a description with the facts that it was written from.

    *missing*: a fact that it doesn't state. *contradicted*: another known value of an attribute that has a fact, or
    a fact that it denies. *invented*: a known value of an attribute that has no fact.

    Args:
        text: prose, or a phrase.
        facts: all that may be said.
        alone: it is a phrase without company, such as a keyword: in it every word for a value means that value.
    """
    return _Reading(text, facts, alone=alone).verdict()


class _Reading:
    """One text read against one product's facts."""

    def __init__(self, text: str, facts: Sequence[Fact], *, alone: bool) -> None:
        self.alone = alone
        self.facts = {(fact.attribute, fact.value) for fact in facts}
        self.attributes = {fact.attribute for fact in facts}
        self.lexicon = lexicon.with_facts(tuple(facts))
        self.words = _spread(words(text), self.lexicon)
        self.found = list(self.lexicon.find(self.words))

    def verdict(self) -> Verdict:
        stated: set[Claim] = set()
        contradicted: set[Claim] = set()
        invented: set[Claim] = set()
        for found in self.found:
            own = found.meaning.claims & self.facts
            if own and self._denied(found):
                contradicted |= own
            elif own:
                stated |= own | self._within(found, own)
            elif self._is_meant(found) and not self._denied(found) and not self._is_part_of_a_fact(found):
                against = {claim for claim in found.meaning.claims if claim[0] in self.attributes}
                contradicted |= against
                invented |= found.meaning.claims if not against else set()
        return Verdict(_listed(self.facts - stated - contradicted), _listed(contradicted), _listed(invented))

    def _is_meant(self, found: Found) -> bool:
        """Whether an ambiguous phrase that states no fact stands where it can only mean its value."""
        if not found.meaning.ambiguous or self.alone:
            return True
        attributes = {attribute for attribute, _ in found.meaning.claims}
        if _GARMENT in attributes:
            return False
        return self._followed_by_cue(found, attributes) or self._preceded_by_cue(found, attributes)

    def _followed_by_cue(self, found: Found, attributes: set[str]) -> bool:
        position = found.end
        while position < len(self.words):
            if self._cue_at(position, attributes):
                return True
            following = next((other for other in self.found if other.start == position), None)
            if following and _is_garment(following):
                return True
            if following is None and self.words[position] not in _COMPOUNDING:
                return False
            if following and not following.meaning.ambiguous and position == found.end:
                return True
            position = following.end if following else position + 1
        return False

    def _preceded_by_cue(self, found: Found, attributes: set[str]) -> bool:
        position = found.start
        while position > 0:
            if self._cue_before(position, attributes):
                return True
            if self.words[position - 1] == "is" and self._cue_in_clause(position, attributes):
                return True
            preceding = next((other for other in self.found if other.end == position), None)
            if preceding is None and self.words[position - 1] not in _LEAD_IN:
                return False
            position = preceding.start if preceding else position - 1
        return False

    def _cue_at(self, position: int, attributes: set[str]) -> bool:
        return _any_at(self.words, position, self._cues(attributes))

    def _cue_before(self, position: int, attributes: set[str]) -> bool:
        openings = (phrase for name in attributes for phrase in self.lexicon.openings.get(name, ()))
        cues = [*self._cues(attributes), *openings]
        return any(self.words[max(0, position - len(cue)) : position] == cue for cue in cues)

    def _cue_in_clause(self, end: int, attributes: set[str]) -> bool:
        """Whether a cue is what the "is" before ``end`` speaks of: "the pattern of this shirt is"."""
        start = next((at + 1 for at in range(end - 1, -1, -1) if self.words[at] in (COMMA, END)), 0)
        return any(self._cue_at(position, attributes) for position in range(start, end))

    def _cues(self, attributes: set[str]) -> Iterator[Phrase]:
        for attribute in attributes:
            yield words(attribute)
            yield from self.lexicon.cues.get(attribute, ())

    def _denied(self, found: Found) -> bool:
        """Whether one of the three words before, in the same clause, denies the phrase: "not made of cotton"."""
        before: set[str] = set()
        for word in reversed(self.words[max(0, found.start - 3) : found.start]):
            if word in (COMMA, END):
                break
            before.add(word)
        return bool(_NEGATORS & before) and not _NOT_ONLY & before

    def _within(self, found: Found, own: Iterable[Claim]) -> set[Claim]:
        """Return the other facts whose words are part of this one's: casual shoes are casual."""
        if all(attribute == _PROPER_NAME for attribute, _ in own):
            return set()
        inside = self.words[found.start : found.end]
        others = self.facts - set(own)
        return {(attribute, value) for attribute, value in others if _contains(inside, words(value))}

    def _is_part_of_a_fact(self, found: Found) -> bool:
        """Whether the phrase says less than a fact of the same attribute does: a navy blue shirt is blue."""
        phrase = self.words[found.start : found.end]
        attributes = {attribute for attribute, _ in found.meaning.claims}
        return any(_contains(words(value), phrase) for attribute, value in self.facts if attribute in attributes)


def _spread(text: tuple[str, ...], known: Lexicon) -> tuple[str, ...]:
    """Give every modifier its noun: "long regular sleeves", "the sleeves are long" become "long sleeves …"."""
    spread: list[str] = []
    position = 0
    while position < len(text):
        begins = text[position] in known.starts
        exchanged = (_shared_noun(text, position, known) or _predicate(text, position, known)) if begins else None
        taken, replacement = exchanged or (1, ())
        spread.extend(replacement or text[position : position + 1])
        position += taken
    return tuple(spread)


def _shared_noun(text: tuple[str, ...], start: int, known: Lexicon) -> tuple[int, tuple[str, ...]] | None:
    for head, modifiers in known.modifiers.items():
        chain, position = [], start
        while modifier := _modifier_at(text, position, modifiers):
            chain.append(modifier)
            position += len(modifier)
            while position < len(text) and text[position] in _COMPOUNDING:
                position += 1
        if len(chain) > 1 and text[position : position + 1] == (head,):
            return position + 1 - start, tuple(word for modifier in chain for word in (*modifier, head))
    return None


def _predicate(text: tuple[str, ...], start: int, known: Lexicon) -> tuple[int, tuple[str, ...]] | None:
    head, position = text[start], start + 1
    if head not in known.modifiers:
        return None
    if text[position : position + 1] and text[position] in _HEAD_NOUNS:
        position += 1
    modifier = _modifier_at(text, position + 1, known.modifiers[head])
    end = position + 1 + len(modifier)
    if text[position : position + 1] != ("is",) or not modifier or text[end : end + 1] == (head,):
        return None
    return end - start, (*modifier, head)


def _modifier_at(text: tuple[str, ...], position: int, modifiers: frozenset[Phrase]) -> Phrase:
    fitting = (modifier for modifier in modifiers if text[position : position + len(modifier)] == modifier)
    return max(fitting, key=len, default=())


def _is_garment(found: Found) -> bool:
    return any(attribute == _GARMENT for attribute, _ in found.meaning.claims)


def _contains(whole: Phrase, part: Phrase) -> bool:
    return any(_any_at(whole, start, [part]) for start in range(len(whole)))


def _any_at(text: Phrase, position: int, phrases: Iterable[Phrase]) -> bool:
    return any(text[position : position + len(phrase)] == phrase for phrase in phrases)


def _listed(claims: Iterable[Claim]) -> tuple[str, ...]:
    return tuple(sorted(f"{attribute}: {value}" for attribute, value in claims))
