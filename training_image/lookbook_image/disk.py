"""Room on the disk, told before a job has worked for hours for a model that it can't write."""

from __future__ import annotations

import shutil
from math import prod
from pathlib import Path

from safetensors import SafetensorError, safe_open

from lookbook_image.errors import JobError

GIB = 2**30
FLOAT32_BYTES = 4


def check_room(model: Path, base: Path) -> None:
    """Make sure that the merged model of ``base`` fits onto the disk of the directory ``model``.

    Raises:
        JobError: there is less room than it will take.
    """
    existing = next(path for path in (model, *model.parents) if path.exists())
    needed, free = merged_bytes(base), shutil.disk_usage(existing).free
    if needed > free:
        raise JobError(
            f"{model}: {free / GIB:.1f} GiB are free and the merged model in float32 takes {needed / GIB:.1f}. "
            "Give the job a larger volume (VolumeSizeInGB)."
        )


def merged_bytes(base: Path) -> int:
    """Return what the weights in ``base``'s safetensors files take as float32; a damaged file counts as it is."""
    return sum(_float32_bytes(path) for path in base.glob("*.safetensors"))


def _float32_bytes(path: Path) -> int:
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return sum(prod(file.get_slice(name).get_shape()) for name in names) * FLOAT32_BYTES
    except SafetensorError:  # loading it will say what is wrong
        return path.stat().st_size
