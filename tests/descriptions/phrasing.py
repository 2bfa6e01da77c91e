"""Faithful texts in many phrasings: patterns written by hand, filled with the facts of products drawn by chance.

The two halves have no pattern in common.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from lookbook.descriptions.facts import Fact
from lookbook.descriptions.texts import ProductText
from lookbook.drops import vocabulary

ARTICLE_TYPES = {
    "tuning": ["Shirts", "Tshirts", "Casual Shoes", "Watches", "Kurtas", "Track Pants", "Sweaters", "Handbags"],
    "measuring": ["Tops", "Jeans", "Kurta Sets", "Sports Shoes", "Jackets", "Shorts", "Dresses", "Backpacks", "Ties"],
}
BRANDS = {
    "tuning": ["Turtle", "Red Tape", "Blue Saint", "United Colors of Benetton", "Oakwell", "Solid"],
    "measuring": [
        "Northmoor",
        "Gini and Jony",
        "Fernhill",
        "Green Room",
        "Arvela",
        "Price & Sons",
        "612 League",
        "Summer Club",
    ],
}
OFTEN = {
    "Gender": ["Men", "Women", "Boys", "Girls", "Unisex"],
    "Usage": ["Casual", "Sports", "Ethnic", "Formal", "Party", "Travel"],
    "Season": ["Summer", "Winter", "Fall", "Spring"],
}
_OPENINGS = {
    "tuning": ["Meet the {what}.", "Here is what your wardrobe waited for: {what}.",
               "{what}, made to be worn with joy.", "Say hello to {what}."],
    "measuring": ["Every day has room for a little beauty, and {what} bring it.", "Think of {what} as old friends.",
                  "With {what} the morning decides itself.", "Some pieces ask for attention; {what} earn it."],
}  # fmt: skip
_SAID = {
    "tuning": {
        "Fabric": ["The fabric is {}.", "Made of {}."],
        "Material": ["The material is {}.", "Made of {} material."],
        "Pattern": ["The pattern is {}.", "It has a {} pattern."],
        "Fit": ["The fit is {}.", "It comes in a {}."],
        "Sleeve Length": ["It has {}.", "The sleeve length is {}."],
        "Sleeve Styling": ["The sleeve styling is {}.", "It comes with {}."],
        "Neck": ["The neck is {}.", "It is finished with a {} neckline."],
        "Collar": ["The collar is {}.", "It has a {} collar."],
        "Usage": ["Made for {} wear.", "The usage is {}."],
        "Season": ["A piece for {}.", "The season is {}."],
        "Brand": ["It is by {}.", "The brand is {}."],
    },
    "measuring": {
        "Fabric": ["Cut from {} fabric, they feel like you.", "They are crafted from {} cloth."],
        "Material": ["A {} material gives them character.", "Crafted from {}, they keep their poise."],
        "Pattern": ["A {} design draws the eye.", "Look closer and the {} pattern begins to speak."],
        "Fit": ["The {} fit follows your day.", "They are cut to a {} silhouette."],
        "Sleeve Length": ["Here come {} to frame your arms.", "Their {} set the tone."],
        "Sleeve Styling": ["The sleeves are styled as {}.", "Notice the {} at first sight."],
        "Neck": ["A {} neckline frames your face.", "The neckline, {}, sets the mood."],
        "Collar": ["At the collar: {}.", "A {} collar rounds it off."],
        "Usage": ["A happy choice for {} wear.", "They suit a {} look."],
        "Season": ["Made for {} days and all they bring.", "This {} they will rarely leave your side."],
        "Brand": ["All of it by {}.", "With love from {}."],
    },
}
_MOODS = {
    "tuning": ["Wear it your way.", "It brings ease to any day.", "A quiet favourite, day after day.", ""],
    "measuring": ["You will wonder how you did without them.", "Put them on and let the day come to you.",
                  "Ease has rarely looked this good.", ""],
}  # fmt: skip


def products(half: str, number: int, seed: int = 11) -> list[list[Fact]]:
    """Return the facts of products drawn by chance from the vocabulary."""
    draw, values = random.Random(f"{half}{seed}"), vocabulary.load().values
    drawn = []
    for _ in range(number):
        fixed = {
            "Article Type": ARTICLE_TYPES[half],
            "baseColour": values["baseColour"],
            **OFTEN,
            "Brand": BRANDS[half],
        }
        every = fixed | {name: [*known] for name, known in values.items() if name != "baseColour"}
        chosen = [name for name in every if name in ("Article Type", "baseColour") or draw.random() < 0.55]
        drawn.append([Fact(name, draw.choice(every[name])) for name in chosen])
    return drawn


def text_of(facts: Sequence[Fact], half: str, draw: random.Random) -> ProductText:
    """Put facts into words, in one of many ways."""
    stated = {fact.attribute: fact.value for fact in facts}
    whom = f" for {stated['Gender'].lower()}" if "Gender" in stated else ""
    what = f"{stated['baseColour'].lower()} {stated['Article Type'].lower()}{whom}"
    said = [
        draw.choice(_SAID[half][name]).format(_spelt(name, value))
        for name, value in stated.items()
        if name in _SAID[half]
    ]
    draw.shuffle(said)
    sentences = [_first_upper(draw.choice(_OPENINGS[half]).format(what=what)), *said, draw.choice(_MOODS[half])]
    others = [
        _spelt(name, value) for name, value in stated.items() if name in ("Fabric", "Neck", "Sleeve Length", "Fit")
    ]
    brand = f"{stated['Brand']} " if "Brand" in stated else ""
    return ProductText(
        description=" ".join(filter(None, sentences)),
        title=f"{brand}{stated['baseColour']} {stated['Article Type']}{whom.title().replace('For', 'for')}",
        bullet_points=(_first_upper(what), *map(_first_upper, others)),
        keywords=(
            f"{stated['baseColour']} {stated['Article Type']}".lower(),
            f"{stated['Article Type']}{whom}".lower(),
        ),
    )


def _spelt(name: str, value: str) -> str:
    return value if name == "Brand" else value.lower()


def _first_upper(text: str) -> str:
    return text[0].upper() + text[1:]
