from __future__ import annotations

import pytest

from lookbook.vqa.questions import (
    ATTRIBUTES,
    QUESTIONS,
    WORDINGS,
    MalformedAnswerError,
    answer,
    article_types,
    parse_answer,
    wording,
)


def test_questions_are_asked_in_the_agreed_words() -> None:
    assert QUESTIONS["Fabric"] == "What is the fabric of the clothing in this picture?"
    assert QUESTIONS["Sleeve Length"] == "What is the sleeve length of the clothing in this picture?"
    assert QUESTIONS["baseColour"] == "What is the colour of the clothing in this picture?"
    assert len(set(QUESTIONS.values())) == len(ATTRIBUTES) == 8


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_answer_is_read_back_as_it_was_written(attribute: str) -> None:
    assert parse_answer(answer(attribute, "Navy Blue")) == (attribute, "Navy Blue")


def test_a_value_may_hold_a_colon() -> None:
    assert parse_answer("Fabric: Blend: 60/40") == ("Fabric", "Blend: 60/40")


@pytest.mark.parametrize("text", ["", "Cotton", "Fabric", "Fabric:", "Fabric:  ", ": Cotton", "Shoe: Boot"])
def test_any_other_text_is_no_answer(text: str) -> None:
    with pytest.raises(MalformedAnswerError, match="is no answer"):
        parse_answer(text)


def test_every_attribute_is_asked_for_in_several_words_of_its_own() -> None:
    wordings = [text for texts in WORDINGS.values() for text in texts]
    assert min(len(texts) for texts in WORDINGS.values()) >= 3
    assert len(set(wordings)) == len(wordings)


def test_a_product_is_asked_in_the_same_words_every_week() -> None:
    asked = [wording("Fabric", str(number), 0.5) for number in range(200)]
    assert asked == [wording("Fabric", str(number), 0.5) for number in range(200)]
    assert set(asked) == set(WORDINGS["Fabric"])


def test_without_paraphrases_all_are_asked_as_in_service() -> None:
    assert {wording("Fabric", str(number), 0.0) for number in range(200)} == {QUESTIONS["Fabric"]}


def test_presets_stand_beside_article_types() -> None:
    assert article_types(["Jeans", "shirts_and_tshirts", "Shirts"]) == ("Jeans", "Shirts", "Tshirts")
