from __future__ import annotations

import re
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from lookbook.settings import get_settings
from lookbook.training import registry, requests
from lookbook.training.registry import Champion

DATASET = {"uri": "s3://lookbook/training/datasets/0123456789abcdef/", "dataset_id": "0123456789abcdef", "counts": {}}
TRAINING = {
    "job_name": "lookbook-train-01234567-aaaaaaaa",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/lookbook-training@sha256:0",
    "model_data": "s3://lookbook/training/jobs/lookbook-train-01234567-aaaaaaaa/output/model.tar.gz",
}
RUN = "scheduled__2026-11-16T03:00:00+00:00"
CHAMPION = Champion("v3", "arn:…/3", "lookbook-attributes-v3-1", "s3://lookbook/old/model.tar.gz", "d", "c", "t")


@pytest.fixture
def champion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "champion", lambda: CHAMPION)


@pytest.fixture
def no_champion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "champion", lambda: None)


def check(request: dict[str, Any]) -> None:
    """Check a request as botocore does before it sends it, and its names by the service's patterns."""
    model = boto3.client("sagemaker").meta.service_model
    shape = model.operation_model("CreateTrainingJob").input_shape
    assert not ParamValidator().validate(request, shape).has_errors()
    name = model.shape_for("TrainingJobName").metadata
    assert re.fullmatch(name["pattern"], request["TrainingJobName"])
    assert len(request["TrainingJobName"]) <= name["max"]
    for tag in request["Tags"]:
        assert re.fullmatch(r"[\w .:/=+@-]{0,256}", tag["Value"], re.ASCII)


def channels(request: dict[str, Any]) -> dict[str, str]:
    return {entry["ChannelName"]: entry["DataSource"]["S3DataSource"]["S3Uri"] for entry in request["InputDataConfig"]}


def test_the_training_request_is_one_that_sagemaker_takes() -> None:
    check(requests.training_request(DATASET, RUN))


def test_training_gets_the_base_and_two_sides_of_the_data_set() -> None:
    assert channels(requests.training_request(DATASET, RUN)) == {
        "base": "s3://lookbook/models/base/tiny-blip2/",
        "train": "s3://lookbook/training/datasets/0123456789abcdef/train/",
        "validation": "s3://lookbook/training/datasets/0123456789abcdef/validation/",
    }


def test_hyperparameters_are_strings_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_TRAINING_EPOCHS", "4")
    get_settings.cache_clear()
    hyperparameters = requests.training_request(DATASET, RUN)["HyperParameters"]
    assert hyperparameters["epochs"] == "4"
    assert hyperparameters["learning_rate"] == "0.003"
    assert {name: hyperparameters[name] for name in ("lora_r", "lora_alpha", "lora_dropout")} == {
        "lora_r": "8",
        "lora_alpha": "32",
        "lora_dropout": "0.05",
    }


def test_the_same_run_asks_for_the_same_job_and_another_run_for_another() -> None:
    name = requests.training_request(DATASET, RUN)["TrainingJobName"]
    assert requests.training_request(DATASET, RUN)["TrainingJobName"] == name
    assert requests.training_request(DATASET, "manual")["TrainingJobName"] != name
    assert name.startswith("lookbook-train-01234567-")


def test_any_run_id_makes_a_valid_request() -> None:
    check(requests.training_request(DATASET, "manual__Größe {{ x }}\n" + "é" * 400))


@pytest.mark.parametrize(
    ("line", "metrics"),
    [
        (
            "epoch=3 step=120 train_loss=0.3412 samples_per_second=410.0",
            {"train_loss": "0.3412", "samples_per_second": "410.0"},
        ),
        (
            "epoch=3 validation_loss=0.41 validation_exact_match=0.8700",
            {"validation_loss": "0.41", "validation_exact_match": "0.8700"},
        ),
    ],
)
def test_metrics_are_caught_from_the_lines_that_training_prints(line: str, metrics: dict[str, str]) -> None:
    definitions = requests.training_request(DATASET, RUN)["AlgorithmSpecification"]["MetricDefinitions"]
    found = {entry["Name"]: re.search(entry["Regex"], line) for entry in definitions}
    assert {name: match.group(1) for name, match in found.items() if match} == metrics


def test_spot_capacity_may_be_waited_for_and_training_resumes_from_checkpoints() -> None:
    request = requests.training_request(DATASET, RUN)
    assert request["EnableManagedSpotTraining"]
    assert request["StoppingCondition"]["MaxWaitTimeInSeconds"] >= request["StoppingCondition"]["MaxRuntimeInSeconds"]
    assert request["CheckpointConfig"]["S3Uri"].endswith(f"/training/checkpoints/{request['TrainingJobName']}/")


def test_without_spot_there_is_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_USE_SPOT", "false")
    get_settings.cache_clear()
    request = requests.training_request(DATASET, RUN)
    check(request)
    assert "MaxWaitTimeInSeconds" not in request["StoppingCondition"]


@pytest.mark.usefixtures("champion")
def test_evaluation_compares_base_challenger_and_champion_on_the_benchmark() -> None:
    request = requests.evaluation_request(DATASET, TRAINING, RUN)
    check(request)
    assert request["AlgorithmSpecification"]["ContainerArguments"] == ["evaluate"]
    assert channels(request) == {
        "benchmark": "s3://lookbook/training/datasets/0123456789abcdef/benchmark/",
        "validation": "s3://lookbook/training/datasets/0123456789abcdef/validation/",
        "base": "s3://lookbook/models/base/tiny-blip2/",
        "challenger": TRAINING["model_data"],
        "champion": CHAMPION.model_data,
    }
    assert request["HyperParameters"] == {"target_precision": "0.9"}


@pytest.mark.usefixtures("no_champion")
def test_metrics_are_caught_from_the_lines_that_evaluation_prints() -> None:
    definitions = requests.evaluation_request(DATASET, TRAINING, RUN)["AlgorithmSpecification"]["MetricDefinitions"]
    line = "challenger_exact_match=0.9170 challenger_balanced_accuracy=0.8800"
    found = {entry["Name"]: re.search(entry["Regex"], line) for entry in definitions}
    assert {name: match.group(1) for name, match in found.items() if match} == {
        "challenger_exact_match": "0.9170",
        "challenger_balanced_accuracy": "0.8800",
    }


@pytest.mark.usefixtures("no_champion")
def test_evaluation_without_a_model_in_service_has_no_champion() -> None:
    assert "champion" not in channels(requests.evaluation_request(DATASET, TRAINING, RUN))


@pytest.mark.usefixtures("no_champion")
def test_another_challenger_of_the_same_run_is_evaluated_by_another_job() -> None:
    first = requests.evaluation_request(DATASET, TRAINING, RUN)["TrainingJobName"]
    again = requests.evaluation_request(DATASET, TRAINING | {"job_name": "lookbook-train-2"}, RUN)["TrainingJobName"]
    assert first != again
