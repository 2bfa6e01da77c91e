from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from lookbook_image.pairs import Side
from lookbook_image.scoring import Given, Scorer, calibrate

ANSWERS = {"Fit": ("Fit: Slim", "Fit: Loose"), "Neck": ("Neck: Round", "Neck: V")}


def side(pictures: int) -> Side:
    """Two questions a picture; the first answer of each attribute is right for three pictures of four."""
    expected = [values[number % 4 == 3] for number in range(pictures) for values in ANSWERS.values()]
    return Side(
        directory=Path("benchmark"),
        pictures=tuple(f"{number}.jpg" for number in range(pictures)),
        picture_of_pair=np.repeat(np.arange(pictures), 2),
        attributes=tuple(ANSWERS) * pictures,
        questions=("What is it?",) * (2 * pictures),
        answers=tuple(expected),
    )


SIDE = side(40)
ALL_RIGHT = list(SIDE.answers)
ALWAYS_FIRST = [ANSWERS[attribute][0] for attribute in SIDE.attributes]


def given(texts: list[str], probability: float = 0.9) -> Given:
    return Given(texts, np.full(len(texts), probability))


def test_a_score_is_given_overall_and_per_attribute() -> None:
    mixed = [
        right if attribute == "Fit" else "Neck: Round"
        for attribute, right in zip(SIDE.attributes, ALL_RIGHT, strict=True)
    ]
    score = Scorer(SIDE).score(mixed)
    assert score["exact_match"] == pytest.approx(0.875)
    assert score["balanced_accuracy"] == pytest.approx(0.75)
    assert {name: one["exact_match"] for name, one in score["attributes"].items()} == {"Fit": 1.0, "Neck": 0.75}
    neck = score["attributes"]["Neck"]
    assert (neck["balanced_accuracy"], neck["pairs"], neck["pictures"]) == (0.5, 40, 40)
    assert neck["macro_f1"] == pytest.approx(3 / 7)
    assert score["macro_f1"] == pytest.approx((1 + 3 / 7) / 2)


def test_scores_lie_inside_their_intervals() -> None:
    score = Scorer(SIDE).score(ALWAYS_FIRST)
    assert score["interval"].low < score["exact_match"] < score["interval"].high
    assert score["attributes"]["Fit"]["interval"].low < 0.75 < score["attributes"]["Fit"]["interval"].high
    # Always the first answer has a balanced accuracy of one half, whatever pictures are drawn.
    assert score["balanced_accuracy_interval"] == pytest.approx((0.5, 0.5))


def test_an_answer_that_no_draw_has_does_not_raise_balanced_accuracy() -> None:
    # One picture of forty has the second answer, which is never found: a third of the draws are without it.
    rare = dataclasses.replace(SIDE, answers=(*ALWAYS_FIRST[:-2], "Fit: Loose", "Neck: V"))
    assert Scorer(rare).score(ALWAYS_FIRST)["balanced_accuracy_interval"] == pytest.approx((0.5, 0.5))


def test_a_comparison_is_paired() -> None:
    one_more = [*ALWAYS_FIRST[:-1], ALL_RIGHT[-1]]
    compared = Scorer(SIDE).compare(one_more, ALWAYS_FIRST)
    assert compared["difference"] == pytest.approx(1 / 80)
    assert compared["interval"].low == 0
    assert compared["p_value"] == 1
    assert compared["attributes"]["Neck"]["difference"] == pytest.approx(1 / 40)
    assert compared["attributes"]["Fit"] == {"difference": 0, "interval": (0, 0), "p_value": 1, "pairs": 40}


def test_the_attributes_that_are_answered_worst_are_shown_in_detail() -> None:
    first, second = Scorer(SIDE).confusions(
        [
            right if attribute == "Neck" else "Fit: Slim"
            for attribute, right in zip(SIDE.attributes, ALL_RIGHT, strict=True)
        ]
    )
    assert first["attribute"] == "Fit"
    assert first["counts"] == [[30, 0, 0], [10, 0, 0]]
    assert second["counts"] == [[30, 0, 0], [0, 10, 0]]


def test_a_model_that_is_right_is_used_and_one_that_is_not_abstains() -> None:
    texts = [
        right if attribute == "Fit" else "Neck: V" for attribute, right in zip(SIDE.attributes, ALL_RIGHT, strict=True)
    ]
    report = calibrate(SIDE, given(texts), SIDE, given(texts), target=0.9)
    fit, neck = report["attributes"]["Fit"], report["attributes"]["Neck"]
    assert (fit["threshold"], fit["used"], fit["precision"]) == (0, 1, 1)
    assert (neck["threshold"], neck["used"], neck["precision"]) == (None, 0, None)
    assert neck["validation_answers"] == 40
    raw, calibrated = report["raw"], report["calibrated"]
    assert calibrated["expected_calibration_error"] < raw["expected_calibration_error"]


def test_an_attribute_that_validation_does_not_ask_about_is_never_sure_enough() -> None:
    rows = [row for row, attribute in enumerate(SIDE.attributes) if attribute == "Fit"]
    only_fit = Side(
        directory=SIDE.directory,
        pictures=SIDE.pictures,
        picture_of_pair=SIDE.picture_of_pair[rows],
        attributes=("Fit",) * 40,
        questions=("What is it?",) * 40,
        answers=tuple(ALL_RIGHT[row] for row in rows),
    )
    report = calibrate(only_fit, given(list(only_fit.answers)), SIDE, given(ALL_RIGHT), target=0.9)
    assert report["attributes"]["Neck"]["threshold"] is None


def test_what_is_no_answer_to_the_question_is_not_calibrated() -> None:
    report = calibrate(SIDE, given(["a shirt"] * 80), SIDE, given(["Fit: Slim"] * 80), target=0.9)
    assert report["validation_pairs"] == 0
    assert sum(one["answers"] for one in report["raw"]["bins"]) == 40
