"""A training job's hyperparameters: strings in the request, checked values here."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lookbook_image.errors import JobError

RESERVED_PREFIX = "sagemaker_"
"""SageMaker's own hyperparameters (``sagemaker_program`` …), which aren't ours to judge."""


@dataclass(frozen=True)
class Hyperparameters:
    """How to train; docs/training-image.md explains each. The defaults suit some hundred to some thousand pictures."""

    epochs: int = 8
    batch_size: int = 16
    gradient_accumulation: int = 1
    learning_rate: float = 3e-3
    warm_up_share: float = 0.15
    patience: int = 3
    lora_r: int = 8
    lora_alpha: int = 32
    lora_dropout: float = 0.05
    precision: str = "auto"
    quantization: str = "none"
    seed: int = 0
    deterministic: bool = False
    checkpoint_minutes: float = 5.0
    cache_memory_mb: int = 4096
    cache_disk_mb: int = 65536
    dataset_id: str = ""
    data_license: str = ""

    def identity(self) -> dict[str, Any]:
        """Return those on which the model depends: a job goes on from a checkpoint made with the same."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in HOUSEKEEPING}


HOUSEKEEPING = ("checkpoint_minutes", "cache_memory_mb", "cache_disk_mb")
"""Hyperparameters that may change from one start of a job to the next."""

BOUNDS: dict[str, tuple[Callable[[str], float], float, float]] = {
    "epochs": (int, 1, 1000),
    "batch_size": (int, 1, 4096),
    "gradient_accumulation": (int, 1, 1024),
    "learning_rate": (float, 1e-7, 1),
    "warm_up_share": (float, 0, 0.9),
    "patience": (int, 0, 1000),
    "lora_r": (int, 1, 512),
    "lora_alpha": (int, 1, 4096),
    "lora_dropout": (float, 0, 0.9),
    "seed": (int, 0, 2**31 - 1),
    "checkpoint_minutes": (float, 0, 1440),
    "cache_memory_mb": (int, 0, 2**20),
    "cache_disk_mb": (int, 0, 2**24),
}
"""Type, lowest and highest value of each hyperparameter that is a number."""

CHOICES: dict[str, dict[str, Any]] = {
    "precision": {name: name for name in ("auto", "bf16", "fp32")},
    "quantization": {name: name for name in ("none", "8bit", "4bit")},
    "deterministic": {"true": True, "false": False},
}
"""The words that each of the other hyperparameters may have, and what they stand for."""

TEXTS = {"dataset_id": re.compile(r"[\w.-]{1,128}"), "data_license": re.compile(r"[^\n\r]{1,200}")}
"""What each hyperparameter that is free text must match."""

KNOWN = tuple(field.name for field in dataclasses.fields(Hyperparameters))


def parse(values: Mapping[str, str]) -> Hyperparameters:
    """Return the hyperparameters that ``values`` states, defaults for the rest.

    Raises:
        JobError: one isn't known, isn't of its kind or is out of bounds.
    """
    ours = {name: value for name, value in values.items() if not name.startswith(RESERVED_PREFIX)}
    if unknown := sorted(ours.keys() - set(KNOWN)):
        raise JobError(f"unknown hyperparameter {', '.join(unknown)}; known are {', '.join(KNOWN)}.")
    return dataclasses.replace(Hyperparameters(), **{name: _value(name, value) for name, value in ours.items()})


def _value(name: str, text: str) -> Any:
    if name in BOUNDS:
        return _number(name, text)
    if name in CHOICES:
        return _choice(name, text)
    if not TEXTS[name].fullmatch(text):
        raise JobError(f"hyperparameter {name}={text!r}: expected text that matches {TEXTS[name].pattern}.")
    return text


def _number(name: str, text: str) -> float:
    kind, low, high = BOUNDS[name]
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        what = "a whole number" if kind is int else "a number"
        raise JobError(f"hyperparameter {name}={text!r}: expected {what} from {low} to {high}.")
    return value


def _choice(name: str, text: str) -> Any:
    if text not in CHOICES[name]:
        raise JobError(f"hyperparameter {name}={text!r}: expected one of {', '.join(CHOICES[name])}.")
    return CHOICES[name][text]
