"""What a model's probability is worth: how often answers are right at it, and where to abstain.

A fine-tuned model is surer than it is right, and not equally so for every attribute. On the validation side, which it
was not trained on, a logistic curve is fitted from the logit of the answer's probability to being right (Platt 1999;
with the slope alone it is the temperature scaling of Guo et al. 2017), with an offset for every attribute. Normal
priors hold slope at one and offsets at zero unless the answers say otherwise, as strongly as makes the answers most
probable (MacKay 1992), so that a well calibrated model is left alone, an attribute with five answers borrows from the
others and one with five hundred speaks for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

import numpy as np
import numpy.typing as npt

BINS = 10
_STEPS, _CLOSE = 50, 1e-8
_STRENGTHS = (1.0, 4.0, 16.0, 64.0, 256.0)
_CLIP = 1e-4
"""Surer than 0.9999 tells no more; without a limit one sure and wrong answer would bend the whole curve."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Bin(TypedDict):
    """The answers whose probability lies in one tenth: how many, how sure on average, what share was right."""

    answers: int
    probability: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """A fitted curve: being right has the logit ``slope`` × logit(probability) + ``offsets[attribute]``."""

    slope: float
    offsets: Floats
    """Shape (number of attributes,)."""

    def right(self, probability: Floats, attribute: Ints) -> Floats:
        """Return how probably answers are right, shape (n,), given the model's probability of each."""
        return _sigmoid(self.slope * _logit(probability) + self.offsets[attribute])


def fit(probability: Floats, attribute: Ints, right: Flags, number: int) -> Calibration:
    """Fit the curve, under the strength of the priors that has the most evidence for it.

    Args:
        probability: shape (n,), the model's probability of each answer; n may be 0: the priors alone speak then.
        attribute: shape (n,), each answer's attribute, 0 to number - 1.
        right: shape (n,), whether each answer is right.
        number: of attributes.
    """
    columns = (_logit(probability)[:, None], np.ones((len(right), 1)), np.eye(number)[attribute])
    inputs, outcomes = np.concatenate(columns, axis=1), right.astype(float)
    fits = [_Posterior(inputs, outcomes, strength) for strength in _STRENGTHS]
    best = max(fits, key=lambda one: one.evidence())
    return Calibration(float(best.mode[0]), best.mode[1] + best.mode[2:])


@dataclass(frozen=True)
class _Posterior:
    """How probable weights are (slope, common offset, each attribute's) after the answers and the normal priors."""

    inputs: Floats
    right: Floats
    strength: float
    """One over the priors' variance."""

    @property
    def prior(self) -> Floats:
        return np.eye(self.inputs.shape[1])[0]

    def loss(self, weights: Floats) -> float:
        logits = self.inputs @ weights
        misfit = np.logaddexp(0, logits) - self.right * logits
        return float(misfit.sum() + self.strength * ((weights - self.prior) ** 2).sum() / 2)

    def curvature(self, weights: Floats) -> Floats:
        expected = _sigmoid(self.inputs @ weights)
        found: Floats = (self.inputs.T * (expected * (1 - expected))) @ self.inputs
        return found + self.strength * np.eye(len(weights))

    @cached_property
    def mode(self) -> Floats:
        """The most probable weights, by Newton's method, each step halved until it leads downhill."""
        weights = self.prior
        for _ in range(_STEPS):
            expected = _sigmoid(self.inputs @ weights)
            gradient = self.inputs.T @ (expected - self.right) + self.strength * (weights - self.prior)
            step = np.linalg.solve(self.curvature(weights), gradient)
            while self.loss(_rising(weights - step)) > self.loss(weights) and np.abs(step).max() > _CLOSE:
                step = step / 2
            weights = _rising(weights - step)
            if np.abs(step).max() <= _CLOSE:
                break
        return weights

    def evidence(self) -> float:
        """Return how probable the answers are under priors of this strength, as a logarithm, by Laplace's method."""
        _, volume = np.linalg.slogdet(self.curvature(self.mode))
        return -self.loss(self.mode) - float(volume - len(self.prior) * np.log(self.strength)) / 2


def _rising(weights: Floats) -> Floats:
    """Return ``weights`` with a slope of at least 0: a surer answer is never counted as less probably right."""
    return np.concatenate([np.maximum(weights[:1], 0), weights[1:]])


def threshold(probability: Floats, expected_right: Floats, target: float) -> float | None:
    """Return from which probability on answers are right with a share of ``target``, as far as the fit tells.

    The largest set of most probable answers is taken whose mean chance of being right reaches the target; the least
    probable of them is the threshold, 0 if all may be used, ``None`` if none.

    Args:
        probability: shape (n,), the model's probability of each answer.
        expected_right: shape (n,), ``Calibration.right`` of them.
        target: share of the used answers that should be right.
    """
    order = np.argsort(-probability, kind="stable")
    precision = np.cumsum(expected_right[order]) / np.arange(1, len(order) + 1)
    used = np.flatnonzero(precision >= target)
    if not len(used):
        return None
    return 0.0 if used[-1] == len(order) - 1 else float(probability[order[used[-1]]])


def bins(probability: Floats, right: Flags) -> list[Bin]:
    """Return the reliability of ``probability`` in BINS tenths (DeGroot and Fienberg 1983); empty ones have zeros."""
    place = np.minimum((probability * BINS).astype(int), BINS - 1)
    found: list[Bin] = []
    for number in range(BINS):
        inside = place == number
        answers = int(inside.sum())
        means = (float(probability[inside].mean()), float(right[inside].mean())) if answers else (0.0, 0.0)
        found.append({"answers": answers, "probability": means[0], "right": means[1]})
    return found


def expected_calibration_error(of: list[Bin]) -> float:
    """Return how far probability and share of right answers lie apart in a bin, on average over all answers."""
    answers = sum(one["answers"] for one in of)
    return sum(one["answers"] * abs(one["probability"] - one["right"]) for one in of) / answers if answers else 0.0


def _logit(probability: Floats) -> Floats:
    clipped = np.clip(probability, _CLIP, 1 - _CLIP)
    return np.log(clipped) - np.log1p(-clipped)


def _sigmoid(values: Floats) -> Floats:
    # By tanh, which doesn't overflow.
    return 0.5 * (1 + np.tanh(values / 2))
