from __future__ import annotations

import random
from collections import Counter

import pytest
from garments import QUESTIONS

from lookbook_image import answers
from lookbook_image.pretrain import texts, words

LABELS = {"baseColour": "Red", "articleType": "Shirts", "Pattern": "Striped", "Sleeve Length": "Long Sleeves"}


@pytest.fixture(scope="module")
def examples() -> list[tuple[str, str]]:
    rng = random.Random(0)
    return [texts.example(LABELS, rng) for _ in range(3000)]


def test_the_platforms_questions_are_not_taught(examples: list[tuple[str, str]]) -> None:
    asked = {question for question, _ in examples}
    assert not asked & set(QUESTIONS.values())
    assert not any("clothing in this picture?" in question and "What is the" in question for question in asked)


def test_the_platforms_form_of_answer_is_not_taught(examples: list[tuple[str, str]]) -> None:
    assert not [answer for _, answer in examples if answers.parse(answer)]


def test_only_stated_attributes_are_asked_for(examples: list[tuple[str, str]]) -> None:
    others = {question for name, wordings in texts.QUESTIONS.items() if name not in LABELS for question in wordings}
    assert not others & {question for question, _ in examples}


def test_tasks_are_mixed_as_stated(examples: list[tuple[str, str]]) -> None:
    copies = sum(question.split()[0] in ("Say", "Repeat", "Write") for question, _ in examples)
    captions = sum(answer == texts.caption(LABELS) for _, answer in examples)
    assert copies / len(examples) == pytest.approx(texts.SHARE_OF_COPIES, abs=0.03)
    assert captions / len(examples) == pytest.approx(texts.SHARE_OF_CAPTIONS, abs=0.03)


def test_every_value_is_said_sooner_or_later(examples: list[tuple[str, str]]) -> None:
    said = Counter(answer for _, answer in examples)
    assert sum(value in said for value in words.vocabulary()) > 0.9 * len(words.vocabulary())


def test_a_caption_says_what_is_stated() -> None:
    assert texts.caption(LABELS) == "Red Striped Shirts with Long Sleeves"
    assert texts.caption({"articleType": "Tops"}) == "Tops"
