"""Questions about one picture, answered by one model: what the endpoint does, without HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from lookbook_image import answers
from lookbook_image.families.base import Family, Generated


@dataclass(frozen=True)
class Answer:
    """A model's answer to one question; ``attribute`` and ``value`` are None if ``text`` isn't in the form."""

    question: str
    attribute: str | None
    value: str | None
    probability: float
    """Between 0 and 1; see ``families.base.Generated``."""
    text: str


def answer(family: Family, picture: Image.Image, questions: Sequence[str]) -> list[Answer]:
    """Answer all ``questions`` about ``picture``: it is encoded once, and all answers are generated together."""
    features = family.encode([picture])
    features = features.expand(len(questions), *features.shape[1:])
    generated = family.generate(features, family.prompts(questions))
    return [_read(question, one) for question, one in zip(questions, generated, strict=True)]


def _read(question: str, generated: Generated) -> Answer:
    attribute, value = answers.parse(generated.text) or (None, None)
    return Answer(question, attribute, value, generated.probability, generated.text)
