"""Entry point ``train``: teaches a base model the platform's questions by LoRA.

Channels ``base``, ``train`` and ``validation``. What can be known to be wrong in seconds is looked at first. Frozen
parts run once a picture; then epochs over cached features. Leaves ``merged/``, ``adapter/``, ``report.json`` and
``README.md``.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate.utils import set_seed

from lookbook_image import disk, families, hyperparameters, lora, model_card, pairs, training_report
from lookbook_image.container import Container
from lookbook_image.errors import JobError
from lookbook_image.families.weights import Weights, has_bfloat16
from lookbook_image.features import MIB, Room, prepare
from lookbook_image.hyperparameters import Hyperparameters
from lookbook_image.pairs import Side
from lookbook_image.progress import report, say
from lookbook_image.trainer import Trainer, best_of
from lookbook_image.training_report import Outcome


@dataclass(frozen=True)
class _Inputs:
    base: Path
    train: Side
    validation: Side


def run(container: Container) -> None:
    """Train as ``container``'s channels and hyperparameters say and leave the model in ``container.model``.

    Raises:
        JobError: an input is missing or wrong, the loss was no longer finite, or SIGTERM came. The model directory is
            empty then.
    """
    settings = hyperparameters.parse(container.hyperparameters())
    inputs = _inputs(container)
    try:
        outcome = _train(container, settings, inputs)
        say("merging")
        lora.merge(inputs.base, container.model / "adapter", container.model / "merged")
        content = training_report.write(container.model, outcome)
        model_card.write(container.model, content, inputs.base)
    except BaseException:
        container.clear_model()
        raise


def _inputs(container: Container) -> _Inputs:
    """Return the job's channels, looked at: all there, a known family, answers to tell apart, pictures, room to save.

    Raises:
        JobError: one of them isn't so.
    """
    base, train, validation = (container.channel(name) for name in ("base", "train", "validation"))
    families.find(base)
    disk.check_room(container.model, base)
    inputs = _Inputs(base, pairs.read(train), pairs.read(validation))
    for attribute, answer in pairs.check_answers(inputs.train).items():
        say(f"{attribute} has one answer only, {answer!r}: the model will give it whatever it sees")
    for side in (inputs.train, inputs.validation):
        pairs.check_pictures(side)
    return inputs


def _train(container: Container, settings: Hyperparameters, inputs: _Inputs) -> Outcome:
    """Train, leave the adapter in ``container.model`` and return how it went; the trained model is let go of."""
    started = time.monotonic()
    _seed(settings)
    precision, weights = _precision(settings, families.default_device())
    family = families.load(inputs.base, weights=weights)
    say(f"encoding {len(inputs.train.pictures) + len(inputs.validation.pictures)} pictures on {family.device}")
    room = Room(settings.cache_memory_mb * MIB, settings.cache_disk_mb * MIB)
    train = prepare(family, inputs.train, room)
    validation = prepare(family, inputs.validation, room.less(train.features))
    encoded = time.monotonic()
    trainer = Trainer(
        family,
        settings,
        train,
        validation,
        directory=container.checkpoints,
        identity=_identity(settings, inputs),
        precision=precision,
    )
    trainer.fit()
    best = best_of(trainer.history)
    if trainer.stopped_early():
        say(f"stopped early: no epoch after {best['epoch']} was better")
    # The last line with these names: what a job's final metrics are read from is the model that is kept.
    report(
        best_epoch=best["epoch"],
        validation_loss=best["validation_loss"],
        validation_exact_match=best["validation_exact_match"],
    )
    trainer.adapted.save_pretrained(str(container.model / "adapter"))
    return Outcome(
        settings=settings,
        sides={"train": inputs.train, "validation": inputs.validation},
        history=trainer.history,
        stopped_early=trainer.stopped_early(),
        starts=trainer.starts,
        device=str(family.device),
        precision=precision,
        features_bytes=train.features.nbytes + validation.features.nbytes,
        features_on_disk=train.features.on_disk or validation.features.on_disk,
        started=started,
        encoding_seconds=encoded - started,
    )


def _seed(settings: Hyperparameters) -> None:
    if settings.deterministic:
        # cuBLAS asks for it before it is first used: docs.nvidia.com/cuda/cublas, "Results reproducibility".
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    set_seed(settings.seed, deterministic=settings.deterministic)


def _precision(settings: Hyperparameters, device: torch.device) -> tuple[str, Weights]:
    """Return what to autocast to (``bf16`` or ``no``) and how to hold the base's weights.

    On a GPU bfloat16 also holds the frozen weights; a CPU keeps them in float32, where it computes faster.

    Raises:
        JobError: bfloat16 was asked of a GPU that doesn't have it.
    """
    if settings.precision == "bf16" and device.type == "cuda" and not has_bfloat16(device):
        raise JobError(
            f"hyperparameter precision='bf16': {torch.cuda.get_device_name(device)} doesn't compute in bfloat16. "
            "Use fp32 or auto, or an instance of the G5 family or later."
        )
    bfloat16 = settings.precision == "bf16" or (settings.precision == "auto" and has_bfloat16(device))
    dtype = torch.bfloat16 if bfloat16 and device.type == "cuda" else torch.float32
    return "bf16" if bfloat16 else "no", Weights(dtype, settings.quantization)


def _identity(settings: Hyperparameters, inputs: _Inputs) -> dict[str, object]:
    """Return what two starts of a job must share for one to go on where the other stopped."""
    sides = {"train": pairs.fingerprint(inputs.train), "validation": pairs.fingerprint(inputs.validation)}
    return {**settings.identity(), **sides, "base": _fingerprint(inputs.base)}


def _fingerprint(base: Path) -> str:
    """Return a hash of the base's files by name and size and of its config.json: its gigabytes aren't read for it."""
    files = sorted(
        (path.relative_to(base).as_posix(), path.stat().st_size) for path in base.rglob("*") if path.is_file()
    )
    return hashlib.sha256(repr(files).encode() + (base / "config.json").read_bytes()).hexdigest()[:16]
