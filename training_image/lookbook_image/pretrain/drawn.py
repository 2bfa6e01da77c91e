"""Pictures and labels of drops in Kaggle's layout, as arrays to pretrain on."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookbook_image.errors import BadPictureError, JobError
from lookbook_image.pictures import decode
from lookbook_image.pretrain.texts import QUESTIONS


@dataclass(frozen=True)
class Garments:
    """n garments: pictures of shape (n, side, side, 3), uint8, and for each its labels (attribute → value)."""

    pictures: npt.NDArray[np.uint8]
    labels: tuple[dict[str, str], ...]

    def __len__(self) -> int:
        return len(self.labels)

    def split(self, position: int) -> tuple[Garments, Garments]:
        """Return the garments before ``position`` and those from it on."""
        return (
            Garments(self.pictures[:position], self.labels[:position]),
            Garments(self.pictures[position:], self.labels[position:]),
        )


def read(drops: Iterable[Path], side: int) -> Garments:
    """Read the usable garments of ``drops``: those with a readable picture and at least one label.

    Args:
        drops: directories with styles.csv, images/<id>.jpg and styles/<id>.json.
        side: pictures are resized to ``side`` × ``side``, as the model's processor does.

    Raises:
        JobError: a directory isn't a drop, or none holds a usable garment.
    """
    found = [garment for drop in drops for garment in _garments(drop, side)]
    if not found:
        raise JobError("no usable garment in any of the drops; draw some with python -m lookbook.drops.sample.")
    return Garments(np.stack([picture for picture, _ in found]), tuple(labels for _, labels in found))


def _garments(drop: Path, side: int) -> Iterator[tuple[npt.NDArray[np.uint8], dict[str, str]]]:
    path = drop / "styles.csv"
    if not path.exists():
        raise JobError(f"{path}: not there. A drop has styles.csv, images/ and styles/.")
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            labels, picture = _labels(drop, row), _picture(drop / "images" / f"{row['id']}.jpg", side)
            if labels and picture is not None:
                yield picture, labels


def _labels(drop: Path, row: dict[str, str]) -> dict[str, str]:
    """Return the labels that the base is taught: the row's two and the JSON's attributes, where stated."""
    path = drop / "styles" / f"{row['id']}.json"
    attributes = json.loads(path.read_text(encoding="utf-8"))["data"]["articleAttributes"] if path.exists() else {}
    stated = {**attributes, "baseColour": row["baseColour"], "articleType": row["articleType"]}
    return {name: stated[name] for name in QUESTIONS if stated.get(name) not in (None, "", "NA")}


def _picture(path: Path, side: int) -> npt.NDArray[np.uint8] | None:
    """Return the picture at ``path``, or None if there is none that can be read: drops have such rows."""
    if not path.exists():
        return None
    try:
        picture = decode(path.read_bytes())
    except BadPictureError:
        return None
    return np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC))
