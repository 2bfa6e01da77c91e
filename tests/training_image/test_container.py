from __future__ import annotations

import json
from pathlib import Path

import pytest

from lookbook_image.container import FAILURE_REASON_LIMIT, Container
from lookbook_image.errors import JobError


def test_the_base_directory_is_sagemakers_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SAGEMAKER_BASE_DIR", raising=False)
    assert Container.from_environment().model == Path("/opt/ml/model")
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", "/somewhere")
    assert Container.from_environment().model == Path("/somewhere/model")


def test_a_missing_channel_is_named_beside_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "input" / "data" / "train").mkdir(parents=True)
    with pytest.raises(JobError, match=r"channel 'base'.*channels found: train"):
        Container(tmp_path).channel("base")


def test_an_empty_channel_counts_as_missing(tmp_path: Path) -> None:
    (tmp_path / "input" / "data" / "train").mkdir(parents=True)
    with pytest.raises(JobError, match="channel 'train'"):
        Container(tmp_path).channel("train")


def test_no_hyperparameters_file_means_no_hyperparameters(tmp_path: Path) -> None:
    assert Container(tmp_path).hyperparameters() == {}


@pytest.mark.parametrize("content", ["{", '["epochs"]'])
def test_a_hyperparameters_file_of_another_form_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "input" / "config" / "hyperparameters.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(JobError, match=r"hyperparameters\.json"):
        Container(tmp_path).hyperparameters()


def test_hyperparameters_are_read_as_strings(tmp_path: Path) -> None:
    path = tmp_path / "input" / "config" / "hyperparameters.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"epochs": 3, "seed": "7"}))
    assert Container(tmp_path).hyperparameters() == {"epochs": "3", "seed": "7"}


def test_a_failure_reason_is_cut_to_what_sagemaker_keeps(tmp_path: Path) -> None:
    Container(tmp_path).write_failure("x" * 5000)
    assert (tmp_path / "output" / "failure").read_text() == "x" * FAILURE_REASON_LIMIT


def test_clearing_the_model_empties_its_directory_which_may_be_a_mount(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.clear_model()
    (container.model / "merged").mkdir(parents=True)
    (container.model / "merged" / "half").write_text("of it")
    (container.model / "report.json").write_text("{}")
    container.clear_model()
    assert list(container.model.iterdir()) == []
