"""Intervals and tests by picture: that they hold what they promise is simulated in tests/training."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from lookbook_image.resampling import Bootstrap, Interval, interval, p_value


def ones(number: int, of: int) -> np.ndarray:
    return np.array([1.0] * number + [0.0] * (of - number))


def test_the_interval_of_a_share_is_that_of_the_binomial_where_pictures_have_one_question_each() -> None:
    low, high = Bootstrap(np.arange(400), 400).interval(ones(320, 400))
    spread = 1.96 * math.sqrt(0.8 * 0.2 / 400)
    assert low == pytest.approx(0.8 - spread, abs=0.008)
    assert high == pytest.approx(0.8 + spread, abs=0.008)


def test_questions_that_a_picture_decides_together_count_as_one() -> None:
    # 100 pictures, four questions each, all four right or all four wrong: no surer than 100 questions.
    alone = Bootstrap(np.arange(100), 100).interval(ones(80, 100))
    together = Bootstrap(np.repeat(np.arange(100), 4), 100).interval(np.repeat(ones(80, 100), 4))
    assert together == pytest.approx(alone)


def test_every_group_has_the_interval_that_it_would_have_alone() -> None:
    picture_of_pair, groups = np.repeat(np.arange(50), 2), np.tile([0, 1], 50)
    values = np.random.default_rng(1).integers(0, 2, 100).astype(float)
    bootstrap = Bootstrap(picture_of_pair, 50)
    alone = Bootstrap(np.arange(50), 50).interval(values[groups == 1])
    assert bootstrap.intervals(values, groups, 2)[1] == pytest.approx(alone)


def test_a_group_on_few_pictures_is_judged_by_the_draws_in_which_it_came() -> None:
    values, groups = ones(3, 40), np.array([1] + [0] * 39)
    assert Bootstrap(np.arange(40), 40).intervals(values, groups, 2)[1] == Interval(1.0, 1.0)
    assert interval(np.array([math.nan, 0.5, 0.5])) == Interval(0.5, 0.5)


def test_the_same_answers_give_the_same_figures() -> None:
    values = np.random.default_rng(1).integers(-1, 2, 60).astype(float)
    picture_of_pair = np.repeat(np.arange(20), 3)
    assert Bootstrap(picture_of_pair, 20).interval(values) == Bootstrap(picture_of_pair, 20).interval(values)
    assert p_value(values, picture_of_pair) == p_value(values, picture_of_pair)


@pytest.mark.parametrize(("ahead", "behind"), [(4, 0), (6, 1), (9, 3), (30, 20)])
def test_p_is_that_of_the_exact_sign_test_where_pictures_have_one_question_each(ahead: int, behind: int) -> None:
    values = np.array([1.0] * ahead + [-1.0] * behind + [0.0] * 30)
    n = ahead + behind
    exact = 2 * sum(math.comb(n, k) for k in range(ahead, n + 1)) / 2**n
    assert p_value(values, np.arange(len(values))) == pytest.approx(exact)


def test_pictures_not_questions_are_counted() -> None:
    # Two pictures, seven questions each, all won: chance does it one time in two.
    assert p_value(np.ones(14), np.repeat([0, 1], 7)) == pytest.approx(0.5)


def test_every_way_to_choose_the_signs_is_counted() -> None:
    differences = np.array([3, -1, 2, 2, 0, 1])
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=len(differences))]
    assert p_value(differences.astype(float), np.arange(6)) == pytest.approx(np.mean(np.array(sums) >= 7))


def test_equal_answers_are_never_a_difference() -> None:
    assert p_value(np.zeros(50), np.arange(50)) == 1


def test_p_is_found_for_thousands_of_pictures() -> None:
    values = np.array([1.0] * 2600 + [-1.0] * 2400)
    normal = math.erfc(200 / math.sqrt(5000) / math.sqrt(2))
    assert p_value(values, np.arange(5000)) == pytest.approx(normal, rel=0.05)


def test_four_pictures_in_favour_fool_the_interval_and_not_the_test() -> None:
    values = np.array([1.0] * 4 + [0.0] * 96)
    assert Bootstrap(np.arange(100), 100).interval(values).low > 0
    assert p_value(values, np.arange(100)) == pytest.approx(1 / 8)
