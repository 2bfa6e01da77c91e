"""Questions about pictures, answered by one model: what the endpoint does, without HTTP."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lookbook_image import answers
from lookbook_image.families.base import Family, Generated


@dataclass(frozen=True)
class Asked:
    """One picture, as ``Family.pixels`` gives it (shape (1, …)), and at least one question about it."""

    pixels: Tensor
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """A model's answer to one question.

    ``attribute`` and ``value`` are None if ``text`` isn't in the form; ``value`` alone if the model isn't sure enough.
    """

    question: str
    attribute: str | None
    value: str | None
    probability: float
    """Between 0 and 1; see ``families.base.Generated``."""
    text: str


def answer(family: Family, batch: Sequence[Asked]) -> list[list[Answer]]:
    """Answer all questions about all pictures of ``batch``, in their order.

    Every picture is encoded once, all in one pass, and all answers are generated together.

    Raises:
        ValueError: a probability isn't a finite number.
    """
    questions = [question for asked in batch for question in asked.questions]
    features = family.features(torch.cat([asked.pixels for asked in batch]))
    counts = torch.tensor([len(asked.questions) for asked in batch])
    generated = family.generate(features.repeat_interleave(counts, dim=0), family.prompts(questions))
    given = [_read(question, one) for question, one in zip(questions, generated, strict=True)]
    ends = counts.cumsum(0).tolist()
    return [given[end - len(asked.questions) : end] for asked, end in zip(batch, ends, strict=True)]


def _read(question: str, generated: Generated) -> Answer:
    if not math.isfinite(generated.probability):
        raise ValueError(f"the probability of an answer is {generated.probability}; the weights are damaged")
    attribute, value = answers.parse(generated.text) or (None, None)
    return Answer(question, attribute, value, generated.probability, generated.text)
