from __future__ import annotations

import numpy as np
import pytest

from lookbook_image import calibration

RNG_SEED = 3


def answers(number: int, slope: float, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities, and whether answers are right as a curve with this slope and offset has it."""
    rng = np.random.default_rng(RNG_SEED)
    probability = rng.uniform(0.05, 0.995, number)
    logit = np.log(probability / (1 - probability))
    return probability, rng.random(number) < 1 / (1 + np.exp(-(slope * logit + offset)))


def test_many_answers_speak_for_themselves() -> None:
    probability, right = answers(6000, slope=0.6, offset=-0.8)
    attribute = np.zeros(6000, dtype=np.int64)
    fitted = calibration.fit(probability, attribute, right, 1)
    assert fitted.slope == pytest.approx(0.6, abs=0.1)
    assert fitted.offsets == pytest.approx([-0.8], abs=0.15)
    after = calibration.bins(fitted.right(probability, attribute), right)
    before = calibration.bins(probability, right)
    assert calibration.expected_calibration_error(after) < 0.03
    assert calibration.expected_calibration_error(before) > 0.1


def test_every_attribute_has_its_own_offset() -> None:
    probability, right = answers(4000, slope=1, offset=0)
    attribute = np.arange(4000) % 2
    right &= attribute == 0  # whatever is said of the second attribute is wrong
    fitted = calibration.fit(probability, attribute, right, 2)
    sure = np.array([0.9, 0.9])
    assert fitted.right(sure, np.array([0, 1])) == pytest.approx([0.9, 0.0], abs=0.05)


def test_few_answers_borrow_from_the_others() -> None:
    probability, right = answers(2000, slope=1, offset=0)
    attribute = np.array([0] * 1998 + [1, 1])
    fitted = calibration.fit(probability, attribute, right, 2)
    assert abs(fitted.offsets[1] - fitted.offsets[0]) < 1


def test_a_model_that_is_well_calibrated_is_left_alone() -> None:
    # Each attribute's 100 answers alone would be off by some 0.25.
    probability, right = answers(800, slope=1, offset=0)
    fitted = calibration.fit(probability, np.arange(800) % 8, right, 8)
    assert fitted.slope == pytest.approx(1, abs=0.15)
    assert np.abs(fitted.offsets).max() < 0.1


def test_without_an_answer_probabilities_are_taken_as_they_are() -> None:
    empty = np.array([])
    fitted = calibration.fit(empty, empty.astype(int), empty.astype(bool), 2)
    assert fitted.right(np.array([0.7]), np.array([1])) == pytest.approx([0.7])


@pytest.mark.parametrize("right", [True, False])
def test_answers_all_right_or_all_wrong_still_give_a_curve(right: bool) -> None:
    probability = np.linspace(0.5, 0.99999999, 30)
    fitted = calibration.fit(probability, np.zeros(30, dtype=int), np.full(30, right), 1)
    assert np.isfinite([fitted.slope, *fitted.offsets]).all()
    assert (fitted.right(probability, np.zeros(30, dtype=int)) > 0.5).all() == right


def test_a_surer_answer_is_never_less_probably_right() -> None:
    probability = np.linspace(0.05, 0.95, 200)
    fitted = calibration.fit(probability, np.zeros(200, dtype=int), probability < 0.5, 1)
    assert fitted.slope == 0


def test_the_threshold_keeps_the_most_answers_that_reach_the_target_on_average() -> None:
    probability, expected_right = np.array([0.5, 0.99, 0.7, 0.9]), np.array([0.3, 0.98, 0.6, 0.9])
    assert calibration.threshold(probability, expected_right, target=0.9) == 0.9
    assert calibration.threshold(probability, expected_right, target=0.8) == 0.7


def test_all_answers_may_be_good_enough() -> None:
    assert calibration.threshold(np.array([0.5, 0.9]), np.array([0.9, 0.95]), target=0.9) == 0


@pytest.mark.parametrize("number", [0, 3])
def test_no_answer_may_be_good_enough(number: int) -> None:
    assert calibration.threshold(np.full(number, 0.9), np.full(number, 0.5), target=0.9) is None


def test_a_threshold_holds_on_answers_that_it_was_not_made_from() -> None:
    probability, right = answers(4000, slope=0.7, offset=0.5)
    attribute = np.zeros(2000, dtype=int)
    fitted = calibration.fit(probability[:2000], attribute, right[:2000], 1)
    threshold = calibration.threshold(probability[:2000], fitted.right(probability[:2000], attribute), target=0.9)
    assert threshold is not None
    used = probability[2000:] >= threshold
    assert right[2000:][used].mean() == pytest.approx(0.9, abs=0.04)
    assert used.mean() > 0.1


def test_reliability_has_an_entry_a_tenth_and_leaves_out_nothing() -> None:
    bins = calibration.bins(np.array([0.0, 0.05, 0.95, 1.0]), np.array([False, True, True, True]))
    assert [one["answers"] for one in bins] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert bins[0] == {"answers": 2, "probability": 0.025, "right": 0.5}


def test_calibration_error_is_the_mean_distance_between_probability_and_right_answers() -> None:
    bins = calibration.bins(np.array([0.05, 0.95, 0.95]), np.array([False, True, False]))
    assert calibration.expected_calibration_error(bins) == pytest.approx((0.05 + 2 * 0.45) / 3)


def test_no_answers_have_no_calibration_error() -> None:
    assert calibration.expected_calibration_error(calibration.bins(np.array([]), np.array([], dtype=bool))) == 0
