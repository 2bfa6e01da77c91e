"""The split of pictures into train, validation and benchmark, which holds for good."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Literal, get_args

from lookbook.errors import PermanentError

Side = Literal["train", "validation", "benchmark"]
SIDES: tuple[Side, ...] = get_args(Side)


class EmptySplitError(PermanentError):
    """A side of the split would get nothing."""


def side_of(phash: str, salt: str, benchmark_share: float, validation_share: float) -> Side:
    """Return the side of a picture, a function of these arguments alone.

    Products that share a perceptual hash move together, and a picture keeps its side in every later week, whatever
    else arrives: what was once in the benchmark never enters training.

    Args:
        phash: the picture's perceptual hash.
        salt: names the split's version; changing it reshuffles everything.
        benchmark_share: fraction of pictures in the benchmark, 0 < share < 0.5.
        validation_share: fraction of pictures in validation, 0 < share < 0.5.
    """
    digest = hashlib.sha256(f"{salt}:{phash}".encode()).digest()
    position = int.from_bytes(digest[:8]) / 2**64
    if position < benchmark_share:
        return "benchmark"
    return "validation" if position < benchmark_share + validation_share else "train"


def check_sides(sides: Iterable[Side]) -> None:
    """Refuse a split that leaves a side empty.

    Raises:
        EmptySplitError: a side has nothing; the message gives the counts.
    """
    numbers = Counter(sides)
    if empty := [side for side in SIDES if not numbers[side]]:
        counts = ", ".join(f"{side} {numbers[side]}" for side in SIDES)
        raise EmptySplitError(
            f"No question/answer pair for {' and '.join(empty)} ({counts}). More labelled products are needed: publish "
            "a larger drop, or train on more article types."
        )
