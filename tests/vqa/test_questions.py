from __future__ import annotations

import pytest

from lookbook.vqa.questions import ATTRIBUTES, QUESTIONS, MalformedAnswerError, answer, parse_answer


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
