"""What a vision-language model must offer so that train, evaluate and serve can use it without knowing which it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import torch
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

IGNORED = -100
"""The label that no loss counts: padding."""

MAX_ANSWER_TOKENS = 24


@dataclass(frozen=True)
class Prompts:
    """Tokenised questions, padded on the right: n prompts of length t."""

    input_ids: Tensor
    """Shape (n, t), int64."""
    attention_mask: Tensor
    """Shape (n, t), int64: 1 for a token, 0 for padding."""

    def take(self, rows: Tensor) -> Prompts:
        """Return the prompts at ``rows`` (int64, shape (k,)), without columns that are padding for all of them."""
        mask = self.attention_mask[rows]
        width = int(mask.sum(1).max())
        return Prompts(self.input_ids[rows, :width], mask[:, :width])

    def to(self, device: torch.device) -> Prompts:
        """Return the same prompts on ``device``."""
        return Prompts(self.input_ids.to(device), self.attention_mask.to(device))


@dataclass(frozen=True)
class Output:
    """What a forward pass with labels gives."""

    loss: Tensor
    """Scalar: mean cross entropy of the labels that aren't IGNORED."""
    logits: Tensor
    """Shape (n, label length, vocabulary)."""


@dataclass(frozen=True)
class Generated:
    """One answer, in the model's own words."""

    text: str
    probability: float
    """Product of the probabilities of the value's tokens and of its end, given the attribute's name before it: the
    model's probability of this very value. All tokens count if the text isn't in the form of an answer."""


class Family(ABC):
    """A loaded model with its processor. Frozen parts run in ``encode``, once a picture; the rest in the other two.

    What ``encode`` returns is opaque to the caller: one tensor row per picture, whatever of the frozen parts doesn't
    depend on the question.
    """

    model_type: ClassVar[str]
    """``model_type`` in the config.json of this family's models."""
    lora_targets: ClassVar[str]
    """Regular expression that matches the whole name of each module that gets LoRA weights."""

    model: PreTrainedModel
    processor: ProcessorMixin
    device: torch.device
    picture_size: int
    """The side in pixels to which pictures are resized."""

    @classmethod
    @abstractmethod
    def load(cls, directory: Path, device: torch.device) -> Self:
        """Load model and processor from ``directory`` (``from_pretrained`` layout), frozen, on ``device``."""

    @abstractmethod
    def encode(self, pictures: Iterable[Image.Image]) -> Tensor:
        """Return features of ``pictures``: shape (n, …), on the CPU."""

    @abstractmethod
    def prompts(self, questions: Sequence[str]) -> Prompts:
        """Return ``questions`` in the form in which this family is asked, with room for the picture."""

    @abstractmethod
    def labels(self, answers: Sequence[str]) -> Tensor:
        """Return ``answers`` as labels: shape (n, t), padding IGNORED."""

    @abstractmethod
    def forward(self, features: Tensor, prompts: Prompts, labels: Tensor) -> Output:
        """Return loss and logits for n questions, each about the picture of its row of ``features``."""

    @abstractmethod
    def generate(self, features: Tensor, prompts: Prompts) -> list[Generated]:
        """Return the most probable answer, token by token, to each of n questions."""
