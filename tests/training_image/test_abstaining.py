from __future__ import annotations

import pytest

from lookbook_image.abstaining import VARIABLE, Thresholds
from lookbook_image.answering import Answer
from lookbook_image.errors import JobError

THRESHOLDS = Thresholds.from_environment({VARIABLE: '{"Fabric": 0.5, "Fit": null, "Neck": 0}'})


def answer(attribute: str | None, probability: float) -> Answer:
    value = None if attribute is None else "Some"
    return Answer("What is it?", attribute, value, probability, f"{attribute}: Some")


@pytest.mark.parametrize(
    ("attribute", "probability", "told"),
    [
        ("Fabric", 0.5, True),
        ("Fabric", 0.49, False),
        ("Fit", 1.0, False),
        ("Neck", 0.0, True),
        ("Collar", 0.0, True),
    ],
)
def test_a_value_is_told_from_its_attributes_threshold_on(attribute: str, probability: float, told: bool) -> None:
    assert (THRESHOLDS.apply(answer(attribute, probability)).value is not None) == told


def test_a_withheld_answer_keeps_everything_but_its_value() -> None:
    assert THRESHOLDS.apply(answer("Fit", 0.9)) == Answer("What is it?", "Fit", None, 0.9, "Fit: Some")


def test_an_answer_in_another_form_is_not_abstained_from() -> None:
    assert not THRESHOLDS.abstains(answer(None, 0.0))


def test_without_thresholds_everything_is_told() -> None:
    assert Thresholds.from_environment({}).apply(answer("Fabric", 0.0)).value == "Some"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"Fabric": "0.5"}', '{"Fabric": 1.5}', '{"Fabric": NaN}', '{"Fabric": true}']
)
def test_anything_but_thresholds_is_refused(text: str) -> None:
    with pytest.raises(JobError, match=r"LOOKBOOK_THRESHOLDS.*Expected an object of attribute to a probability"):
        Thresholds.from_environment({VARIABLE: text})
