from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lookbook_image import loading
from lookbook_image.errors import JobError
from lookbook_image.families.blip2 import Blip2Family


@pytest.fixture
def model(untrained: Path, tmp_path: Path) -> Path:
    shutil.copytree(untrained, tmp_path / "merged")
    return tmp_path


def test_a_merged_model_is_loaded(model: Path) -> None:
    assert loading.load(model).model_type == "blip-2"


@pytest.mark.parametrize("name", ["merged/pytorch_model.bin", "adapter/adapter_model.PT", "optimizer.pkl"])
def test_a_pickle_is_refused_wherever_it_lies_and_never_read(model: Path, name: str) -> None:
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(JobError, match=r"a pickle, which may hold code\. Only safetensors are served"):
        loading.load(model)


def test_a_model_that_cannot_answer_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Blip2Family, "generate", lambda *_: 1 / 0)
    with pytest.raises(JobError, match=r"can't answer \(ZeroDivisionError"):
        loading.load(model)


def test_a_model_whose_weights_are_damaged_is_refused(model: Path) -> None:
    path = model / "merged" / "model.safetensors"
    weights = load_file(path)
    save_file({name: torch.full_like(weight, torch.nan) for name, weight in weights.items()}, path, {"format": "pt"})
    with pytest.raises(JobError, match=r"can't answer .*the probability of an answer is nan"):
        loading.load(model)


def test_its_own_questions_are_those_of_its_report(model: Path) -> None:
    (model / "report.json").write_text(json.dumps({"questions": {"Neck": "What neck?", "Fit": "What fit?"}}))
    assert loading.own_questions(model) == ("What fit?", "What neck?")


def test_a_model_without_a_report_has_no_questions_of_its_own(model: Path) -> None:
    assert loading.own_questions(model) == ()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"questions": 3}', '{"questions": {"Fit": 3}}'])
def test_a_report_that_training_did_not_write_is_refused(model: Path, text: str) -> None:
    (model / "report.json").write_text(text)
    with pytest.raises(JobError, match=r"report\.json: expected what training writes"):
        loading.own_questions(model)
