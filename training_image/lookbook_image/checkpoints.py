"""The one checkpoint of a training job: replaced after each epoch, read when an interrupted job starts again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from lookbook_image.errors import JobError

FILE = "last.pt"


def save(directory: Path, checkpoint: dict[str, Any]) -> None:
    """Replace the checkpoint in ``directory``; a reader sees the old one or the new one, whole."""
    directory.mkdir(parents=True, exist_ok=True)
    partial = directory / f"{FILE}.partial"
    torch.save(checkpoint, partial)
    partial.replace(directory / FILE)


def load(directory: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """Return the checkpoint in ``directory``, or None if there is none.

    Args:
        directory: the job's checkpoint directory.
        identity: what the checkpoint must have been made with: hyperparameters and sizes of the data.

    Raises:
        JobError: the checkpoint can't be read or comes from another job.
    """
    path = directory / FILE
    if not path.exists():
        return None
    try:
        checkpoint: dict[str, Any] = torch.load(path, weights_only=True)
    except Exception as error:  # torch names no type for a damaged file: zip, pickle and its own errors all occur
        raise JobError(f"{path}: not a readable checkpoint ({error}). Empty the checkpoint location.") from error
    if checkpoint["identity"] != identity:
        raise JobError(
            f"{path}: made with {checkpoint['identity']}, this job has {identity}. "
            "Give each training job a checkpoint location of its own."
        )
    return checkpoint
