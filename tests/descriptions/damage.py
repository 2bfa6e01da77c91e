"""Rules that damage a faithful text, each in one way that a reader would object to.

A rule takes a text, its facts and a source of chance, and returns the damaged text, or ``None`` where it can't apply:
a text that states its fabric in other words has no word to exchange.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lookbook.descriptions import prompts
from lookbook.descriptions.facts import Fact
from lookbook.descriptions.texts import ProductText
from lookbook.descriptions.wording import words
from lookbook.drops import vocabulary

Facts = Sequence[Fact]
Rule = Callable[[ProductText, Facts, random.Random], ProductText | None]

SENTENCES = tomllib.loads(Path(__file__).with_name("damage_sentences.toml").read_text())
VALUES = vocabulary.load().values
GARMENTS = ["Jeans", "Sarees", "Sweatshirts", "Skirts", "Wallets", "Sunglasses", "Blazers", "Leggings"]
GENDERS = ["Men", "Women", "Boys", "Girls"]
SEASONS = ["Summer", "Winter"]
USAGES = ["Ethnic", "Formal", "Sports"]
# Words that stand for more than one value, or for none by themselves.
VAGUE = {"Fabric", "Textile", "Synthetic", "Sleeveless", "Shoulder Straps", "Hooded", "Mandarin Collar", "Mock Collar",
         "Multi", "Cotton", "Acrylic", "Nylon", "Polyester", "Metallic", "Patterned", "Satin", "Lace", "Dyed", "Skin",
         "Washed"}  # fmt: skip
_FOREIGN = {
    "fr": "Une belle pièce pour la ville, facile à porter et à aimer, du matin jusqu'au soir.",
    "de": "Ein schönes Stück für jeden Tag, leicht zu tragen und leicht zu lieben.",
}


def rules(half: str) -> dict[str, Rule]:
    """Return the rules by name, with the sentences of one half: ``tuning`` or ``measuring``."""
    added = {f"add {kind}": _adding(sentences) for kind, sentences in SENTENCES[half].items()}
    return _RULES | added


def _adding(sentences: Sequence[str]) -> Rule:
    def add(text: ProductText, facts: Facts, draw: random.Random) -> ProductText:
        sentence = draw.choice(sentences)
        if draw.random() < 0.3 and len(text.bullet_points) < 6:
            return replace(text, bullet_points=(*text.bullet_points, sentence))
        return _and(text, sentence)

    return add


def _and(text: ProductText, sentence: str) -> ProductText:
    return replace(text, description=f"{text.description} {sentence}")


def _value(facts: Facts, attribute: str) -> str | None:
    return next((fact.value for fact in facts if fact.attribute == attribute), None)


def _exchange(part: str, old: str, new: str) -> str | None:
    """Replace a value in a part of a text, or return ``None`` if it doesn't stand there word for word."""
    exchanged, count = re.subn(rf"(?<![\w-]){re.escape(old)}(?![\w-])", lambda _: new, part, flags=re.IGNORECASE)
    return exchanged if count else None


def _other(attribute: str, value: str, draw: random.Random) -> str:
    """Return a value that shares no word with ``value``."""
    apart = [
        other
        for other in VALUES[attribute]
        if not set(words(other)) & set(words(value)) - {"neck", "sleeve", "fit", "collar"}
    ]
    return draw.choice([other for other in apart if other not in VAGUE])


def _swapping(*attributes: str) -> Rule:
    def swap(text: ProductText, facts: Facts, draw: random.Random) -> ProductText | None:
        stated = [(name, value) for name in attributes if (value := _value(facts, name)) and value not in VAGUE]
        for name, value in draw.sample(stated, len(stated)):
            new = _other(name, value, draw).lower()
            if changed := _exchange(text.description, value, new):
                return replace(text, description=changed)
        return None

    return swap


def _adding_value(attribute: str, sentence: str) -> Rule:
    def add(text: ProductText, facts: Facts, draw: random.Random) -> ProductText | None:
        value = _value(facts, attribute) or ""
        return _and(text, sentence.format(_other(attribute, value, draw).lower()))

    return add


def _replacing(attribute: str, others: Sequence[str]) -> Rule:
    def change(text: ProductText, facts: Facts, draw: random.Random) -> ProductText | None:
        value = _value(facts, attribute)
        other = draw.choice([other for other in others if not set(words(other)) & set(words(value or ""))])
        changed = _exchange(text.description, value, other) if value else None
        return replace(text, description=changed) if changed else None

    return change


def drop_a_fact(text: ProductText, facts: Facts, draw: random.Random) -> ProductText | None:
    """Leave the words of one fact out of the description."""
    for fact in draw.sample(facts, len(facts)):
        elsewhere = any(set(words(fact.value)) <= set(words(other.value)) for other in facts if other is not fact)
        if elsewhere or fact.value in VAGUE:
            continue
        changed = _exchange(text.description, fact.value, "")
        if changed and not _still_says(changed, fact):
            return replace(text, description=" ".join(changed.split()))
    return None


def _still_says(text: str, fact: Fact) -> bool:
    return bool(set(words(fact.value)) & set(words(text)))


def deny_a_fact(text: ProductText, facts: Facts, draw: random.Random) -> ProductText | None:
    """Say that the product is not what it is."""
    names = ("Fabric", "Material", "Pattern", "Usage", "baseColour", "Fit")
    stated = [value for name in names if (value := _value(facts, name)) and value not in VAGUE]
    for value in draw.sample(stated, len(stated)):
        if changed := _exchange(text.description, value, f"not {value.lower()}"):
            return replace(text, description=changed)
    return None


def mention_another_garment(text: ProductText, facts: Facts, draw: random.Random) -> ProductText:
    """Speak of a garment that isn't the product."""
    own = set(words(_value(facts, "Article Type") or ""))
    other = draw.choice([garment for garment in GARMENTS if not own & set(words(garment))])
    return _and(text, f"Wear it with {other.lower()} of your choice.")


def colour_of_the_title(text: ProductText, facts: Facts, draw: random.Random) -> ProductText | None:
    """Give the title another colour than the description."""
    value = _value(facts, "baseColour")
    changed = _exchange(text.title, value, _other("baseColour", value, draw)) if value else None
    return replace(text, title=changed) if changed else None


def fabric_of_a_keyword(text: ProductText, facts: Facts, draw: random.Random) -> ProductText:
    """Have the product found by a fabric that it isn't made of."""
    other = _other("Fabric", " ".join(fact.value for fact in facts), draw)
    return replace(
        text, keywords=(*text.keywords[:9], f"{other.lower()} {(_value(facts, 'Article Type') or 'piece').lower()}")
    )


def pattern_of_a_bullet_point(text: ProductText, facts: Facts, draw: random.Random) -> ProductText:
    """Invent a pattern in a bullet point."""
    other = _other("Pattern", _value(facts, "Pattern") or "", draw)
    return replace(text, bullet_points=(*text.bullet_points[:5], f"{other} pattern"))


def misspell_the_brand(text: ProductText, facts: Facts, draw: random.Random) -> ProductText | None:
    """Exchange a letter of the brand wherever it stands: a look-alike."""
    brand = _value(facts, "Brand")
    if not brand or len(brand) < 5 or not brand[-2].isalpha():
        return None
    like = brand[:-2] + ("x" if brand[-2] != "x" else "z") + brand[-1]
    changed = _exchange(text.description, brand, like)
    return (
        replace(text, description=changed, title=_exchange(text.title, brand, like) or text.title) if changed else None
    )


def look_alike_brand_in_the_title(text: ProductText, facts: Facts, draw: random.Random) -> ProductText | None:
    """Exchange a letter of the brand in the title alone."""
    brand = _value(facts, "Brand")
    if not brand or not re.fullmatch(r"[A-Za-z]{6,}", brand):
        return None
    at = draw.randrange(1, len(brand) - 1)
    changed = _exchange(text.title, brand, brand[:at] + ("u" if brand[at] != "u" else "o") + brand[at + 1 :])
    return replace(text, title=changed) if changed else None


def write_it_in_another_language(text: ProductText, facts: Facts, draw: random.Random) -> ProductText:
    """Put the prose around the facts into another language."""
    named = ", ".join(fact.value for fact in facts)
    return replace(text, description=f"{draw.choice(list(_FOREIGN.values()))} {named}.")


def make_it_too_long(text: ProductText, facts: Facts, draw: random.Random) -> ProductText:
    """Go on and on."""
    return _and(text, "It is a joy to look at, every single day, again and again. " * 15)


def make_it_too_short(text: ProductText, facts: Facts, draw: random.Random) -> ProductText:
    """Say next to nothing."""
    return replace(text, description="Nice.")


def leave_out_the_bullet_points(text: ProductText, facts: Facts, draw: random.Random) -> ProductText:
    """Hand over an empty list."""
    return replace(text, bullet_points=())


def claim_another_language(text: ProductText, facts: Facts, draw: random.Random) -> ProductText:
    """Say that it is written in another language."""
    return replace(text, language=draw.choice(["fr-FR", "en", "", "de-DE"]))


def put_in_markup(text: ProductText, facts: Facts, draw: random.Random) -> ProductText:
    """Write for a page instead of a reader."""
    return _and(
        text,
        draw.choice(
            ["<b>Lovely.</b>", "**Lovely.**", "{{ lovely }}", "<script>x()</script>", "`lovely`", "[lovely](more)"]
        ),
    )


def put_in_a_link(text: ProductText, facts: Facts, draw: random.Random) -> ProductText:
    """Lead the reader elsewhere."""
    return _and(
        text,
        draw.choice(
            [
                "More at www.example.org.",
                "See https://example.com.",
                "Write to us@shop.example.",
                "Find it at example.com.",
            ]
        ),
    )


def hide_characters(text: ProductText, facts: Facts, draw: random.Random) -> ProductText:
    """Put in characters that nobody sees, or that turn the direction of reading."""
    hidden = draw.choice(["\u200b", "\u202e", "\u2066", "\ue000", "\u00ad"])
    return replace(text, description=text.description.replace(" ", f" {hidden}", 1))


def write_it_with_look_alike_letters(text: ProductText, facts: Facts, draw: random.Random) -> ProductText:
    """Exchange a Latin letter for the Cyrillic one that looks the same."""
    return replace(text, description=text.description.replace("a", "а", 1))


def repeat_the_instructions(text: ProductText, facts: Facts, draw: random.Random) -> ProductText:
    """Quote the prompt's system text."""
    system = prompts.load("product_description@2").system.split()
    start = draw.randrange(len(system) - 12)
    return _and(text, " ".join(system[start : start + 12]).replace("`", ""))


_RULES: Mapping[str, Rule] = {
    "swap the colour": _swapping("baseColour"),
    "swap the fabric": _swapping("Fabric", "Material"),
    "swap the cut": _swapping("Sleeve Length", "Sleeve Styling", "Neck", "Collar", "Fit"),
    "swap the pattern": _swapping("Pattern"),
    "swap the garment": _replacing("Article Type", GARMENTS),
    "swap the gender": _replacing("Gender", GENDERS),
    "swap the season": _replacing("Season", SEASONS),
    "swap the usage": _replacing("Usage", USAGES),
    "add a colour": _adding_value("baseColour", "It has {} accents in its colour."),
    "add a fabric": _adding_value("Fabric", "It holds a touch of {} fabric."),
    "add a pattern": _adding_value("Pattern", "The pattern is {}."),
    "drop a fact": drop_a_fact,
    "deny a fact": deny_a_fact,
    "mention another garment": mention_another_garment,
    "swap the title's colour": colour_of_the_title,
    "add a fabric to the keywords": fabric_of_a_keyword,
    "add a pattern to the bullet points": pattern_of_a_bullet_point,
    "misspell the brand": misspell_the_brand,
    "misspell the brand in the title": look_alike_brand_in_the_title,
    "write it in another language": write_it_in_another_language,
    "make it too long": make_it_too_long,
    "make it too short": make_it_too_short,
    "leave out the bullet points": leave_out_the_bullet_points,
    "claim another language": claim_another_language,
    "put in markup": put_in_markup,
    "put in a link": put_in_a_link,
    "hide characters": hide_characters,
    "use look-alike letters": write_it_with_look_alike_letters,
    "repeat the instructions": repeat_the_instructions,
}
