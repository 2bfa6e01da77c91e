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


def test_macro_f1_counts_against_an_answer_where_it_is_wrong() -> None:
    # a: precision 3/4, recall 1, F1 6/7; b: never given, 0.
    assert metrics.macro_f1(["a", "a", "a", "b"], ["a", "a", "a", "a"]) == pytest.approx(3 / 7)
    assert metrics.macro_f1(["a", "b"], ["a", "b"]) == 1


def test_macro_f1_has_no_place_for_answers_that_are_never_expected() -> None:
    assert metrics.macro_f1(["a", "a", "b"], ["a", "nonsense", "b"]) == pytest.approx((2 / 3 + 1) / 2)


def test_the_majority_answer_is_each_attributes_own() -> None:
    assert metrics.majority_answers(ATTRIBUTES, EXPECTED) == ["Fit: Slim"] * 4 + ["Neck: Round"] * 2


def test_confusion_counts_expected_against_given() -> None:
    found = metrics.confusion("Fit", ["a", "a", "b"], ["a", "b", "nonsense"], most=5)
    assert found == {"attribute": "Fit", "values": ["a", "b", metrics.OTHER], "counts": [[1, 1, 0], [0, 0, 1]]}


def test_rare_answers_share_the_last_column_of_a_confusion_matrix() -> None:
    found = metrics.confusion("Fit", ["a", "a", "b", "c"], ["a", "b", "b", "a"], most=1)
    assert found == {"attribute": "Fit", "values": ["a", metrics.OTHER], "counts": [[1, 1]]}


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
