"""What the base is taught to say, in plain words.

None of the questions is one that the platform asks, and no answer has the platform's form ("Fabric: Cotton"): that is
left for LoRA to teach.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from lookbook_image.pretrain.words import ATTRIBUTES, vocabulary

QUESTIONS: dict[str, tuple[str, ...]] = {
    "Fabric": ("What is it made of?", "Which fabric is this?", "Name the material.", "What cloth is it?"),
    "Fit": ("How does it fit?", "Which fit is this?", "Is it slim or loose?", "Name the fit."),
    "Collar": ("Which collar does it have?", "Name the collar.", "What kind of collar is it?"),
    "Neck": ("Which neck does it have?", "Name the neck.", "What shape is the neck?"),
    "Pattern": ("Which pattern is on it?", "Is it solid or printed?", "Name the pattern.", "What design is it?"),
    "Sleeve Length": ("How long are the sleeves?", "Which sleeve length?", "Name the length of the sleeves."),
    "Sleeve Styling": ("How are the sleeves styled?", "Which sleeve styling?", "Name the style of the sleeves."),
    "baseColour": ("Which colour is it?", "Name the colour.", "What colour does it have?", "How is it coloured?"),
    "articleType": ("What is it?", "What kind of clothing is this?", "Name the garment.", "What is in this picture?"),
}
SAY = ("Say {}.", "Repeat {}.", "Write {}.")
DESCRIBE = ("Describe the clothing.", "What do you see?", "Describe this picture.")

SHARE_OF_CAPTIONS = 0.1
SHARE_OF_COPIES = 0.25
SHARE_OF_NAMES = 0.25
SHARE_OF_LOWER_CASE = 0.5


def example(labels: Mapping[str, str], rng: random.Random) -> tuple[str, str]:
    """Return a question and its answer about a garment with ``labels`` (attribute → value), drawn by ``rng``.

    Most ask for one attribute; some for a caption; some to repeat words, which need no picture, so that the base can
    say every value, those that it never sees included.
    """
    draw = rng.random()
    if draw < SHARE_OF_COPIES:
        return _copy(rng)
    if draw < SHARE_OF_COPIES + SHARE_OF_CAPTIONS:
        return rng.choice(DESCRIBE), caption(labels)
    attribute = rng.choice([name for name in QUESTIONS if name in labels])
    return rng.choice(QUESTIONS[attribute]), labels[attribute]


def _copy(rng: random.Random) -> tuple[str, str]:
    """Return a task to repeat words: every value, and often an attribute's name; asked for as written or in lower case.

    The names, because LoRA can't teach to say what the base hardly ever said: without them, "Sleeve Styling" came out
    as "Sleeve Length". Lower case, because that is how questions hold them.
    """
    words = rng.choice(ATTRIBUTES) if rng.random() < SHARE_OF_NAMES else rng.choice(vocabulary())
    asked = words.lower() if rng.random() < SHARE_OF_LOWER_CASE else words
    return rng.choice(SAY).format(asked), words


def caption(labels: Mapping[str, str]) -> str:
    """Return a garment's caption, such as "Red Striped Shirts with Long Sleeves"."""
    names = ("baseColour", "Pattern", "articleType")
    words = [labels[name] for name in names if name in labels]
    return " ".join(words) + (f" with {labels['Sleeve Length']}" if "Sleeve Length" in labels else "")


def corpus() -> list[str]:
    """Return texts to train the tokenizer on: every question and value, and the words around them."""
    asked = [question for wordings in QUESTIONS.values() for question in wordings]
    framed = [f"Question: {question} Answer:" for question in (*asked, *(one.format("") for one in SAY), *DESCRIBE)]
    return [*framed * 4, *vocabulary() * 8, *(f"with {value}" for value in vocabulary())]
