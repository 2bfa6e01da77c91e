"""Model families: one file each, chosen by ``model_type`` in the model's config.json."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import torch

from lookbook_image.errors import JobError
from lookbook_image.families.base import Family
from lookbook_image.families.weights import Weights

FAMILIES = {"blip-2": ("lookbook_image.families.blip2", "Blip2Family")}
"""Module and class of each family, imported only when a model of it is loaded."""


def find(directory: Path) -> type[Family]:
    """Return the family that reads the model at ``directory``, by its config.json; the model isn't loaded.

    Raises:
        JobError: there is no config.json, or no family here reads that kind of model.
    """
    model_type = _model_type(directory / "config.json")
    if model_type not in FAMILIES:
        raise JobError(f"{directory}: no family reads models of type {model_type!r}; known are {', '.join(FAMILIES)}.")
    module, name = FAMILIES[model_type]
    family: type[Family] = getattr(import_module(module), name)
    return family


def load(directory: Path, device: torch.device | None = None, weights: Weights | None = None) -> Family:
    """Load the model at ``directory`` with the family that its config.json names.

    Args:
        directory: a ``from_pretrained`` directory: config.json, weights, processor, tokenizer.
        device: where to put it; a GPU if there is one, else the CPU.
        weights: precision and quantisation; by default what suits the device.

    Raises:
        JobError: no family here reads it, or a file is missing or damaged.
    """
    device = device or default_device()
    return find(directory).load(directory, device, weights or Weights.native_to(device))


def default_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _model_type(path: Path) -> str:
    if not path.exists():
        raise JobError(f"{path}: not there. A model is a directory in from_pretrained layout with a config.json.")
    try:
        return str(json.loads(path.read_text()).get("model_type"))
    except (ValueError, AttributeError) as error:
        raise JobError(f"{path}: not a model's configuration ({error}).") from error
