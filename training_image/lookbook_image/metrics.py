"""How right answers are: exact match, balanced accuracy, and the controls that give them meaning."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt


class AttributeScore(TypedDict):
    """How one attribute's questions were answered."""

    exact_match: float
    balanced_accuracy: float
    pairs: int


class Score(TypedDict):
    """How all questions were answered; balanced accuracy is the mean of the attributes'."""

    exact_match: float
    balanced_accuracy: float
    attributes: dict[str, AttributeScore]


class AttributeMajority(TypedDict):
    """What always giving an attribute's most frequent answer would score."""

    exact_match: float
    pairs: int


class Majority(TypedDict):
    """What always giving each attribute's most frequent answer would score."""

    exact_match: float
    attributes: dict[str, AttributeMajority]


def score(attributes: Sequence[str], expected: Sequence[str], given: Sequence[str]) -> Score:
    """Score ``given`` answers against ``expected`` ones, n of each, overall and per attribute."""
    rows = _rows(attributes)
    by_attribute: dict[str, AttributeScore] = {}
    for attribute, positions in rows.items():
        right, answers = [expected[row] for row in positions], [given[row] for row in positions]
        by_attribute[attribute] = {
            "exact_match": exact_match(right, answers),
            "balanced_accuracy": balanced_accuracy(right, answers),
            "pairs": len(positions),
        }
    return {
        "exact_match": exact_match(expected, given),
        "balanced_accuracy": float(np.mean([entry["balanced_accuracy"] for entry in by_attribute.values()])),
        "attributes": by_attribute,
    }


def exact_match(expected: Sequence[str], given: Sequence[str]) -> float:
    """Return the share of answers that are exactly as expected."""
    return sum(one == other for one, other in zip(expected, given, strict=True)) / len(expected)


def balanced_accuracy(expected: Sequence[str], given: Sequence[str]) -> float:
    """Return the mean, over the answers that are expected at all, of the share of them that was given."""
    total: Counter[str] = Counter(expected)
    right: Counter[str] = Counter(one for one, other in zip(expected, given, strict=True) if one == other)
    return float(np.mean([right[answer] / count for answer, count in total.items()]))


def majority(attributes: Sequence[str], expected: Sequence[str]) -> Majority:
    """Score a model that always gives the most frequent answer of the question's attribute."""
    by_attribute: dict[str, AttributeMajority] = {}
    hits = 0
    for attribute, positions in _rows(attributes).items():
        most = Counter(expected[row] for row in positions).most_common(1)[0][1]
        by_attribute[attribute] = {"exact_match": most / len(positions), "pairs": len(positions)}
        hits += most
    return {"exact_match": hits / len(expected), "attributes": by_attribute}


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


def _rows(attributes: Sequence[str]) -> dict[str, list[int]]:
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, attribute in enumerate(attributes):
        rows[attribute].append(row)
    return dict(sorted(rows.items()))
