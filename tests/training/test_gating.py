from __future__ import annotations

import json
from typing import Any

import pytest
from tests.training.reports import ARCHIVE, JOB, difference, report, store

from lookbook import storage
from lookbook.errors import PermanentError
from lookbook.lineage.records import TaskKey, recording
from lookbook.settings import get_settings
from lookbook.training import gating
from lookbook.training.evaluation import EvaluationReport, ReportError
from lookbook.training.gating import Decision, Override

PERSON = Override("ada", "The old one calls every skirt a dress.")


def judge(override: Override | None = None, compared: dict[str, Any] | None = None, **figures: Any) -> Decision:
    """Judge a report; ``compared`` replaces parts of the comparison with the champion."""
    content = report(**figures)
    if compared:
        content["comparisons"]["champion"] |= compared
    return gating.judge(EvaluationReport.model_validate(content), get_settings(), override)


def test_without_a_champion_the_challenger_must_beat_majority_and_blind_control() -> None:
    decision = judge(challenger=0.9, majority=0.3, blind=0.25)
    assert (decision.passed, decision.verdict) == (True, "passed")
    assert decision.reasons == [
        "exact match 0.900 against 0.300 of the majority answer: +0.600 (+0.580 to +0.620), "
        "at least +0.050 beyond noise needed, as asked",
        "exact match 0.900 against 0.250 of itself with pictures shuffled: +0.650 (+0.630 to +0.670), "
        "at least +0.050 beyond noise needed, as asked",
    ]
    assert decision.sentence == f"The gate passes the challenger: {'; '.join(decision.reasons)}."


@pytest.mark.parametrize(
    ("majority", "blind", "champion", "blamed"),
    [
        (0.86, 0.3, None, "the majority answer"),
        (0.3, 0.86, None, "itself with pictures shuffled"),
        (0.3, 0.3, 0.92, "the champion"),
    ],
)
def test_each_rule_alone_refuses(majority: float, blind: float, champion: float | None, blamed: str) -> None:
    decision = judge(challenger=0.9, majority=majority, blind=blind, champion=champion, attributes=("Fit",))
    assert (decision.passed, decision.verdict) == (False, "refused")
    [refusal] = [reason for reason in decision.reasons if "not enough" in reason]
    assert blamed in refusal
    assert decision.sentence == f"The gate refuses the challenger: {refusal}. What serves stays."


def test_a_lift_over_the_majority_that_may_be_chance_is_not_enough() -> None:
    content = report()
    content["comparisons"]["majority"] |= difference(0.2, noise=0.25)
    assert not gating.judge(EvaluationReport.model_validate(content), get_settings()).passed


def test_a_challenger_better_than_the_champion_beyond_noise_passes() -> None:
    decision = judge(champion=0.85)
    assert decision.passed
    assert decision.reasons[2:] == [
        "exact match 0.900 against 0.850 of the champion: +0.050 (+0.030 to +0.070), "
        "a lead beyond noise needed, as asked",
        "no attribute more than 0.050 worse than the champion beyond noise, as asked",
    ]


@pytest.mark.parametrize(
    "lead",
    [
        difference(0.0, noise=0.0, p_value=1.0),
        difference(0.01, noise=0.02),
        difference(0.03, noise=0.02, p_value=0.06),
        difference(-0.03),
    ],
    ids=["the same answers", "interval around zero", "few pictures differ", "worse"],
)
def test_a_challenger_that_is_not_better_beyond_noise_is_refused(lead: dict[str, Any]) -> None:
    assert not judge(champion=0.85, compared=lead).passed


def test_a_fall_on_one_attribute_refuses_a_challenger_that_is_better_overall() -> None:
    falls = {"Fabric": difference(-0.08, p_value=0.001), "Fit": difference(0.3)}
    decision = judge(champion=0.85, attributes=("Fabric", "Fit"), compared={"attributes": falls})
    assert not decision.passed
    assert decision.reasons[-1] == (
        "more than 0.050 worse than the champion beyond noise on Fabric -0.080 in 40 answers, too much"
    )


def test_a_fall_that_may_be_chance_is_told_and_let_through() -> None:
    # Two attributes: each is tested at half the level.
    falls = {"Fabric": difference(-0.08, p_value=0.04), "Fit": difference(0.3)}
    decision = judge(champion=0.85, attributes=("Fabric", "Fit"), compared={"attributes": falls})
    assert decision.passed
    assert "(Fabric -0.080 in 40 answers may be chance)" in decision.reasons[-1]


def test_a_small_fall_on_an_attribute_is_let_through_however_sure() -> None:
    falls = {"Fabric": difference(-0.05, p_value=0.0001), "Fit": difference(0.3)}
    assert judge(champion=0.85, attributes=("Fabric", "Fit"), compared={"attributes": falls}).passed


def test_the_figures_have_every_model_and_the_lead_with_its_interval() -> None:
    figures = judge(champion=0.85).figures
    assert {
        name: figures[f"exact_match_{name}"] for name in ("majority", "base", "challenger", "blind", "champion")
    } == {
        "majority": 0.3,
        "base": 0.0,
        "challenger": 0.9,
        "blind": 0.25,
        "champion": 0.85,
    }
    assert figures["balanced_accuracy_challenger"] == 0.9
    assert figures["lead_over_champion_low"] == pytest.approx(0.03)


def test_margins_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    falls = {"Fabric": difference(-0.08, p_value=0.001), "Fit": difference(0.3)}
    monkeypatch.setenv("LOOKBOOK_GATE_MAX_ATTRIBUTE_LOSS", "0.1")
    monkeypatch.setenv("LOOKBOOK_GATE_MIN_LIFT", "0.59")
    get_settings.cache_clear()
    assert judge(champion=0.85, attributes=("Fabric", "Fit"), compared={"attributes": falls}).passed
    assert not judge(challenger=0.85).passed


def test_a_person_promotes_what_the_gate_refuses_and_is_named() -> None:
    decision = judge(PERSON, champion=0.95)
    assert (decision.passed, decision.verdict, decision.override) == (True, "overridden", PERSON)
    assert decision.sentence.endswith("ada promotes it anyway: The old one calls every skirt a dress.")
    assert "against 0.950 of the champion" in decision.sentence


def test_a_persons_word_is_not_used_up_where_the_gate_passes() -> None:
    decision = judge(PERSON, champion=0.8)
    assert (decision.verdict, decision.override) == ("passed", None)


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_without_a_reason_the_gate_decides(reason: str | None) -> None:
    assert gating.override_by(reason, "ada") is None


def test_somebody_must_stand_behind_an_override() -> None:
    assert gating.override_by(" It sees\nskirts. ", "ada") == Override("ada", "It sees skirts.")
    with pytest.raises(PermanentError, match="nobody started this run"):
        gating.override_by("It sees skirts.", None)


@pytest.mark.usefixtures("bucket")
def test_an_evaluation_without_figures_cannot_be_overridden() -> None:
    content = report()
    content["models"]["challenger"]["exact_match"] = float("nan")
    store(content)
    with pytest.raises(ReportError, match=r"models\.challenger\.exact_match"):
        gating.decide(ARCHIVE, PERSON)


@pytest.mark.usefixtures("bucket")
def test_report_page_and_decision_are_kept_beside_the_job_and_are_lineage(caplog: pytest.LogCaptureFixture) -> None:
    store(report(champion=0.95))
    with recording(TaskKey("retrain_attribute_model", "r", "gate")) as record, caplog.at_level("INFO"):
        decision = gating.decide(ARCHIVE, PERSON)

    assert storage.read_json(f"{JOB}gate.json") == json.loads(json.dumps(decision.reference()))
    assert (decision.report_uri, decision.page_uri) == (f"{JOB}evaluation.json", f"{JOB}evaluation.html")
    written = [dataset.name for dataset in record.outputs]
    assert written == [f"{JOB}{name}" for name in ("evaluation.json", "evaluation.html", "golden.json", "gate.json")]
    assert record.counts == {"benchmark_pairs": 40, "benchmark_pictures": 40}
    assert record.details["gate"] == "overridden"
    assert record.details["promoted_by"] == "ada"
    assert record.details["promoted_because"] == PERSON.reason
    assert json.loads(record.details["gate_figures"])["lead_over_champion"] == pytest.approx(-0.05)
    assert decision.sentence in caplog.text


def test_what_learned_from_an_older_catalogue_than_the_champion_is_refused() -> None:
    content = report(challenger=0.95, majority=0.3, blind=0.25, champion=0.8)
    words = "it was trained on snapshot 1 of catalog.products, which is older than snapshot 2"
    decision = gating.judge(EvaluationReport.model_validate(content), get_settings(), older=words)
    assert not decision.passed
    assert decision.sentence == f"The gate refuses the challenger: {words}. What serves stays."
