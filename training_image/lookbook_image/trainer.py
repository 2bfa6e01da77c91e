"""LoRA training of one family's model: epochs over cached features, validated, saved, stopped early, gone on with."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

import torch
from accelerate import Accelerator
from torch import Tensor
from transformers import get_cosine_schedule_with_warmup

from lookbook_image import checkpoints, lora, order, stopping
from lookbook_image.checkpoints import Checkpoint
from lookbook_image.errors import DivergedError
from lookbook_image.families.base import IGNORED, Family
from lookbook_image.features import Prepared, batched
from lookbook_image.hyperparameters import Hyperparameters
from lookbook_image.progress import Progress, report, say

MAX_GRADIENT_NORM = 1.0
EVALUATION_BATCH = 128
LINES_PER_EPOCH = 4


class Epoch(TypedDict):
    """What one epoch of training came to."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_exact_match: float
    samples_per_second: float


@dataclass
class Position:
    """How far the epoch in hand is: ``step`` optimizer steps over ``pairs`` pairs, whose answers' ``tokens`` lost
    ``loss`` together."""

    step: int = 0
    pairs: int = 0
    tokens: int = 0
    loss: float = 0.0


def best_of(history: list[Epoch]) -> Epoch:
    """Return the epoch with the highest exact match in validation; of equals the one with the lowest loss."""
    return max(history, key=lambda epoch: (epoch["validation_exact_match"], -epoch["validation_loss"]))


class Trainer:
    """Trains on one prepared data set, going on from a checkpoint if there is one.

    Args:
        family: the model; LoRA weights are put into it.
        settings: how to train.
        train: what to learn from.
        validation: what each epoch is judged by.
        directory: the job's checkpoint directory.
        identity: what a checkpoint must have been made with (see ``checkpoints.load``).
        precision: ``bf16`` for autocasting to bfloat16, or ``no``.

    Raises:
        JobError: the checkpoint is damaged or another job's, or no module matches the family's LoRA targets.
    """

    def __init__(
        self,
        family: Family,
        settings: Hyperparameters,
        train: Prepared,
        validation: Prepared,
        *,
        directory: Path,
        identity: dict[str, Any],
        precision: str = "no",
    ) -> None:
        self.family, self.settings = family, settings
        self.train, self.validation = train, validation
        self.history: list[Epoch] = []
        self.starts = 1
        self._directory, self._identity = directory, identity
        self._accelerator = Accelerator(mixed_precision=precision, cpu=family.device.type == "cpu")
        self.adapted = lora.add(family, settings)
        self._weights = lora.weights(self.adapted)
        self._best: dict[str, Tensor] = {}
        self._position = Position()
        self._steps_per_epoch = -(-len(train) // (settings.batch_size * settings.gradient_accumulation))
        steps = settings.epochs * self._steps_per_epoch
        self._optimizer = torch.optim.AdamW(self._weights, lr=settings.learning_rate, weight_decay=0.0)
        self._schedule = get_cosine_schedule_with_warmup(self._optimizer, round(settings.warm_up_share * steps), steps)
        self._resume()
        self._progress = Progress(steps, done=self._step_number())
        self._saved_at = time.monotonic()

    def fit(self) -> None:
        """Train until all epochs are done or none has been better for ``patience`` epochs; keep the best one's weights.

        A checkpoint is saved after each epoch, every ``checkpoint_minutes`` within one, and on SIGTERM.

        Raises:
            DivergedError: a loss or gradient wasn't finite; the last checkpoint was saved before.
            StoppedError: SIGTERM came; the checkpoint that was saved then is the one to go on from.
        """
        with stopping.deferred():
            while not self._finished():
                self._judge_epoch(pairs_per_second=self._train_epoch())
                self.save_checkpoint()
        lora.restore(self.adapted, self._best)

    def _finished(self) -> bool:
        return len(self.history) == self.settings.epochs or self.stopped_early()

    def stopped_early(self) -> bool:
        """Tell whether the last ``patience`` epochs brought nothing; with patience 0, never."""
        patience, done = self.settings.patience, len(self.history)
        return 0 < patience <= done - best_of(self.history)["epoch"] if done else False

    def _train_epoch(self) -> float:
        """Train on every pair once, order and dropout depending on seed and epoch; return pairs a second."""
        number, size = len(self.history) + 1, self.settings.batch_size
        batches = order.batches(self.train.lengths(), size, seed=self.settings.seed, epoch=number)
        steps = list(batched(batches, self.settings.gradient_accumulation))
        if self._position.step == 0:
            torch.manual_seed(self.settings.seed * 1_000_003 + number)
        self.adapted.train()
        pace = _Rate(self._position)
        for step in steps[self._position.step :]:
            self._step(step)
            if self._position.step % -(-len(steps) // LINES_PER_EPOCH) == 0 or self._position.step == len(steps):
                self._say(number, pace)
            self._save_if_due()
        return pace.pairs_per_second(self._position)

    def _step(self, batches: list[Tensor]) -> None:
        """Take one optimizer step on ``batches`` as if they were one: every answer token counts the same."""
        tokens = [self.train.answer_tokens(rows) for rows in batches]
        self._optimizer.zero_grad()
        loss = 0.0
        for rows, count in zip(batches, tokens, strict=True):
            with self._accelerator.autocast():
                mean = self.family.forward(*self.train.take(rows)).loss
            self._accelerator.backward(mean * (count / sum(tokens)))
            loss += mean.item() * count
        self._check_finite("training loss", loss)
        # Before the step: a gradient that isn't finite would leave weights that aren't.
        norm = self._accelerator.clip_grad_norm_(self._weights, MAX_GRADIENT_NORM)
        self._check_finite("gradient's norm", norm.item())
        self._optimizer.step()
        self._schedule.step()
        self._position.step += 1
        self._position.pairs += sum(len(rows) for rows in batches)
        self._position.tokens += sum(tokens)
        self._position.loss += loss

    def _say(self, epoch: int, pace: _Rate) -> None:
        at = self._position
        rate = pace.pairs_per_second(at)
        report(epoch=epoch, step=self._step_number(), train_loss=at.loss / at.tokens, samples_per_second=rate)
        self._progress.say(self._step_number())

    def _step_number(self) -> int:
        return len(self.history) * self._steps_per_epoch + self._position.step

    def _judge_epoch(self, pairs_per_second: float) -> None:
        """Validate the epoch in hand, add it to the history and keep its weights if no earlier one was better."""
        loss, exact_match = self.validate()
        entry: Epoch = {
            "epoch": len(self.history) + 1,
            "train_loss": self._position.loss / self._position.tokens,
            "validation_loss": loss,
            "validation_exact_match": exact_match,
            "samples_per_second": pairs_per_second,
        }
        report(epoch=entry["epoch"], validation_loss=loss, validation_exact_match=exact_match)
        self.history.append(entry)
        self._position = Position()
        if best_of(self.history) is entry:
            self._best = lora.state(self.adapted)

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """Return loss and exact match over the validation side.

        An answer is right if the most probable token is the label's at every place, given the label's tokens before
        it: that is when generating token by token would give the label, at a fraction of the cost.
        """
        self.adapted.eval()
        loss, tokens, hits = 0.0, 0, 0
        for rows in self.validation.batches(EVALUATION_BATCH):
            features, prompts, labels = self.validation.take(rows)
            with self._accelerator.autocast():
                output = self.family.forward(features, prompts, labels)
            count = self.validation.answer_tokens(rows)
            loss, tokens = loss + output.loss.item() * count, tokens + count
            right = (output.logits.argmax(-1).cpu() == labels) | (labels == IGNORED)
            hits += int(right.all(1).sum())
            self._stop_if_asked()
        self._check_finite("validation loss", loss)
        return loss / tokens, hits / len(self.validation)

    def _save_if_due(self) -> None:
        self._stop_if_asked()
        if time.monotonic() - self._saved_at >= 60 * self.settings.checkpoint_minutes:
            self.save_checkpoint()

    def _stop_if_asked(self) -> None:
        if stopping.requested():
            self.save_checkpoint()
            stopping.check()

    def save_checkpoint(self) -> None:
        """Save everything that going on exactly from here needs; the order of the pairs is a function of the seed."""
        optimizer = self._optimizer.state_dict()
        tensors = _named("lora", lora.state(self.adapted)) | _named("best", self._best) | _named("random", _random())
        for index, moments in optimizer["state"].items():
            tensors |= _named(f"optimizer.{index}", moments)
        state = {
            "starts": self.starts,
            "history": self.history,
            "position": asdict(self._position),
            "optimizer": optimizer["param_groups"],
            "schedule": self._schedule.state_dict(),
        }
        checkpoints.save(self._directory, Checkpoint(tensors, state), self._identity)
        self._saved_at = time.monotonic()

    def _resume(self) -> None:
        checkpoint = checkpoints.load(self._directory, self._identity)
        if checkpoint is None:
            return
        tensors, state = checkpoint.tensors, checkpoint.state
        lora.restore(self.adapted, _below("lora", tensors))
        self._best = _below("best", tensors)
        moments = {index: _below(f"optimizer.{index}", tensors) for index in range(len(self._weights))}
        self._optimizer.load_state_dict(
            {"state": {index: one for index, one in moments.items() if one}, "param_groups": state["optimizer"]}
        )
        self._schedule.load_state_dict(state["schedule"])
        self.history, self.starts = state["history"], state["starts"] + 1
        self._position = Position(**state["position"])
        _restore_random(_below("random", tensors))
        say(f"going on after step {self._step_number()}, from {self._directory} (start {self.starts} of this job)")

    def _check_finite(self, what: str, value: float) -> None:
        if torch.isfinite(torch.tensor(value)):
            return
        kept = self._directory / checkpoints.FILE
        last = f"the last good checkpoint is kept in {kept}" if kept.exists() else "there was no good step to keep"
        raise DivergedError(
            f"the {what} is {value} after step {self._step_number()}: training diverged; no model was saved, {last}. "
            f"Lower learning_rate (now {self.settings.learning_rate}) or look for damaged weights in the base model."
        )


class _Rate:
    """Pairs a second since an epoch was begun or gone on with."""

    def __init__(self, position: Position) -> None:
        self._began, self._first = time.monotonic(), position.pairs

    def pairs_per_second(self, position: Position) -> float:
        return (position.pairs - self._first) / max(time.monotonic() - self._began, 1e-9)


def _named(prefix: str, tensors: dict[str, Any]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": torch.as_tensor(tensor) for name, tensor in tensors.items()}


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _random() -> dict[str, Tensor]:
    """Return the states of the random generators that dropout draws from."""
    states = {"cpu": torch.get_rng_state()}
    return states | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def _restore_random(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
