"""Entry point ``train``: teaches a base model the platform's questions by LoRA.

Channels ``base``, ``train`` and ``validation``. Frozen parts run once a picture; then epochs over cached features with
a one-cycle rate and clipped gradients. Leaves ``merged/``, ``adapter/``, ``report.json`` and ``model_card.md``.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any, TypedDict

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from lookbook_image import checkpoints, families, hyperparameters, lora, pairs, reports
from lookbook_image.container import Container
from lookbook_image.errors import DivergedError
from lookbook_image.families.base import IGNORED, Family
from lookbook_image.features import Prepared, prepare
from lookbook_image.hyperparameters import Hyperparameters
from lookbook_image.progress import Progress, report, say

MAX_GRADIENT_NORM = 1.0
WARM_UP_SHARE = 0.15
EVALUATION_BATCH = 128
LINES_PER_EPOCH = 4


class Epoch(TypedDict):
    """What one epoch of training came to."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_exact_match: float
    samples_per_second: float


def run(container: Container) -> None:
    """Train as ``container``'s channels and hyperparameters say and leave the model in ``container.model``.

    Raises:
        JobError: an input is missing or wrong, or the loss was no longer finite; nothing is saved then.
    """
    settings = hyperparameters.parse(container.hyperparameters())
    started = time.monotonic()
    torch.manual_seed(settings.seed)
    train_side = pairs.read(container.channel("train"))
    validation_side = pairs.read(container.channel("validation"))
    family = families.load(container.channel("base"))
    say(f"encoding {len(train_side.pictures) + len(validation_side.pictures)} pictures")
    train, validation = prepare(family, train_side), prepare(family, validation_side)
    trainer = Trainer(family, settings, train, validation, container)
    trainer.fit()
    lora.save(trainer.adapted, family, container.model)
    reports.write(
        container.model, settings, trainer.history, {"train": train_side, "validation": validation_side}, started
    )


class Trainer:
    """LoRA training of one family's model on one prepared data set, going on from a checkpoint if there is one."""

    def __init__(
        self,
        family: Family,
        settings: Hyperparameters,
        train: Prepared,
        validation: Prepared,
        container: Container,
    ) -> None:
        self.family = family
        self.settings = settings
        self.train = train
        self.validation = validation
        self.history: list[Epoch] = []
        self._checkpoints = container.checkpoints
        self._steps_per_epoch = -(-len(train) // settings.batch_size)
        total = settings.epochs * self._steps_per_epoch
        self.adapted = lora.add(family, settings)
        self.optimizer = torch.optim.AdamW(lora.weights(self.adapted), weight_decay=0.0)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=settings.learning_rate, total_steps=total, pct_start=WARM_UP_SHARE
        )
        self._resume()
        self._progress = Progress(total, done=len(self.history) * self._steps_per_epoch)

    def fit(self) -> None:
        """Train the epochs that are left; each ends with validation and a checkpoint.

        Raises:
            DivergedError: a loss wasn't finite.
        """
        for epoch in range(len(self.history) + 1, self.settings.epochs + 1):
            self.history.append(self._epoch(epoch))
            self._save_checkpoint()

    def _epoch(self, epoch: int) -> Epoch:
        started = time.monotonic()
        train_loss = self._train_epoch(epoch)
        rate = len(self.train) / (time.monotonic() - started)
        loss, exact_match = self.validate()
        report(epoch=epoch, validation_loss=loss, validation_exact_match=exact_match)
        return {
            "epoch": epoch,
            "train_loss": train_loss,
            "validation_loss": loss,
            "validation_exact_match": exact_match,
            "samples_per_second": rate,
        }

    def _train_epoch(self, epoch: int) -> float:
        """Train on every pair once, in an order and with dropout that depend on seed and epoch alone."""
        torch.manual_seed(self.settings.seed * 1_000_003 + epoch)
        self.adapted.train()
        batches = torch.randperm(len(self.train)).split(self.settings.batch_size)
        every = -(-len(batches) // LINES_PER_EPOCH)
        total, seen, started = 0.0, 0, time.monotonic()
        for number, rows in enumerate(batches, start=1):
            total += self._step(rows) * len(rows)
            seen += len(rows)
            if number % every == 0 or number == len(batches):
                step = (epoch - 1) * self._steps_per_epoch + number
                rate = seen / (time.monotonic() - started)
                report(epoch=epoch, step=step, train_loss=total / seen, samples_per_second=rate)
                self._progress.say(step)
        return total / seen

    def _step(self, rows: Tensor) -> float:
        loss = self.family.forward(*self.train.take(rows)).loss
        value = loss.item()
        _check_finite(value, "training", self.settings)
        self.optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(lora.weights(self.adapted), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.schedule.step()
        return value

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """Return loss and exact match over the validation side.

        An answer is right if the most probable token is the label's at every place, given the label's tokens before
        it: that is when generating token by token would give the label, at a fraction of the cost.
        """
        self.adapted.eval()
        total, hits = 0.0, 0
        for rows in self.validation.batches(EVALUATION_BATCH):
            features, prompts, labels = self.validation.take(rows)
            output = self.family.forward(features, prompts, labels)
            total += output.loss.item() * len(rows)
            right = (output.logits.argmax(-1).cpu() == labels) | (labels == IGNORED)
            hits += int(right.all(1).sum())
        _check_finite(total, "validation", self.settings)
        return total / len(self.validation), hits / len(self.validation)

    def _identity(self) -> dict[str, Any]:
        """Return what two runs must share for one to go on where the other stopped."""
        return {**dataclasses.asdict(self.settings), "train": len(self.train), "validation": len(self.validation)}

    def _save_checkpoint(self) -> None:
        checkpoint = {
            "identity": self._identity(),
            "history": self.history,
            "lora": lora.state(self.adapted),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        checkpoints.save(self._checkpoints, checkpoint)

    def _resume(self) -> None:
        checkpoint = checkpoints.load(self._checkpoints, self._identity())
        if checkpoint is None:
            return
        self.history = checkpoint["history"]
        lora.restore(self.adapted, checkpoint["lora"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.schedule.load_state_dict(checkpoint["schedule"])
        say(f"going on after epoch {len(self.history)}, from {self._checkpoints}")


def _check_finite(loss: float, which: str, settings: Hyperparameters) -> None:
    if not torch.isfinite(torch.tensor(loss)):
        raise DivergedError(
            f"the {which} loss is {loss}: training diverged and nothing was saved. "
            f"Lower learning_rate (now {settings.learning_rate}) or look for damaged weights in the base model."
        )
