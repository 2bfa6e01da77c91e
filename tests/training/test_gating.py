from __future__ import annotations

import io
import json
import tarfile

import pytest

from lookbook import storage
from lookbook.lineage.records import TaskKey, recording
from lookbook.settings import get_settings
from lookbook.training import gating
from lookbook.training.evaluation import EvaluationReport
from lookbook.training.gating import Decision

ARCHIVE = "s3://lookbook/training/jobs/lookbook-evaluate-1/output/model.tar.gz"


def score(exact_match: float) -> dict[str, object]:
    return {"exact_match": exact_match, "balanced_accuracy": exact_match, "attributes": {}}


def report(challenger: float, majority: float, blind: float, champion: float | None = None) -> EvaluationReport:
    models = {"base": score(0.0), "challenger": score(challenger), "blind": score(blind)}
    if champion is not None:
        models["champion"] = score(champion)
    return EvaluationReport.model_validate(
        {
            "format": 1,
            "benchmark": {"pairs": 9, "pictures": 9},
            "majority": {"exact_match": majority, "attributes": {}},
            "models": models,
        }
    )


def judge(challenger: float, majority: float, blind: float, champion: float | None = None) -> Decision:
    return gating.judge(report(challenger, majority, blind, champion), get_settings())


def test_a_challenger_above_majority_and_blind_control_passes() -> None:
    decision = judge(challenger=0.9, majority=0.3, blind=0.3)
    assert decision.passed
    assert decision.reasons == [
        "exact match 0.900 against 0.300 of the majority answer: +0.600, at least +0.050 needed, as asked",
        "exact match 0.900 against 0.300 of itself with pictures shuffled: +0.600, at least +0.050 needed, as asked",
    ]


@pytest.mark.parametrize(
    ("majority", "blind", "champion", "blamed"),
    [
        (0.86, 0.3, None, "the majority answer"),
        (0.3, 0.86, None, "itself with pictures shuffled"),
        (0.3, 0.3, 0.92, "the champion"),
    ],
)
def test_each_rule_alone_refuses(majority: float, blind: float, champion: float | None, blamed: str) -> None:
    decision = judge(0.9, majority, blind, champion)
    assert not decision.passed
    [refusal] = [reason for reason in decision.reasons if "not enough" in reason]
    assert blamed in refusal


def test_margins_count_as_reached_at_exactly_their_value() -> None:
    assert judge(challenger=0.35, majority=0.3, blind=0.3, champion=0.36).passed


def test_the_figures_name_every_rival() -> None:
    figures = judge(0.9, 0.3, 0.25, 0.8).figures
    assert figures == {"majority": 0.3, "base": 0.0, "challenger": 0.9, "blind": 0.25, "champion": 0.8}


def test_margins_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_GATE_MIN_LIFT", "0.7")
    get_settings.cache_clear()
    assert not judge(0.9, 0.3, 0.3).passed


@pytest.mark.usefixtures("bucket")
def test_report_and_decision_are_kept_beside_the_job_and_are_lineage() -> None:
    content = report(0.9, 0.3, 0.3).model_dump_json().encode()
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:
        member = tarfile.TarInfo("evaluation.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    storage.write_bytes(ARCHIVE, sink.getvalue())

    with recording(TaskKey("retrain_attribute_model", "r", "gate")) as record:
        decision = gating.decide(ARCHIVE)

    prefix = "s3://lookbook/training/jobs/lookbook-evaluate-1/"
    assert storage.read_json(f"{prefix}gate.json") == json.loads(json.dumps(decision.reference()))
    assert storage.read_bytes(f"{prefix}evaluation.json") == content
    assert [dataset.name for dataset in record.inputs] == [f"{prefix}evaluation.json"]
    assert [dataset.name for dataset in record.outputs] == [f"{prefix}gate.json"]
    assert record.details["gate"] == "passed"
