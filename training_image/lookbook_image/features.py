"""A side of a data set made ready for the model: every picture encoded once, every text tokenised once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from lookbook_image.families.base import Family, Prompts
from lookbook_image.pairs import Side, open_pictures


@dataclass(frozen=True)
class Prepared:
    """A side's n pairs as tensors on the CPU; its m pictures as features."""

    features: Tensor
    """Shape (m, …): what the family's ``encode`` gave."""
    picture_of_pair: Tensor
    """Shape (n,), int64: row of ``features`` of each pair."""
    prompts: Prompts
    labels: Tensor
    """Shape (n, t), int64."""

    def __len__(self) -> int:
        return len(self.picture_of_pair)

    def take(self, rows: Tensor) -> tuple[Tensor, Prompts, Tensor]:
        """Return features, prompts and labels of the pairs at ``rows`` (int64, shape (k,))."""
        return self.features[self.picture_of_pair[rows]], self.prompts.take(rows), self.labels[rows]

    def batches(self, size: int) -> Iterator[Tensor]:
        """Yield all rows in order, ``size`` at a time."""
        yield from torch.arange(len(self)).split(size)


def prepare(family: Family, side: Side) -> Prepared:
    """Run the family's frozen parts over ``side``'s pictures and its tokenizer over the texts."""
    return Prepared(
        features=encode(family, side),
        picture_of_pair=torch.from_numpy(side.picture_of_pair),
        prompts=family.prompts(side.questions),
        labels=family.labels(side.answers),
    )


def encode(family: Family, side: Side) -> Tensor:
    """Return the features of ``side``'s pictures, shape (m, …), in the order of ``side.pictures``."""
    positions: list[int] = []

    def in_order_of_the_files() -> Iterator[Image.Image]:
        for position, picture in open_pictures(side, at_least=family.picture_size):
            positions.append(position)
            yield picture

    features = family.encode(in_order_of_the_files())
    return features[torch.tensor(positions).argsort()]
