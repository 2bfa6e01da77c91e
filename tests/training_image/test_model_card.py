from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest
from garments import row, write_pairs, write_side
from huggingface_hub import ModelCard

from lookbook_image import model_card, pairs, training_report
from lookbook_image.hyperparameters import Hyperparameters
from lookbook_image.trainer import Epoch
from lookbook_image.training_report import Outcome


def epoch(number: int, exact_match: float) -> Epoch:
    return {
        "epoch": number,
        "train_loss": 0.5,
        "validation_loss": 0.4,
        "validation_exact_match": exact_match,
        "samples_per_second": 100.0,
    }


@pytest.fixture
def outcome(tmp_path: Path) -> Outcome:
    sides = {
        name: pairs.read(write_side(tmp_path / name, 8, seed)) for seed, name in enumerate(("train", "validation"))
    }
    return Outcome(
        settings=Hyperparameters(dataset_id="0123456789abcdef", data_license="CC-BY-4.0"),
        sides=sides,
        history=[epoch(1, 0.7), epoch(2, 0.9), epoch(3, 0.8)],
        stopped_early=True,
        starts=1,
        device="cpu",
        precision="no",
        features_bytes=1,
        features_on_disk=False,
        started=time.monotonic(),
        encoding_seconds=0.1,
    )


def written(outcome: Outcome, base: Path) -> tuple[dict[str, Any], str]:
    """Write report and card and return the card's head and text."""
    model = base.parent / "model"
    model.mkdir()
    model_card.write(model, training_report.write(model, outcome), base)
    card = ModelCard.load(model / model_card.FILE)
    return card.data.to_dict(), card.text


@pytest.fixture
def base(tmp_path: Path) -> Path:
    directory = tmp_path / "base"
    directory.mkdir()
    return directory


def test_it_names_data_set_counts_figures_and_licences(outcome: Outcome, base: Path) -> None:
    (base / "README.md").write_text("---\nlicense: mit\nmodel_name: blip2-flan-t5-xl\n---\n# A base\n")
    head, text = written(outcome, base)
    assert (head["license"], head["base_model"]) == ("mit", "blip2-flan-t5-xl")
    for line in (
        "| data set | 0123456789abcdef |",
        "| training side | 16 pairs of 8 pictures |",
        "| exact match on the validation side | 0.9000 (loss 0.4000) |",
        "| epoch kept | 2 of 3, stopped early |",
        "| licence of the base | mit |",
        "| licence of pictures and labels | CC-BY-4.0 |",
    ):
        assert line in text
    assert "## Limits" in text


def test_what_nobody_stated_is_unknown(outcome: Outcome, base: Path) -> None:
    unstated = dataclasses.replace(outcome, settings=Hyperparameters())
    head, text = written(unstated, base)
    assert head["license"] == "unknown"
    assert "| data set | unknown |" in text
    assert "| licence of pictures and labels | unknown |" in text


@pytest.mark.parametrize("card", ["# A base without a head\n", "---\nlicense: [mit\n---\n", "---\n- a list\n---\n"])
def test_a_base_whose_card_has_no_head_that_can_be_read_has_an_unknown_licence(
    outcome: Outcome, base: Path, card: str
) -> None:
    (base / "README.md").write_text(card)
    assert written(outcome, base)[0]["license"] == "unknown"


def test_a_sellers_word_does_not_end_a_cell(outcome: Outcome, base: Path, tmp_path: Path) -> None:
    values = ("Red | Blue", "Two\nTone")
    write_pairs(tmp_path / "odd", [row(str(n), "a.jpg", "baseColour", value) for n, value in enumerate(values)])
    odd = dataclasses.replace(outcome, sides={**outcome.sides, "train": pairs.read(tmp_path / "odd")})
    assert r"| Red \| Blue, Two Tone |" in written(odd, base)[1]
