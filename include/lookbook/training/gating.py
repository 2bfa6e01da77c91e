"""The gate: a challenger goes into service only if it beats what costs nothing and does not fall behind."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any

from lookbook import storage
from lookbook.lineage import records
from lookbook.settings import Settings, get_settings
from lookbook.training import evaluation
from lookbook.training.evaluation import EvaluationReport

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decision:
    """Whether the challenger passes, why in words, and the exact-match shares that decided."""

    passed: bool
    reasons: list[str]
    figures: dict[str, float]

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Rule:
    against: str
    rival: float
    margin: float  # the challenger's exact match minus the rival's must be at least this

    def holds(self, challenger: float) -> bool:
        return challenger - self.rival >= self.margin - 1e-9

    def words(self, challenger: float) -> str:
        verdict = "as asked" if self.holds(challenger) else "not enough"
        return (
            f"exact match {challenger:.3f} against {self.rival:.3f} of {self.against}: "
            f"{challenger - self.rival:+.3f}, at least {self.margin:+.3f} needed, {verdict}"
        )


def decide(archive_uri: str) -> Decision:
    """Judge an evaluation job's report; keep report and decision as JSON beside the job's output, and as lineage.

    Args:
        archive_uri: the evaluation job's ``model.tar.gz``.

    Raises:
        ReportError: the job left no report that can be read.
    """
    report = evaluation.load(archive_uri)
    decision = judge(report, get_settings())
    kept = storage.write_bytes(
        evaluation.report_uri(archive_uri), evaluation.read_raw(archive_uri), content_type="application/json"
    )
    records.reads_object(kept)
    records.writes_object(storage.write_json(decision_uri(archive_uri), decision.reference()))
    records.details(gate="passed" if decision.passed else "refused", gate_reasons="; ".join(decision.reasons))
    log.info("The gate %s the challenger: %s", "passes" if decision.passed else "refuses", "; ".join(decision.reasons))
    return decision


def judge(report: EvaluationReport, settings: Settings) -> Decision:
    """Apply the rules to a report.

    The challenger must be better, by ``gate_min_lift``, than always giving the majority answer and than itself with
    the pictures shuffled (a model that scores as well blind has learnt nothing), and may be worse than the champion
    by ``gate_max_regression`` at most.
    """
    challenger = report.models.challenger.exact_match
    rules = [
        _Rule("the majority answer", report.majority.exact_match, settings.gate_min_lift),
        _Rule("itself with pictures shuffled", report.models.blind.exact_match, settings.gate_min_lift),
    ]
    if report.models.champion is not None:
        champion = report.models.champion.exact_match
        rules.append(_Rule("the champion", champion, -settings.gate_max_regression))
    return Decision(
        passed=all(rule.holds(challenger) for rule in rules),
        reasons=[rule.words(challenger) for rule in rules],
        figures=_figures(report),
    )


def decision_uri(archive_uri: str) -> str:
    """Return where the decision about an evaluation job is kept."""
    return f"{evaluation.job_uri(archive_uri)}gate.json"


def _figures(report: EvaluationReport) -> dict[str, float]:
    scores = {name: score for name, score in report.models if score is not None}
    return {"majority": report.majority.exact_match} | {name: score.exact_match for name, score in scores.items()}
