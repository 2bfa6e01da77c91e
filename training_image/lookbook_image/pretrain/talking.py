"""Stage B: the language model learns to say, in plain words, what the trained Q-Former sees."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.pretrain import texts
from lookbook_image.pretrain.drawn import Garments
from lookbook_image.pretrain.optimizer import Optimizer
from lookbook_image.progress import Progress, report

BATCH = 96


def train(family: Blip2Family, features: Tensor, garments: Garments, steps: int, seed: int) -> None:
    """Train language model and projection of ``family``'s model, in place, on ``features`` (n, queries, width)."""
    trained = [family.model.language_model, family.model.language_projection]
    for module in trained:
        module.requires_grad_(True).train()
    optimizer, progress, rng = Optimizer(trained, steps), Progress(steps), random.Random(seed)  # noqa: S311
    for step in range(1, steps + 1):
        rows = [rng.randrange(len(garments)) for _ in range(BATCH)]
        questions, answers = zip(*(texts.example(garments.labels[row], rng) for row in rows), strict=True)
        output = family.forward(features[rows], family.prompts(questions), family.labels(answers))
        optimizer.step(output.loss)
        if step % 50 == 0:
            report(step=step, talking_loss=output.loss.item())
            progress.say(step)
    for module in trained:
        module.requires_grad_(False).eval()


@torch.no_grad()
def exact_match(family: Blip2Family, features: Tensor, garments: Garments, pairs: int, seed: int) -> float:
    """Return the share of ``pairs`` plain questions and tasks that the base answers exactly."""
    rng = random.Random(seed)  # noqa: S311 - no secret depends on it
    rows = [rng.randrange(len(garments)) for _ in range(pairs)]
    asked = [texts.example(garments.labels[row], rng) for row in rows]
    given = family.generate(features[rows], family.prompts([question for question, _ in asked]))
    return sum(one.text == answer for one, (_, answer) in zip(given, asked, strict=True)) / pairs
