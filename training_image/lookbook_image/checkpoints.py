"""The one checkpoint of a training job: replaced while it runs, read when an interrupted job starts again.

One safetensors file holds all of it – tensors, and in its header everything else as JSON – so that no reader ever finds
parts of two checkpoints, and nothing in it is code.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

from lookbook_image.errors import JobError

FILE = "last.safetensors"
PARTIAL = f"{FILE}.partial"
FORMAT = 1
_STATE = "lookbook"
"""The entry of the header that holds format, identity and state."""


@dataclass(frozen=True)
class Checkpoint:
    """Where training stands: ``tensors`` by name, and ``state`` as JSON has it."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]


def save(directory: Path, checkpoint: Checkpoint, identity: dict[str, Any]) -> None:
    """Replace the checkpoint in ``directory``; a reader sees the old one or the new one, whole.

    Args:
        directory: the job's checkpoint directory.
        checkpoint: what to save.
        identity: what the job was made with; see ``load``.

    Raises:
        OSError: it can't be written; the old one is still there then.
    """
    directory.mkdir(parents=True, exist_ok=True)
    header = {"format": FORMAT, "identity": identity, "state": checkpoint.state}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    with (directory / PARTIAL).open("wb") as file:
        file.write(serialize(tensors, metadata={_STATE: json.dumps(header)}))
        file.flush()
        os.fsync(file.fileno())
    (directory / PARTIAL).replace(directory / FILE)


def load(directory: Path, identity: dict[str, Any]) -> Checkpoint | None:
    """Return the checkpoint in ``directory``, or None if there is none.

    Args:
        directory: the job's checkpoint directory.
        identity: what the checkpoint must have been made with: hyperparameters, base and data.

    Raises:
        JobError: the checkpoint can't be read or comes from another job.
    """
    path = directory / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()[_STATE])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise JobError(f"{path}: not a readable checkpoint ({error}). Empty the checkpoint location.") from error
    _check_identity(path, header, identity)
    return Checkpoint(tensors, header["state"])


def _check_identity(path: Path, header: dict[str, Any], identity: dict[str, Any]) -> None:
    made_with, expected = {"format": header["format"], **header["identity"]}, {"format": FORMAT, **identity}
    differing = [name for name in expected if made_with.get(name) != expected[name]]
    if differing:
        said = ", ".join(f"{name} {made_with.get(name)!r}, not {expected[name]!r}" for name in differing)
        raise JobError(
            f"{path}: made by another job, with {said}. Give each training job a checkpoint location of its own."
        )
