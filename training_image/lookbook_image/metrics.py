"""How right answers are: exact match, balanced accuracy, macro-F1, confusion, and the controls that give them meaning.

Each is a few lines of counting; scikit-learn, whose definitions are kept (``balanced_accuracy_score``,
``f1_score(average="macro", labels=<the answers that are expected>)``), would be the image's second largest package.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

OTHER = "(another answer)"
"""Column of a confusion matrix for answers that are no expected value, or a rare one."""


class Confusion(TypedDict):
    """How often each expected answer of an attribute (row) was given as what (column; the last is OTHER)."""

    attribute: str
    values: list[str]
    counts: list[list[int]]


def exact_match(expected: Sequence[str], given: Sequence[str]) -> float:
    """Return the share of answers that are exactly as expected."""
    return sum(one == other for one, other in zip(expected, given, strict=True)) / len(expected)


def balanced_accuracy(expected: Sequence[str], given: Sequence[str]) -> float:
    """Return the mean, over the answers that are expected at all, of the share of them that was given."""
    total: Counter[str] = Counter(expected)
    right = _right(expected, given)
    return float(np.mean([right[answer] / count for answer, count in total.items()]))


def macro_f1(expected: Sequence[str], given: Sequence[str]) -> float:
    """Return the mean, over the answers that are expected at all, of the harmonic mean of precision and recall.

    It differs from balanced accuracy in that an answer which is also given where it is wrong counts for less.
    """
    total, stated, right = Counter(expected), Counter(given), _right(expected, given)
    return float(np.mean([2 * right[answer] / (count + stated[answer]) for answer, count in total.items()]))


def majority_answers(attributes: Sequence[str], expected: Sequence[str]) -> list[str]:
    """Return what always giving the most frequent answer of the question's attribute would answer, n of them."""
    most = {
        attribute: Counter(expected[row] for row in rows).most_common(1)[0][0]
        for attribute, rows in rows_of(attributes).items()
    }
    return [most[attribute] for attribute in attributes]


def confusion(attribute: str, expected: Sequence[str], given: Sequence[str], most: int) -> Confusion:
    """Count expected against given answers of one attribute; only its ``most`` frequent answers get a row."""
    values = [answer for answer, _ in Counter(expected).most_common(most)]
    position = {answer: index for index, answer in enumerate(values)}
    counts = np.zeros((len(values), len(values) + 1), dtype=int)
    for right, answer in zip(expected, given, strict=True):
        if right in position:
            counts[position[right], position.get(answer, len(values))] += 1
    return {"attribute": attribute, "values": [*values, OTHER], "counts": counts.tolist()}


def other_pictures(pictures: int, seed: int) -> npt.NDArray[np.int64]:
    """Return, for each of ``pictures`` pictures, the position of another one: the blind control's permutation.

    No picture keeps its place: the pictures stand in a random ring and each is replaced by its neighbour.

    Raises:
        ValueError: with a single picture there is no other.
    """
    if pictures < 2:
        raise ValueError("the blind control needs at least two pictures")
    ring = np.random.default_rng(seed).permutation(pictures)
    swapped = np.empty(pictures, dtype=np.int64)
    swapped[ring] = np.roll(ring, 1)
    return swapped


def rows_of(attributes: Sequence[str]) -> dict[str, npt.NDArray[np.int64]]:
    """Return, by attribute in alphabetical order, the positions of its questions."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, attribute in enumerate(attributes):
        rows[attribute].append(row)
    return {attribute: np.array(rows[attribute], dtype=np.int64) for attribute in sorted(rows)}


def _right(expected: Sequence[str], given: Sequence[str]) -> Counter[str]:
    return Counter(one for one, other in zip(expected, given, strict=True) if one == other)
