from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest
import torch
from garments import write_side

from lookbook_image import evaluation
from lookbook_image.container import Container
from lookbook_image.errors import JobError
from lookbook_image.families.base import Prompts
from lookbook_image.features import Prepared


def write_artefact(channel: Path, merged: Path) -> None:
    """Write ``merged`` as a training job's model.tar.gz, below a prefix as S3 channels deliver it."""
    archive = channel / "output" / "model.tar.gz"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(merged, "merged")


@pytest.fixture
def container(untrained: Path, tmp_path: Path) -> Container:
    """The container of an evaluation job without a champion; the challenger is the untrained base."""
    data = tmp_path / "input" / "data"
    write_side(data / "benchmark", garments=8, seed=4)
    shutil.copytree(untrained, data / "base")
    write_artefact(data / "challenger", untrained)
    return Container(tmp_path)


def test_the_report_has_base_challenger_blind_and_majority(container: Container) -> None:
    evaluation.run(container)
    report = json.loads((container.model / "evaluation.json").read_text())
    assert report["format"] == 1
    assert report["benchmark"] == {"pairs": 16, "pictures": 8}
    assert set(report["models"]) == {"base", "challenger", "blind"}
    assert set(report["majority"]["attributes"]) == {"Sleeve Length", "baseColour"}
    assert set(report["models"]["base"]) == {"exact_match", "balanced_accuracy", "attributes"}
    assert report["models"]["base"]["attributes"]["baseColour"]["pairs"] == 8


def test_both_artefacts_hold_the_same_report(container: Container) -> None:
    evaluation.run(container)
    assert (container.model / "evaluation.json").read_text() == (container.output_data / "evaluation.json").read_text()


def test_a_champion_is_scored_if_there_is_one(container: Container, untrained: Path) -> None:
    write_artefact(container.base / "input" / "data" / "champion", untrained)
    evaluation.run(container)
    models = json.loads((container.model / "evaluation.json").read_text())["models"]
    assert models["champion"] == models["challenger"]


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
