"""The gate: a challenger goes into service only if it is better than the champion beyond noise.

What that means, and why: docs/decisions/0016-better-beyond-noise.md.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from lookbook import storage
from lookbook.errors import PermanentError
from lookbook.lineage import records
from lookbook.settings import Settings, get_settings
from lookbook.training import evaluation
from lookbook.training.evaluation import Comparison, Difference, EvaluationReport, Score

log = logging.getLogger(__name__)

Verdict = Literal["passed", "refused", "overridden"]
_TINY = 1e-9  # shares are fractions: a margin counts as reached at exactly its value


@dataclass(frozen=True)
class Override:
    """A person's word that a challenger goes into service although the gate refuses it."""

    by: str
    reason: str


@dataclass(frozen=True)
class Decision:
    """Whether the challenger goes into service, what the gate makes of it, why in words, and the figures behind it."""

    passed: bool
    verdict: Verdict
    sentence: str
    reasons: list[str]
    figures: dict[str, float]
    override: Override | None = None
    report_uri: str | None = None
    page_uri: str | None = None
    training_code: str = "unknown"
    """The version of the code that trained the challenger."""

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Finding:
    """What one rule came to, in words."""

    holds: bool
    words: str


def override_by(reason: str | None, by: str | None) -> Override | None:
    """Return the word of the person who started the run, ``None`` if there was none.

    Args:
        reason: the run's parameter; empty means that the gate decides.
        by: who started the run, as Airflow knows them.

    Raises:
        PermanentError: there is a reason and nobody who gave it.
    """
    if not (reason := " ".join((reason or "").split())):
        return None
    if not by:
        raise PermanentError(
            "'Promote anyway' is set, but nobody started this run. A person triggers it, in the UI or by the API."
        )
    return Override(by, reason)


def decide(archive_uri: str, override: Override | None = None, older: str | None = None) -> Decision:
    """Judge an evaluation job's report; keep report, page and decision beside the job's output, and as lineage.

    Args:
        archive_uri: the evaluation job's ``model.tar.gz``.
        override: promotes what the gate refuses; an evaluation that failed or is not whole it can't.
        older: what :func:`lookbook.training.age.older_than_champion` says of the challenger's data set.

    Raises:
        ReportError: the job left no report that can be read.
    """
    published = evaluation.publish(archive_uri)
    judged = judge(published.report, get_settings(), override, older)
    code = published.report.code.training if published.report.code else "unknown"
    decision = replace(judged, report_uri=published.report_uri, page_uri=published.page_uri, training_code=code)
    records.writes_object(storage.write_json(decision_uri(archive_uri), decision.reference()))
    _record(decision, published.report)
    log.info("%s", decision.sentence)
    return decision


def judge(
    report: EvaluationReport, settings: Settings, override: Override | None = None, older: str | None = None
) -> Decision:
    """Apply the rules to a report.

    The challenger's exact match must be better beyond noise, and by ``gate_min_lift``, than always giving the majority
    answer and than itself with the pictures shuffled (a model that scores as well blind has learnt nothing). It must be
    better than the champion beyond noise, and on no attribute worse by more than ``gate_max_attribute_loss`` beyond
    noise. And it must not have learned from an ``older`` catalogue than the champion.
    """
    findings = [*_findings(report, settings), *([_Finding(False, older)] if older else [])]
    held = all(finding.holds for finding in findings)
    verdict: Verdict = "passed" if held else "overridden" if override else "refused"
    return Decision(
        passed=verdict != "refused",
        verdict=verdict,
        sentence=_sentence(verdict, findings, override),
        reasons=[finding.words for finding in findings],
        figures=_figures(report),
        override=override if verdict == "overridden" else None,
    )


def decision_uri(archive_uri: str) -> str:
    """Return where the decision about an evaluation job is kept."""
    return f"{evaluation.job_uri(archive_uri)}gate.json"


def _findings(report: EvaluationReport, settings: Settings) -> Iterator[_Finding]:
    models, compared = report.models, report.comparisons
    for name, rival, comparison in (
        ("the majority answer", models.majority, compared.majority),
        ("itself with pictures shuffled", models.blind, compared.blind),
    ):
        enough = comparison.difference >= settings.gate_min_lift - _TINY and _better(comparison, report)
        needed = f"at least {settings.gate_min_lift:+.3f} beyond noise needed"
        yield _Finding(enough, f"{_lead(report, name, rival, comparison)}, {needed}, {_verdict(enough)}")
    if models.champion is not None and compared.champion is not None:
        better = _better(compared.champion, report)
        lead = _lead(report, "the champion", models.champion, compared.champion)
        yield _Finding(better, f"{lead}, a lead beyond noise needed, {_verdict(better)}")
        yield _attributes(report, compared.champion, settings.gate_max_attribute_loss)


def _attributes(report: EvaluationReport, compared: Comparison, margin: float) -> _Finding:
    """Tell whether an attribute is worse than the champion's by more than a margin, beyond noise.

    With k attributes, chance has k tries at making one look worse: each is tested at a k-th of the level (Bonferroni).
    """
    level = (1 - report.chance.confidence) / len(compared.attributes)
    worse = {name: one for name, one in compared.attributes.items() if one.difference < -margin - _TINY}
    fallen = [name for name, one in worse.items() if one.p_value <= level]
    doubtful = [name for name in worse if name not in fallen]
    if fallen:
        what = ", ".join(_fall(name, worse[name]) for name in fallen)
        return _Finding(False, f"more than {margin:.3f} worse than the champion beyond noise on {what}, too much")
    words = f"no attribute more than {margin:.3f} worse than the champion beyond noise"
    if doubtful:
        words += f" ({', '.join(_fall(name, worse[name]) for name in doubtful)} may be chance)"
    return _Finding(True, f"{words}, as asked")


def _fall(name: str, one: Difference) -> str:
    return f"{name} {one.difference:+.3f} in {one.pairs} answers"


def _better(one: Difference, report: EvaluationReport) -> bool:
    """Tell whether a lead is beyond noise: its interval lies above zero, and the randomisation test agrees.

    The interval alone is too sure of itself where few pictures differ; see docs/decisions/0016-better-beyond-noise.md.
    """
    return one.interval[0] > 0 and one.p_value <= 1 - report.chance.confidence + _TINY


def _lead(report: EvaluationReport, name: str, rival: Score, one: Comparison) -> str:
    low, high = one.interval
    challenger = report.models.challenger.exact_match
    figures = f"{one.difference:+.3f} ({low:+.3f} to {high:+.3f})"
    return f"exact match {challenger:.3f} against {rival.exact_match:.3f} of {name}: {figures}"


def _verdict(holds: bool) -> str:
    return "as asked" if holds else "not enough"


def _sentence(verdict: Verdict, findings: list[_Finding], override: Override | None) -> str:
    if verdict == "passed":
        return f"The gate passes the challenger: {'; '.join(finding.words for finding in findings)}."
    refusal = f"The gate refuses the challenger: {'; '.join(one.words for one in findings if not one.holds)}"
    if verdict == "overridden" and override:
        return f"{refusal}. {override.by} promotes it anyway: {override.reason}"
    return f"{refusal}. What serves stays."


def _figures(report: EvaluationReport) -> dict[str, float]:
    """Return what the registry keeps of a report, by names that are SageMaker's to keep."""
    challenger = report.models.challenger
    scores = {name: score for name, score in report.models if score is not None}
    figures = {f"exact_match_{name}": score.exact_match for name, score in scores.items()}
    figures |= {
        "exact_match_challenger_low": challenger.interval[0],
        "exact_match_challenger_high": challenger.interval[1],
        "balanced_accuracy_challenger": challenger.balanced_accuracy,
        "balanced_accuracy_challenger_low": challenger.balanced_accuracy_interval[0],
        "balanced_accuracy_challenger_high": challenger.balanced_accuracy_interval[1],
        "macro_f1_challenger": challenger.macro_f1,
    }
    if (lead := report.comparisons.champion) is not None:
        figures |= {
            "lead_over_champion": lead.difference,
            "lead_over_champion_low": lead.interval[0],
            "lead_over_champion_high": lead.interval[1],
            "lead_over_champion_p": lead.p_value,
        }
    return figures


def _record(decision: Decision, report: EvaluationReport) -> None:
    records.counts(benchmark_pairs=report.benchmark.pairs, benchmark_pictures=report.benchmark.pictures)
    records.details(
        gate=decision.verdict,
        gate_decision=decision.sentence,
        gate_reasons="; ".join(decision.reasons),
        gate_figures=json.dumps(decision.figures, sort_keys=True),
        gate_confidence=f"{report.chance.confidence:g}",
        evaluation_page=decision.page_uri or "",
        training_code=decision.training_code,
    )
    if decision.override:
        records.details(promoted_by=decision.override.by, promoted_because=decision.override.reason)
