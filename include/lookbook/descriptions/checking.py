"""Everything that is checked of a product's text before it may be published; no model needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from lookbook.descriptions import claims, faithfulness, languages, prose
from lookbook.descriptions.facts import Fact
from lookbook.descriptions.prompts import Prompt
from lookbook.descriptions.texts import ProductText
from lookbook.descriptions.wording import words

_JOINED = ". "  # nothing is read across the end of a sentence


def problems(text: ProductText, facts: Sequence[Fact], prompt: Prompt) -> list[str]:
    """Return one line for each thing that is wrong with a text; there is none in one that may be published.

    The description must state every fact. No part may contradict one, claim something that isn't among them, or be
    anything but plain prose in the prompt's language.
    """
    stated = faithfulness.check(text.description, facts).problems()
    return list(dict.fromkeys([*stated, *_untrue(text, facts), *_unplain(text, facts, prompt)]))


def _untrue(text: ProductText, facts: Sequence[Fact]) -> Iterator[str]:
    """Yield what no part may say. All are read together, which is quicker, and one by one if that finds a fault."""
    around = [text.title, *text.bullet_points]
    if faithfulness.check(_JOINED.join(around), facts).untrue():
        yield from _each(text, lambda part: faithfulness.check(part, facts).untrue(""), around)
    if faithfulness.check(_JOINED.join(text.keywords), facts, alone=True).untrue():
        yield from _each(text, lambda part: faithfulness.check(part, facts, alone=True).untrue(""), text.keywords)
    if claims.unsupported(_JOINED.join(_all(text)), facts):
        yield from _each(text, lambda part: claims.unsupported(part, facts))
    yield from _each(text, lambda part: claims.foreign_names(part, facts))


def _unplain(text: ProductText, facts: Sequence[Fact], prompt: Prompt) -> Iterator[str]:
    if prose.faults(_JOINED.join(_all(text)), prompt.system):
        yield from _each(text, lambda part: prose.faults(part, prompt.system))
    code = languages.load(prompt.language).code
    own = {word for fact in facts for word in words(f"{fact.attribute} {fact.value}")}
    if other := prose.other_language(_JOINED.join([text.description, *text.bullet_points]), code, own):
        yield f"it is not in the language {prompt.language}, or not all of it: {other}"


def _all(text: ProductText) -> list[str]:
    return [text.description, text.title, *text.bullet_points, *text.keywords]


def _each(text: ProductText, faults: Callable[[str], list[str]], among: Collection[str] | None = None) -> Iterator[str]:
    """Yield the faults of every part, or of those ``among``, with what the part is called; the description is "it"."""
    named = [("it", text.description), ("its title", text.title)]
    named += [("a bullet point", point) for point in text.bullet_points]
    named += [("a keyword", keyword) for keyword in text.keywords]
    for name, part in named:
        if part and (among is None or part in among):
            yield from (f"{name} {fault.strip()}" for fault in faults(part))
