"""A benchmark's answers made into the figures of a report: scores, comparisons, confusion, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from lookbook_image import answers, calibration, metrics, resampling
from lookbook_image.calibration import Bin, Calibration
from lookbook_image.metrics import Confusion
from lookbook_image.pairs import Side
from lookbook_image.resampling import Bootstrap, Interval

WORST_ATTRIBUTES = 4
CONFUSED_VALUES = 10
"""Rows of a confusion matrix; a page shows no more with profit."""


@dataclass(frozen=True)
class Given:
    """A model's answers to the n questions of a side, and its probability of each."""

    texts: Sequence[str]
    probabilities: npt.NDArray[np.float64]


class AttributeScore(TypedDict):
    """How one attribute's questions were answered; the interval is the exact match's."""

    exact_match: float
    interval: Interval
    balanced_accuracy: float
    macro_f1: float
    pairs: int
    pictures: int


class Score(TypedDict):
    """How all questions were answered; balanced accuracy and macro-F1 are the mean of the attributes'."""

    exact_match: float
    interval: Interval
    balanced_accuracy: float
    balanced_accuracy_interval: Interval
    macro_f1: float
    attributes: dict[str, AttributeScore]


class Difference(TypedDict):
    """The challenger's exact match minus a rival's on the same questions, and how far chance would take it."""

    difference: float
    interval: Interval
    p_value: float
    pairs: int


class Comparison(Difference):
    """The difference over all questions, and attribute by attribute."""

    attributes: dict[str, Difference]


class Reliability(TypedDict):
    """How well probabilities tell what is right: expected calibration error, and the bins behind it."""

    expected_calibration_error: float
    bins: list[Bin]


class Abstention(TypedDict):
    """From which probability on an attribute's answers are used, and what came of that on the benchmark."""

    threshold: float | None
    """``None``: no answer of this attribute is sure enough."""
    offset: float
    validation_answers: int
    used: float
    """Share of the benchmark's answers that are used."""
    precision: float | None
    """Share of right ones among those; ``None`` if there are none."""


class CalibrationReport(TypedDict):
    """What was learnt on the validation side, and how it holds on the benchmark."""

    target_precision: float
    slope: float
    validation_pairs: int
    raw: Reliability
    calibrated: Reliability
    attributes: dict[str, Abstention]


class Scorer:
    """Scores models on one benchmark: whatever is drawn by chance is drawn the same way for each."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._rows = metrics.rows_of(side.attributes)
        self._attribute = codes(side.attributes, list(self._rows))
        self._cells = sorted(set(zip(side.attributes, side.answers, strict=True)))
        self._cell = codes(list(zip(side.attributes, side.answers, strict=True)), self._cells)
        self._bootstrap = Bootstrap(side.picture_of_pair, len(side.pictures))

    def hits(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return 1 for each answer that is as expected, 0 for the others; shape (n,)."""
        return np.array([given == right for given, right in zip(texts, self._side.answers, strict=True)], dtype=float)

    def score(self, texts: Sequence[str]) -> Score:
        """Score one model's answers."""
        hits = self.hits(texts)
        intervals = self._bootstrap.intervals(hits, self._attribute, len(self._rows))
        by_attribute = {
            attribute: self._attribute_score(attribute, texts, interval)
            for attribute, interval in zip(self._rows, intervals, strict=True)
        }
        return {
            "exact_match": float(hits.mean()),
            "interval": self._bootstrap.interval(hits),
            "balanced_accuracy": float(np.mean([one["balanced_accuracy"] for one in by_attribute.values()])),
            "balanced_accuracy_interval": resampling.interval(self._drawn_balanced_accuracy(hits)),
            "macro_f1": float(np.mean([one["macro_f1"] for one in by_attribute.values()])),
            "attributes": by_attribute,
        }

    def _attribute_score(self, attribute: str, texts: Sequence[str], interval: Interval) -> AttributeScore:
        rows = self._rows[attribute]
        expected, given = [self._side.answers[row] for row in rows], [texts[row] for row in rows]
        return {
            "exact_match": metrics.exact_match(expected, given),
            "interval": interval,
            "balanced_accuracy": metrics.balanced_accuracy(expected, given),
            "macro_f1": metrics.macro_f1(expected, given),
            "pairs": len(rows),
            "pictures": len(np.unique(self._side.picture_of_pair[rows])),
        }

    def _drawn_balanced_accuracy(self, hits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return balanced accuracy in every draw; an answer that no drawn picture has keeps its share.

        Left out, rare answers, which are mostly the hard ones, would raise the mean of nearly every draw.
        """
        drawn = self._bootstrap.shares(hits, self._cell, len(self._cells))
        counts = np.bincount(self._cell, minlength=len(self._cells))
        found = np.where(np.isnan(drawn), np.bincount(self._cell, weights=hits) / counts, drawn)
        of_attribute = np.array(
            [[attribute == name for name in self._rows] for attribute, _ in self._cells], dtype=float
        )
        by_attribute = (found @ of_attribute) / of_attribute.sum(0)
        balanced: npt.NDArray[np.float64] = by_attribute.mean(1)
        return balanced

    def compare(self, challenger: Sequence[str], rival: Sequence[str]) -> Comparison:
        """Compare two models' answers question by question."""
        lead = self.hits(challenger) - self.hits(rival)
        intervals = self._bootstrap.intervals(lead, self._attribute, len(self._rows))
        by_attribute = {
            attribute: self._difference(lead[rows], self._side.picture_of_pair[rows], interval)
            for (attribute, rows), interval in zip(self._rows.items(), intervals, strict=True)
        }
        overall = self._difference(lead, self._side.picture_of_pair, self._bootstrap.interval(lead))
        return {**overall, "attributes": by_attribute}

    def _difference(
        self, lead: npt.NDArray[np.float64], picture_of_pair: npt.NDArray[np.int64], interval: Interval
    ) -> Difference:
        return {
            "difference": float(lead.mean()),
            "interval": interval,
            "p_value": resampling.p_value(lead, picture_of_pair),
            "pairs": len(lead),
        }

    def confusions(self, texts: Sequence[str]) -> list[Confusion]:
        """Return the confusion matrices of the attributes that are answered worst, by balanced accuracy."""

        def matched(attribute: str) -> tuple[list[str], list[str]]:
            rows = self._rows[attribute]
            return [self._side.answers[row] for row in rows], [texts[row] for row in rows]

        worst = sorted(self._rows, key=lambda attribute: metrics.balanced_accuracy(*matched(attribute)))
        return [metrics.confusion(name, *matched(name), CONFUSED_VALUES) for name in worst[:WORST_ATTRIBUTES]]


def calibrate(
    validation: Side, learnt_from: Given, benchmark: Side, shown_on: Given, target: float
) -> CalibrationReport:
    """Fit the challenger's calibration and its thresholds on one side and show on the other what they are worth.

    Args:
        validation: questions that the challenger was not trained on and that aren't the benchmark's.
        learnt_from: the challenger's answers to them.
        benchmark: the benchmark's questions.
        shown_on: the challenger's answers to them.
        target: share of the used answers that should be right, between 0 and 1.
    """
    names = sorted({*validation.attributes, *benchmark.attributes})
    learning, showing = _Judged.of(validation, learnt_from, names), _Judged.of(benchmark, shown_on, names)
    fitted = calibration.fit(learning.probability, learning.attribute, learning.right, len(names))
    return {
        "target_precision": target,
        "slope": fitted.slope,
        "validation_pairs": len(learning.right),
        "raw": _reliability(showing.probability, showing.right),
        "calibrated": _reliability(fitted.right(showing.probability, showing.attribute), showing.right),
        "attributes": {
            name: _abstention(learning.only(number), showing.only(number), fitted, number, target)
            for number, name in enumerate(names)
        },
    }


@dataclass(frozen=True)
class _Judged:
    """Answers in the form of an answer to the attribute asked about: no others would ever be used."""

    probability: npt.NDArray[np.float64]
    attribute: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, side: Side, given: Given, names: Sequence[str]) -> _Judged:
        parsed = [answers.parse(text) or ("", "") for text in given.texts]
        formed = np.array([attribute == asked for (attribute, _), asked in zip(parsed, side.attributes, strict=True)])
        right = np.array([text == answer for text, answer in zip(given.texts, side.answers, strict=True)])
        return cls(given.probabilities[formed], codes(side.attributes, names)[formed], right[formed])

    def only(self, attribute: int) -> _Judged:
        rows = self.attribute == attribute
        return _Judged(self.probability[rows], self.attribute[rows], self.right[rows])


def _reliability(probability: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> Reliability:
    found = calibration.bins(probability, right)
    return {"expected_calibration_error": calibration.expected_calibration_error(found), "bins": found}


def _abstention(learning: _Judged, showing: _Judged, fitted: Calibration, number: int, target: float) -> Abstention:
    threshold = calibration.threshold(
        learning.probability, fitted.right(learning.probability, learning.attribute), target
    )
    used = showing.probability >= (np.inf if threshold is None else threshold)
    return {
        "threshold": threshold,
        "offset": float(fitted.offsets[number]),
        "validation_answers": len(learning.right),
        "used": float(used.mean()) if len(used) else 0.0,
        "precision": float(showing.right[used].mean()) if used.any() else None,
    }


def codes(values: Sequence[object], names: Sequence[object]) -> npt.NDArray[np.int64]:
    """Return each value's position in ``names``."""
    position: Mapping[object, int] = {name: index for index, name in enumerate(names)}
    return np.array([position[value] for value in values], dtype=np.int64)
