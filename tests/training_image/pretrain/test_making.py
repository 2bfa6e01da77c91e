"""Both stages of pretraining, at a size that shows that they learn."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from garments import COLOURS, SLEEVES, draw
from PIL import Image

from lookbook_image import families
from lookbook_image.families.base import IGNORED
from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.pictures import decode
from lookbook_image.pretrain import architecture, seeing
from lookbook_image.pretrain.__main__ import main, make, save
from lookbook_image.pretrain.drawn import Garments
from lookbook_image.pretrain.optimizer import Optimizer


@pytest.fixture(scope="module")
def garments() -> Garments:
    rng, pictures, labels = Random(0), [], []
    for _ in range(60):
        colour, sleeves = rng.choice(list(COLOURS)), rng.choice(list(SLEEVES))
        picture = decode(draw(colour, sleeves, rng)).resize((64, 64), Image.Resampling.BICUBIC)
        pictures.append(np.asarray(picture))
        labels.append({"baseColour": colour, "Sleeve Length": sleeves} if len(labels) % 3 else {"baseColour": colour})
    return Garments(np.stack(pictures), tuple(labels))


def test_both_stages_make_a_base_that_loads(garments: Garments, tmp_path: Path) -> None:
    save(make(garments, seeing_steps=4, talking_steps=4, seed=0), tmp_path)
    loaded = families.load(tmp_path, torch.device("cpu"))
    assert loaded.model.dtype == torch.float32
    assert loaded.processor.num_query_tokens == architecture.QUERY_TOKENS


def test_seeing_learns_colours(
    family: Blip2Family,
    garments: Garments,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(seeing, "BATCH", 16)
    torch.manual_seed(0)
    family.model.requires_grad_(True)
    seeing.train(family.model, seeing.normalised(family.processor, garments), garments, steps=50)
    report = dict(part.split("=") for part in capsys.readouterr().out.splitlines()[0].split())
    assert float(report["seeing_exact_match"]) > 0.5


def test_pixels_are_those_that_the_processor_makes(family: Blip2Family, garments: Garments) -> None:
    pictures = [Image.fromarray(picture) for picture in garments.pictures[:3]]
    expected = family.processor.image_processor(pictures, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(seeing.normalised(family.processor, garments)[:3], expected, rtol=1e-4, atol=1e-4)


def test_what_is_not_stated_is_no_target(garments: Garments) -> None:
    heads = seeing.Heads({"Sleeve Length": list(SLEEVES), "baseColour": list(COLOURS)}, width=128)
    targets = heads.targets(garments)
    assert targets.shape == (60, 2)
    assert (targets[::3, 0] == IGNORED).all()
    assert (targets[:, 1] != IGNORED).all()


def test_a_batch_in_which_nobody_states_an_attribute_has_a_loss(garments: Garments) -> None:
    heads = seeing.Heads({"Sleeve Length": list(SLEEVES)}, width=128)
    loss, _ = heads(torch.randn(20, 16, 128), heads.targets(garments)[::3])
    assert loss.item() == 0


def test_varied_pictures_keep_their_shape_and_their_colours() -> None:
    torch.manual_seed(0)
    pixels = torch.full((8, 3, 64, 64), 0.25)
    torch.testing.assert_close(seeing.varied(pixels), pixels)


def test_varied_pictures_differ_from_each_other() -> None:
    torch.manual_seed(0)
    varied = seeing.varied(torch.rand(1, 3, 64, 64).expand(4, -1, -1, -1))
    assert not torch.allclose(varied[0], varied[1])


def test_positions_tell_every_patch_from_every_other() -> None:
    positions = architecture.sine_positions(side=8, width=128)
    distances = torch.cdist(positions, positions) + 10 * torch.eye(64)
    assert positions.shape == (64, 128)
    assert distances.min() > 0.5


def test_muon_gets_matrices_and_adamw_the_rest(family: Blip2Family) -> None:
    optimizer = Optimizer([family.model.language_model, family.model.query_tokens], steps=20)
    muon, adamw = (one.param_groups[0]["params"] for one in optimizer._optimizers)
    assert all(weight.ndim == 2 for weight in muon)
    assert any(weight is family.model.language_model.lm_head.weight for weight in adamw)
    assert any(weight is family.model.query_tokens for weight in adamw)


def test_the_command_names_a_drop_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--drops", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 1
    assert "styles.csv: not there" in capsys.readouterr().err
