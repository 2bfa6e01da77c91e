from __future__ import annotations

import io
import json
import math
import re
import shutil
import tarfile
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from garments import write_hyperparameters, write_side

from lookbook_image import code, evaluation
from lookbook_image.container import Container
from lookbook_image.errors import JobError
from lookbook_image.families.base import Generated, Prompts
from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.features import Prepared


def write_artefact(channel: Path, merged: Path) -> None:
    """Write ``merged`` as a training job's model.tar.gz, below a prefix as S3 channels deliver it."""
    archive = channel / "output" / "model.tar.gz"
    archive.parent.mkdir(parents=True)
    report = json.dumps({"code": "c0de"}).encode()
    member = tarfile.TarInfo("report.json")
    member.size = len(report)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(merged, "merged")
        tar.addfile(member, io.BytesIO(report))


def fill(base: Path, untrained: Path) -> Container:
    """Make the container of an evaluation job without a champion; the challenger is the untrained base."""
    data = base / "input" / "data"
    write_side(data / "benchmark", garments=8, seed=4)
    write_side(data / "validation", garments=4, seed=5)
    shutil.copytree(untrained, data / "base")
    write_artefact(data / "challenger", untrained)
    return Container(base)


@pytest.fixture
def container(untrained: Path, tmp_path: Path) -> Container:
    return fill(tmp_path, untrained)


@dataclass
class Finished:
    """An evaluation job that has ended, with the challenger as its own champion."""

    container: Container
    report: dict
    log: list[str]


@pytest.fixture(scope="module")
def finished(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    container, log = fill(tmp_path_factory.mktemp("evaluate"), untrained), io.StringIO()
    write_artefact(container.base / "input" / "data" / "champion", untrained)
    write_hyperparameters(container.base, target_precision="0.75", sagemaker_region="us-east-1")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(log):
        patch.setenv("TRAINING_JOB_NAME", "lookbook-evaluate-1")
        evaluation.run(container)
    return Finished(container, report_of(container), log.getvalue().splitlines())


def report_of(container: Container) -> dict:
    return json.loads((container.model / "evaluation.json").read_text())


def test_the_report_has_every_model_and_the_challengers_lead_over_each(finished: Finished) -> None:
    report = finished.report
    assert (report["format"], report["job"]) == (2, "lookbook-evaluate-1")
    assert report["benchmark"] == {"pairs": 16, "pictures": 8}
    assert set(report["models"]) == {"base", "challenger", "blind", "majority", "champion"}
    assert set(report["comparisons"]) == {"base", "blind", "majority", "champion"}
    for part in (*report["models"].values(), *report["comparisons"].values()):
        assert set(part["attributes"]) == {"Sleeve Length", "baseColour"}
    assert report["models"]["base"]["attributes"]["baseColour"]["pairs"] == 8
    assert set(report["calibration"]["attributes"]) == {"Sleeve Length", "baseColour"}


def test_the_report_says_which_code_trained_and_which_evaluated(finished: Finished) -> None:
    assert finished.report["code"] == {"training": "c0de", "evaluation": code.version()}


def test_an_artefact_that_does_not_say_what_trained_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="doesn't say which code trained the model"):
        evaluation.training_code(tmp_path)


def test_report_page_and_golden_questions_are_in_both_artefacts(finished: Finished) -> None:
    model, output = finished.container.model, finished.container.output_data
    for file in ("evaluation.json", "evaluation.html", "golden.json"):
        assert (model / file).read_text() == (output / file).read_text()
    assert (model / "evaluation.html").read_text().startswith("<!doctype html>")


def test_the_same_model_has_no_lead_over_itself(finished: Finished) -> None:
    assert finished.report["models"]["champion"] == finished.report["models"]["challenger"]
    lead = finished.report["comparisons"]["champion"]
    assert (lead["difference"], lead["interval"], lead["p_value"]) == (0, [0, 0], 1)


def test_the_log_has_every_models_scores(finished: Finished) -> None:
    for name in ("base", "challenger", "blind", "majority", "champion"):
        assert [
            line for line in finished.log if re.match(rf"{name}_exact_match=\d.* {name}_balanced_accuracy=\d", line)
        ]


def test_the_precision_that_is_aimed_at_is_a_hyperparameter(finished: Finished) -> None:
    assert finished.report["calibration"]["target_precision"] == 0.75


def test_a_first_model_is_evaluated_without_a_champion(container: Container) -> None:
    evaluation.run(container)
    report = report_of(container)
    assert "champion" not in report["models"] and "champion" not in report["comparisons"]
    assert report["calibration"]["target_precision"] == 0.9


@pytest.mark.parametrize("text", ["much", "nan", "0", "1", "90"])
def test_a_precision_that_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(JobError, match="expected a number between 0 and 1"):
        evaluation.target_precision({"target_precision": text})


def test_an_unknown_hyperparameter_is_refused() -> None:
    with pytest.raises(JobError, match="unknown hyperparameter epochs"):
        evaluation.target_precision({"epochs": "3"})


def test_a_model_whose_answers_have_no_probability_is_refused(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Blip2Family, "generate", lambda self, features, prompts: [Generated("Fit: Slim", math.nan)] * len(features)
    )
    with pytest.raises(JobError, match="base: the probability of an answer is not a finite number"):
        evaluation.run(container)
    assert not container.model.exists()


def test_the_blind_control_asks_each_question_about_another_picture() -> None:
    features = torch.arange(4.0).view(4, 1, 1)
    rows = torch.tensor([0, 0, 1, 2, 3])
    prompts = Prompts(torch.zeros(5, 1, dtype=torch.int64), torch.ones(5, 1, dtype=torch.int64))
    blinded = evaluation.blinded(Prepared(features, rows, prompts, torch.zeros(5, 1)))
    assert not (blinded.picture_of_pair == rows).any()
    assert blinded.picture_of_pair[0] == blinded.picture_of_pair[1]


def test_a_benchmark_of_one_picture_is_refused(container: Container) -> None:
    write_side(container.base / "input" / "data" / "benchmark", garments=1, seed=4)
    with pytest.raises(JobError, match="a benchmark of at least two"):
        evaluation.run(container)


def test_a_challenger_channel_without_an_artefact_is_refused(container: Container) -> None:
    (container.channel("challenger") / "output" / "model.tar.gz").rename(container.channel("challenger") / "m.tar.gz")
    with pytest.raises(JobError, match=r"0 files named model\.tar\.gz, expected one"):
        evaluation.run(container)


def test_a_damaged_artefact_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(b"no archive")
    with pytest.raises(JobError, match="can't be unpacked"):
        evaluation.merged_model(tmp_path, tmp_path / "scratch")


def test_an_artefact_without_a_model_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz"):
        pass
    with pytest.raises(JobError, match="holds no merged/ directory"):
        evaluation.merged_model(tmp_path, tmp_path / "scratch")


def test_an_artefact_cannot_write_outside_its_directory(tmp_path: Path) -> None:
    (tmp_path / "evil").write_text("evil")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "evil", "../outside")
    with pytest.raises(JobError, match="can't be unpacked"):
        evaluation.merged_model(tmp_path, tmp_path / "scratch")
    assert not (tmp_path / "outside").exists()
