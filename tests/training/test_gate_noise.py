"""What the gate promises, by simulation: how often it promotes what is no better, and whether it sees what is.

Pictures differ in how hard they are, and a picture's seven questions are hard together; a challenger answers a share of
the questions anew and is as often right with them as the champion, or more often.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.training.reports import report

from lookbook.settings import get_settings
from lookbook.training import gating
from lookbook.training.evaluation import EvaluationReport
from lookbook.training.gating import Decision

ATTRIBUTES = ("Collar", "Fabric", "Fit", "Neck", "Pattern", "Sleeve Length", "Sleeve Styling")
LEVEL = 0.025  # of a two-sided 95 % interval, the side on which a challenger is promoted
RUNS = 250
Hits = np.ndarray


@pytest.fixture
def resampling(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The training image's module that makes intervals; it needs nothing but numpy."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "training_image"))
    import lookbook_image.resampling

    return lookbook_image.resampling


class Benchmark:
    """A benchmark of some pictures, seven questions each, and the gate before it."""

    def __init__(self, resampling: ModuleType, pictures: int) -> None:
        self._resampling = resampling
        self._pictures = pictures
        self._picture_of_pair = np.repeat(np.arange(pictures), len(ATTRIBUTES))
        self._attribute = np.tile(np.arange(len(ATTRIBUTES)), pictures)
        self._bootstrap = resampling.Bootstrap(self._picture_of_pair, pictures)

    def judged(self, runs: int, anew: float, better: Sequence[float] = (0,) * 7) -> list[Decision]:
        """Return the decisions about challengers that answer a share ``anew`` and are ``better`` on the attributes."""
        rng = np.random.default_rng(0)
        return [self._judge(self._lead(rng, anew, np.array(better))) for _ in range(runs)]

    def _lead(self, rng: np.random.Generator, anew: float, better: Hits) -> Hits:
        ease = np.repeat(rng.normal(0, 1, self._pictures), len(ATTRIBUTES))
        right = 1 / (1 + np.exp(-(2 + ease)))  # 0.85 on average
        champion = rng.random(len(right)) < right
        challenger = np.where(rng.random(len(right)) < anew, rng.random(len(right)) < right, champion)
        change, draw = better[self._attribute], rng.random(len(right))
        mended, broken = draw < change / (1 - champion.mean()), draw < -change / champion.mean()
        return ((challenger | mended) & ~broken) - champion.astype(float)

    def _judge(self, lead: Hits) -> Decision:
        content = report(champion=0.85, attributes=ATTRIBUTES)
        of_attributes = [self._attribute == number for number in range(len(ATTRIBUTES))]
        content["comparisons"]["champion"] = {
            **self._difference(lead, self._picture_of_pair, self._bootstrap.interval(lead)),
            # Attributes are judged by their difference and its p-value; an interval of theirs is for people.
            "attributes": {
                name: self._difference(lead[rows], self._picture_of_pair[rows], (-1, 1))
                for name, rows in zip(ATTRIBUTES, of_attributes, strict=True)
            },
        }
        return gating.judge(EvaluationReport.model_validate(content), get_settings())

    def _difference(self, lead: Hits, picture_of_pair: Hits, interval: tuple[float, float]) -> dict[str, object]:
        return {
            "difference": lead.mean(),
            "interval": interval,
            "p_value": self._resampling.p_value(lead, picture_of_pair),
            "pairs": len(lead),
        }


def share(decisions: list[Decision], words: str = "") -> float:
    """Return how many challengers passed, or, given ``words``, how many decisions have them."""
    return sum(words in decision.sentence if words else decision.passed for decision in decisions) / len(decisions)


def at_most(level: float) -> float:
    """Return the most that chance makes of a rate of ``level`` in RUNS runs: three standard deviations above it."""
    return float(level + 3 * np.sqrt(level * (1 - level) / RUNS))


@pytest.mark.parametrize(("pictures", "anew"), [(28, 0.2), (150, 0.1), (150, 1.0)])
def test_equal_models_are_promoted_no_more_often_than_the_level_says(
    resampling: ModuleType, pictures: int, anew: float
) -> None:
    decisions = Benchmark(resampling, pictures).judged(RUNS, anew)
    assert share(decisions) <= at_most(LEVEL)
    if pictures * anew >= 100:  # with few differing answers, no outcome lies just at the level
        assert share(decisions) >= LEVEL / 3, "the gate holds back what is better"
    # Seven attributes have seven tries at looking worse, and together no more than the one of all questions.
    assert share(decisions, "too much") <= at_most(LEVEL)


def test_the_same_model_again_is_never_promoted(resampling: ModuleType) -> None:
    assert share(Benchmark(resampling, 150).judged(20, anew=0)) == 0


def test_five_points_more_pass_on_a_benchmark_of_a_catalogue(resampling: ModuleType) -> None:
    # 10,285 shirts and T-shirts have some 1,500 pictures in the benchmark; every question is answered anew.
    assert share(Benchmark(resampling, 1500).judged(40, anew=1.0, better=(0.05,) * 7)) == 1


def test_five_points_more_mostly_pass_on_a_tenth_of_it(resampling: ModuleType) -> None:
    assert share(Benchmark(resampling, 150).judged(100, anew=0.2, better=(0.05,) * 7)) >= 0.9


def test_a_fall_of_ten_points_on_one_attribute_is_seen_behind_a_gain_on_all_others(resampling: ModuleType) -> None:
    decisions = Benchmark(resampling, 1500).judged(40, anew=0.2, better=(-0.1, *(0.05,) * 6))
    assert share(decisions, "worse than the champion beyond noise on Collar") >= 0.95
