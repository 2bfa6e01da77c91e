"""What chance can do to a benchmark: intervals and tests that treat a picture's questions as one observation.

A picture's questions are not independent (a picture that is hard to see is hard for all of them), so pictures are
what is drawn again, each with all its questions. Two models are compared on the same pictures, pair by pair.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
RESAMPLES = 2000
SEED = 0
"""Every evaluation draws the same way, so that the same answers give the same figures."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Interval(NamedTuple):
    """The percentile interval at CONFIDENCE of a share or of a difference of shares."""

    low: float
    high: float


class Bootstrap:
    """A benchmark's pictures drawn again with replacement, RESAMPLES times (Efron 1979; clusters: Davison and Hinkley
    1997, section 3.8).

    Memory is 8 kB a picture.
    """

    def __init__(self, picture_of_pair: Ints, pictures: int) -> None:
        self._picture_of_pair = picture_of_pair
        self._pictures = pictures
        # Row r: how often each picture was drawn the r-th time.
        draws = np.random.default_rng(SEED).multinomial(pictures, np.full(pictures, 1 / pictures), size=RESAMPLES)
        self._draws = draws.astype(np.float32)

    def shares(self, values: Floats, groups: Ints, number: int) -> Floats:
        """Return the mean of ``values`` in every group, drawn again: shape (RESAMPLES, number), NaN where none came.

        Args:
            values: shape (n,), one a pair: 1 for right and 0 for wrong, or the difference of two models' ones.
            groups: shape (n,), each pair's group, 0 to number - 1.
            number: of groups.
        """
        place = self._picture_of_pair * number + groups
        shape = (self._pictures, number)
        sums = np.bincount(place, weights=values, minlength=self._pictures * number).reshape(shape)
        counts = np.bincount(place, minlength=self._pictures * number).reshape(shape)
        with np.errstate(invalid="ignore"):
            shares: Floats = (self._draws @ sums.astype(np.float32)) / (self._draws @ counts.astype(np.float32))
        return shares

    def intervals(self, values: Floats, groups: Ints, number: int) -> list[Interval]:
        """Return the interval of the mean of ``values`` in every group; see ``shares``."""
        return [interval(column) for column in self.shares(values, groups, number).T]

    def interval(self, values: Floats) -> Interval:
        """Return the interval of the mean of all ``values``."""
        return self.intervals(values, np.zeros(len(values), dtype=np.int64), 1)[0]


def interval(drawn: Floats) -> Interval:
    """Return the percentile interval of a statistic, given its value in every draw; NaN draws don't count."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn[~np.isnan(drawn)], [tail, 1 - tail])
    return Interval(float(low), float(high))


def p_value(values: Floats, picture_of_pair: Ints) -> float:
    """Return how probable a difference as large as this one is if the two models are equally good; two-sided.

    If they are, each picture's difference could as well have had the other sign (the paired randomisation test: Fisher
    1935; Noreen 1989). All ways to choose the signs are counted, so it is exact for few pictures too, where the
    bootstrap interval is too narrow: with four differing pictures, all in favour, that excludes zero, and chance does
    it one time in eight. With one question a picture it is McNemar's exact test.

    Args:
        values: shape (n,), the difference of two models' ones and zeros, one a pair.
        picture_of_pair: shape (n,), the position of each pair's picture.
    """
    differences = np.rint(np.bincount(picture_of_pair, weights=values)).astype(int)
    # The chance of every sum from the smallest to the largest, built up from the pictures of one size at a time.
    chances = np.ones(1)
    for size, count in zip(*np.unique(np.abs(differences[differences != 0]), return_counts=True), strict=True):
        of_size = np.zeros(2 * size * count + 1)
        of_size[:: 2 * size] = _coin_tosses(count)
        chances = np.convolve(chances, of_size)
    sums = np.arange(len(chances)) - len(chances) // 2
    return float(min(1, chances[np.abs(sums) >= abs(differences.sum())].sum()))


def _coin_tosses(number: int) -> Floats:
    """Return the chance of 0 to ``number`` heads; by logarithms, because the factorials overflow."""
    log_factorial = np.concatenate([[0], np.cumsum(np.log(np.arange(1, number + 1)))])
    chances: Floats = np.exp(log_factorial[-1] - log_factorial - log_factorial[::-1] - number * np.log(2))
    return chances
