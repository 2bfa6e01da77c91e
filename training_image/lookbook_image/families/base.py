"""What a vision-language model must offer so that train, evaluate and serve can use it without knowing which it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import torch
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from lookbook_image.families.weights import Weights

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
    others: Mapping[str, Prompts] = field(default_factory=dict)
    """The same n questions as other parts of the model read them, such as InstructBLIP's Q-Former."""

    def take(self, rows: Tensor) -> Prompts:
        """Return the prompts at ``rows`` (int64, shape (k,)), without columns that are padding for all of them."""
        mask = self.attention_mask[rows]
        width = int(mask.sum(1).max())
        others = {name: other.take(rows) for name, other in self.others.items()}
        return Prompts(self.input_ids[rows, :width], mask[:, :width], others)

    def to(self, device: torch.device) -> Prompts:
        """Return the same prompts on ``device``."""
        others = {name: other.to(device) for name, other in self.others.items()}
        return Prompts(self.input_ids.to(device), self.attention_mask.to(device), others)


@dataclass(frozen=True)
class Output:
    """What a forward pass with labels gives."""

    loss: Tensor
    """Scalar: mean cross entropy of the labels that aren't IGNORED."""
    logits: Tensor
    """Shape (n, label length, vocabulary): at each place those that the label there is predicted from."""


@dataclass(frozen=True)
class Generated:
    """One answer, in the model's own words."""

    text: str
    probability: float
    """Product of the probabilities of the value's tokens and of its end, given the attribute's name before it: the
    model's probability of this very value. All tokens count if the text isn't in the form of an answer."""


class Family(ABC):
    """A loaded model with its processor. Frozen parts run in ``features``, once a picture; ``forward``, ``generate``
    run the rest.

    What ``features`` returns is opaque to the caller: one tensor row per picture, of whatever the frozen parts make of
    it without knowing the question (BLIP-2: the Q-Former's output; InstructBLIP, PaliGemma, LLaVA: the vision tower's).
    """

    model_type: ClassVar[str]
    """``model_type`` in the config.json of this family's models."""
    lora_targets: ClassVar[str]
    """Regular expression that matches the whole name of each module that gets LoRA weights. None of them may lie in
    what ``features`` runs: its output is kept."""

    model: PreTrainedModel
    processor: ProcessorMixin
    device: torch.device
    picture_size: int
    """The side in pixels to which pictures are resized."""

    @classmethod
    @abstractmethod
    def load(cls, directory: Path, device: torch.device, weights: Weights) -> Self:
        """Load model and processor from ``directory`` (``from_pretrained`` layout), frozen, on ``device``."""

    @property
    def reserved(self) -> frozenset[str]:
        """Texts that stand for something else than themselves in a prompt: the picture's place, the end of a text.

        A question that contained the picture's place would take features that belong to other rows of its batch.
        """
        tokenizer = self.processor.tokenizer
        return frozenset({*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()})

    @abstractmethod
    def pixels(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Return n ``pictures`` as the model takes them: shape (n, …), on the CPU. May be called by any thread."""

    @abstractmethod
    def features(self, pixels: Tensor) -> Tensor:
        """Return features of one batch of n pictures: shape (n, …), on the CPU, in the model's precision."""

    def encode(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Return features of one batch of n ``pictures``: shape (n, …), on the CPU, in the model's precision."""
        return self.features(self.pixels(pictures))

    @abstractmethod
    def prompts(self, questions: Sequence[str]) -> Prompts:
        """Return ``questions`` in the form in which this family is asked, with room for the picture."""

    @abstractmethod
    def labels(self, answers: Sequence[str]) -> Tensor:
        """Return ``answers`` as labels: shape (n, t), with their end token; padding, on the right, is IGNORED."""

    @abstractmethod
    def forward(self, features: Tensor, prompts: Prompts, labels: Tensor) -> Output:
        """Return loss and logits for n questions, each about the picture of its row of ``features``."""

    @abstractmethod
    def generate(self, features: Tensor, prompts: Prompts) -> list[Generated]:
        """Return the most probable answer, token by token, to each of n questions."""
