from __future__ import annotations

import pytest

from lookbook_image import metrics

ATTRIBUTES = ["Fit", "Fit", "Fit", "Fit", "Neck", "Neck"]
EXPECTED = ["Fit: Slim", "Fit: Slim", "Fit: Slim", "Fit: Loose", "Neck: Round", "Neck: V"]


def test_exact_match_is_the_share_of_identical_answers() -> None:
    assert metrics.exact_match(["a", "b", "c", "d"], ["a", "B", "c", ""]) == 0.5


def test_balanced_accuracy_counts_every_expected_answer_the_same() -> None:
    # Always the frequent answer: three of four right, but one of two answers never found.
    assert metrics.balanced_accuracy(["a", "a", "a", "b"], ["a", "a", "a", "a"]) == 0.5


def test_a_score_is_given_overall_and_per_attribute() -> None:
    given = ["Fit: Slim", "Fit: Slim", "Fit: Loose", "Fit: Loose", "Neck: Round", "Neck: Round"]
    score = metrics.score(ATTRIBUTES, EXPECTED, given)
    assert score["exact_match"] == pytest.approx(4 / 6)
    assert score["attributes"]["Fit"] == {"exact_match": 0.75, "balanced_accuracy": pytest.approx(5 / 6), "pairs": 4}
    assert score["attributes"]["Neck"] == {"exact_match": 0.5, "balanced_accuracy": 0.5, "pairs": 2}
    assert score["balanced_accuracy"] == pytest.approx((5 / 6 + 0.5) / 2)


def test_the_majority_answer_is_each_attributes_own() -> None:
    majority = metrics.majority(ATTRIBUTES, EXPECTED)
    assert majority["exact_match"] == pytest.approx(4 / 6)
    assert majority["attributes"]["Fit"] == {"exact_match": 0.75, "pairs": 4}
    assert majority["attributes"]["Neck"] == {"exact_match": 0.5, "pairs": 2}


@pytest.mark.parametrize("pictures", [2, 3, 50])
def test_the_blind_control_gives_every_picture_another_one(pictures: int) -> None:
    swapped = metrics.other_pictures(pictures, seed=0)
    assert sorted(swapped.tolist()) == list(range(pictures))
    assert all(position != other for position, other in enumerate(swapped))


def test_the_blind_control_is_the_same_every_time() -> None:
    assert metrics.other_pictures(50, seed=0).tolist() == metrics.other_pictures(50, seed=0).tolist()


def test_one_picture_has_no_other() -> None:
    with pytest.raises(ValueError, match="at least two"):
        metrics.other_pictures(1, seed=0)
