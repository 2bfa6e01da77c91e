"""What the training image's tests share: an untrained base, the committed base, and containers with channels."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from garments import write_hyperparameters, write_side

from lookbook_image import families
from lookbook_image.container import Container
from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.pretrain import architecture, texts, words

PROJECT = Path(__file__).resolve().parents[2]
BASE = PROJECT / "training_image" / "base" / "tiny-blip2"

torch.set_num_threads(1)
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny architecture with its start values, saved as a base would be."""
    directory = tmp_path_factory.mktemp("untrained")
    model, processor = architecture.build(words.train_tokenizer(texts.corpus()), seed=0)
    model.save_pretrained(directory)
    processor.save_pretrained(directory)
    return directory


@pytest.fixture
def family(untrained: Path) -> Blip2Family:
    """The untrained base, loaded."""
    return load(untrained)


@pytest.fixture(scope="session")
def lasting_family(untrained: Path) -> Blip2Family:
    """The same, once for all tests that leave its weights alone."""
    return load(untrained)


def load(directory: Path) -> Blip2Family:
    """Load a BLIP-2 onto the CPU."""
    loaded = families.load(directory, torch.device("cpu"))
    assert isinstance(loaded, Blip2Family)
    return loaded


@pytest.fixture
def training_container(untrained: Path, tmp_path: Path) -> Callable[..., Container]:
    """Make the container of a short training job; keyword arguments are its hyperparameters."""

    def make(name: str = "job", base: Path = untrained, **values: str) -> Container:
        return make_container(tmp_path / name, base, **values)

    return make


def make_container(directory: Path, base: Path, **values: str) -> Container:
    """Make in ``directory`` the container of a training job of two epochs of four steps; ``values`` replace those."""
    container = Container(directory)
    data = container.base / "input" / "data"
    write_side(data / "train", garments=16, seed=1)
    write_side(data / "validation", garments=6, seed=2)
    shutil.copytree(base, data / "base")
    write_hyperparameters(container.base, **({"epochs": "2", "batch_size": "8"} | values))
    return container
