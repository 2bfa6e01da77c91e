from __future__ import annotations

from types import SimpleNamespace

from lookbook_image import training_report


def test_the_question_of_an_attribute_is_the_one_asked_most_often() -> None:
    side = SimpleNamespace(
        attributes=["Fit", "Fit", "Fit", "Fabric"],
        questions=["How does this fit?", "What is the fit?", "What is the fit?", "Which cloth?"],
    )
    assert training_report._questions(side) == {"Fabric": "Which cloth?", "Fit": "What is the fit?"}
