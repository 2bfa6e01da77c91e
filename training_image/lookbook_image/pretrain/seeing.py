"""Stage A: vision tower and Q-Former learn to see, by classifying each attribute from the query outputs."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn
from transformers import Blip2ForConditionalGeneration, Blip2Processor

from lookbook_image.families.base import IGNORED
from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.pretrain.drawn import Garments
from lookbook_image.pretrain.optimizer import Optimizer
from lookbook_image.progress import Progress, report

BATCH = 64
SHIFT = 0.1
"""Pictures are shifted by up to this share of half their side, so that nothing is learnt by its place."""
SCALE = 0.08
"""And made larger or smaller by up to this share."""


class Heads(nn.Module):
    """One classifier per attribute that looks at the query outputs by attention, as the language model will.

    Thrown away after the stage. A linear layer over all query outputs side by side learns as fast, but leaves what it
    reads where the language model's attention finds it badly (Neck: 0.40 exact match in stage B after 0.81 in A).
    """

    def __init__(self, classes: dict[str, list[str]], width: int) -> None:
        super().__init__()
        self.classes = classes
        self.where = nn.Embedding(len(classes), width)
        self.what = nn.ModuleList(nn.Linear(width, len(values)) for values in classes.values())

    def targets(self, garments: Garments) -> Tensor:
        """Return the class of each garment and attribute: shape (n, attributes), IGNORED where not stated."""
        positions = [{value: index for index, value in enumerate(values)} for values in self.classes.values()]
        rows = [
            [
                position.get(labels.get(name, ""), IGNORED)
                for name, position in zip(self.classes, positions, strict=True)
            ]
            for labels in garments.labels
        ]
        return torch.tensor(rows)

    def forward(self, queries: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of ``queries`` (n, queries, width) and which targets are met: (n, attributes), bool."""
        attention = (queries @ self.where.weight.T / queries.shape[-1] ** 0.5).softmax(1)
        read = attention.transpose(1, 2) @ queries  # (n, attributes, width)
        loss, right = queries.new_zeros(()), torch.zeros_like(targets, dtype=torch.bool)
        for column, linear in enumerate(self.what):
            logits, target = linear(read[:, column]), targets[:, column]
            # The mean over the garments that state it: an attribute that few state counts as much as any other.
            stated = int((target != IGNORED).sum())
            loss = loss + F.cross_entropy(logits, target, ignore_index=IGNORED, reduction="sum") / max(stated, 1)
            right[:, column] = logits.argmax(1) == target
        return loss, right


def normalised(processor: Blip2Processor, garments: Garments) -> Tensor:
    """Return ``garments``' pictures as the processor would hand them to the model: shape (n, 3, side, side)."""
    settings = processor.image_processor
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (settings.image_mean, settings.image_std))
    return (torch.from_numpy(garments.pictures).permute(0, 3, 1, 2) / 255 - mean) / std


def queries(model: Blip2ForConditionalGeneration, pixels: Tensor) -> Tensor:
    """Return the Q-Former's output for ``pixels`` (n, 3, side, side): shape (n, queries, width)."""
    return model.get_image_features(pixels).qformer_outputs.last_hidden_state


@torch.no_grad()
def all_queries(family: Blip2Family, garments: Garments) -> Tensor:
    """Return the query outputs of all ``garments``: shape (n, queries, width)."""
    pixels = normalised(family.processor, garments)
    return torch.cat([queries(family.model, batch) for batch in pixels.split(BATCH)])


def varied(pixels: Tensor) -> Tensor:
    """Return the pictures (n, 3, side, side), each mirrored by chance, shifted and scaled by amounts of its own."""
    n = len(pixels)
    mirrored = 1 - 2 * torch.randint(0, 2, (n,))
    scale = 1 + SCALE * (2 * torch.rand(n, 2) - 1)
    place = torch.zeros(n, 2, 3)
    place[:, 0, 0], place[:, 1, 1] = mirrored * scale[:, 0], scale[:, 1]
    place[:, :, 2] = SHIFT * (2 * torch.rand(n, 2) - 1)
    grid = F.affine_grid(place, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def train(model: Blip2ForConditionalGeneration, pixels: Tensor, garments: Garments, steps: int) -> None:
    """Train vision tower, query tokens and Q-Former of ``model``, in place, for ``steps`` steps of BATCH pictures."""
    heads = Heads(_classes(garments), model.config.qformer_config.hidden_size)
    targets = heads.targets(garments)
    optimizer = Optimizer([model.vision_model, model.qformer, model.query_tokens, heads], steps)
    progress = Progress(steps)
    for step in range(1, steps + 1):
        rows = torch.randint(len(pixels), (BATCH,))
        loss, right = heads(queries(model, varied(pixels[rows])), targets[rows])
        optimizer.step(loss)
        if step % 50 == 0:
            stated = targets[rows] != IGNORED
            report(step=step, seeing_loss=loss.item(), seeing_exact_match=(right[stated].float().mean()).item())
            progress.say(step)


def _classes(garments: Garments) -> dict[str, list[str]]:
    names = sorted({name for labels in garments.labels for name in labels})
    return {name: sorted({labels[name] for labels in garments.labels if name in labels}) for name in names}
