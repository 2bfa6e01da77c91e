"""A training job's hyperparameters: strings in the request, checked numbers here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lookbook_image.errors import JobError

RESERVED_PREFIX = "sagemaker_"
"""SageMaker's own hyperparameters (``sagemaker_program`` …), which aren't ours to judge."""


@dataclass(frozen=True)
class Hyperparameters:
    """How to train; the defaults suit a few hundred to a few thousand pictures."""

    epochs: int = 8
    batch_size: int = 16
    learning_rate: float = 3e-3
    lora_r: int = 8
    lora_alpha: int = 32
    lora_dropout: float = 0.05
    seed: int = 0


BOUNDS: dict[str, tuple[Callable[[str], float], float, float]] = {
    "epochs": (int, 1, 1000),
    "batch_size": (int, 1, 4096),
    "learning_rate": (float, 1e-7, 1),
    "lora_r": (int, 1, 512),
    "lora_alpha": (int, 1, 4096),
    "lora_dropout": (float, 0, 0.9),
    "seed": (int, 0, 2**31 - 1),
}
"""Type, lowest and highest value of each hyperparameter."""


def parse(values: Mapping[str, str]) -> Hyperparameters:
    """Return the hyperparameters that ``values`` states, defaults for the rest.

    Raises:
        JobError: one isn't known, isn't a number or is out of bounds.
    """
    ours = {name: value for name, value in values.items() if not name.startswith(RESERVED_PREFIX)}
    if unknown := sorted(ours.keys() - BOUNDS.keys()):
        raise JobError(f"unknown hyperparameter {', '.join(unknown)}; known are {', '.join(BOUNDS)}.")
    return dataclasses.replace(Hyperparameters(), **{name: _number(name, value) for name, value in ours.items()})


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
