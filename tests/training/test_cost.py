from __future__ import annotations

from typing import Any

import pytest

from lookbook.lineage.records import TaskKey, recording
from lookbook.settings import Settings, get_settings
from lookbook.training import cost, registry
from lookbook.training.registry import Champion

DATASET = {"counts": {"train": {"pairs": 36_000}}}
CHAMPION = Champion("v3", "arn:…/3", "model", "s3://lookbook/m.tar.gz", "d1", "config", "lookbook-train-d1-1")


@pytest.fixture(autouse=True)
def plain_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No champion, ten epochs, a hundred pairs a second: 3,600 s of training and ten minutes of start."""
    monkeypatch.setattr(registry, "champion", lambda: None)
    choose(monkeypatch, TRAINING_EPOCHS="10", TRAINING_PAIRS_PER_S="100", TRAINING_INSTANCE_TYPE="ml.g5.2xlarge")


def choose(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"LOOKBOOK_{name}", value)
    get_settings.cache_clear()


def champion_trained(monkeypatch: pytest.MonkeyPatch, instance_type: str, metrics: dict[str, float]) -> None:
    """Put a model in service whose job ran on ``instance_type`` and left ``metrics``."""

    class SageMaker:
        def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
            assert TrainingJobName == CHAMPION.training_job
            kept = [{"MetricName": name, "Value": value} for name, value in metrics.items()]
            resources = {"InstanceType": instance_type}
            return {"TrainingJobArn": "arn:…", "ResourceConfig": resources, "FinalMetricDataList": kept}

    monkeypatch.setattr(registry, "champion", lambda: CHAMPION)
    monkeypatch.setattr(cost, "client", lambda _service: SageMaker())


def test_a_training_within_the_budget_needs_no_approval() -> None:
    estimate = cost.estimate(DATASET)
    assert (round(estimate.hours, 3), estimate.usd, estimate.needs_approval) == (1.167, 1.77, False)
    assert "within the budget of 25.00 USD" in estimate.sentence


def test_a_training_over_the_budget_needs_approval(monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, TRAINING_BUDGET_USD="1.76")
    estimate = cost.estimate(DATASET)
    assert estimate.needs_approval
    assert estimate.sentence == (
        "36000 pairs × 10 epochs at 100 a second (as set) take about 1.17 h of ml.g5.2xlarge: at most 1.77 USD at the "
        f"list price of {cost.price_list()['date']}, over the budget of 1.76 USD"
    )


def test_a_training_whose_price_nobody_knows_needs_approval(monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, TRAINING_INSTANCE_TYPE="ml.p9.48xlarge")
    estimate = cost.estimate(DATASET)
    assert (estimate.usd, estimate.needs_approval) == (None, True)
    assert "whose price the price list" in estimate.sentence


def test_no_job_takes_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, TRAINING_PAIRS_PER_S="1", TRAINING_MAX_RUNTIME_S="7200")
    assert cost.estimate(DATASET).hours == 2.0


def test_the_rate_is_the_one_of_the_last_job_on_such_an_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    champion_trained(monkeypatch, "ml.g5.2xlarge", {"samples_per_second": 200.0})
    estimate = cost.estimate(DATASET)
    assert round(estimate.hours, 3) == 0.667
    assert "(as job lookbook-train-d1-1 did)" in estimate.sentence


@pytest.mark.parametrize(
    ("instance_type", "metrics"), [("ml.g5.xlarge", {"samples_per_second": 9.0}), ("ml.g5.2xlarge", {})]
)
def test_another_instance_or_a_job_without_a_rate_tells_nothing(
    monkeypatch: pytest.MonkeyPatch, instance_type: str, metrics: dict[str, float]
) -> None:
    champion_trained(monkeypatch, instance_type, metrics)
    assert "(as set)" in cost.estimate(DATASET).sentence


def test_the_estimate_is_lineage() -> None:
    with recording(TaskKey("d", "r", "t")) as record:
        estimate = cost.estimate(DATASET)
    assert record.details["training_estimate"] == estimate.sentence


def test_the_price_list_has_the_default_instance_its_source_and_its_date() -> None:
    assert Settings.model_fields["training_instance_type"].default in cost.price_list()["usd_per_hour"]
    assert cost.price_list()["source"].startswith("https://aws.amazon.com/")
    assert len(cost.price_list()["date"]) == len("2025-06-30")
