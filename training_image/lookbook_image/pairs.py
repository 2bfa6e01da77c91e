"""One side of a data set (train, validation or benchmark): question/answer pairs and their pictures.

A side is a directory with ``pairs.parquet`` (strings: product_id, picture, attribute, question, answer) and
``pictures-00000.tar`` … (uncompressed; every picture once, under the name that ``picture`` states).
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from lookbook_image.errors import BadPictureError, JobError
from lookbook_image.pictures import check_header, decode

COLUMNS = ("product_id", "picture", "attribute", "question", "answer")


@dataclass(frozen=True)
class Side:
    """The pairs of one side, as columns of equal length n, and where its pictures are."""

    directory: Path
    pictures: tuple[str, ...]
    """The m different pictures, in the order of their first pair."""
    picture_of_pair: npt.NDArray[np.int64]
    """Shape (n,): position in ``pictures`` of each pair's picture."""
    attributes: tuple[str, ...]
    questions: tuple[str, ...]
    answers: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.answers)


def read(directory: Path) -> Side:
    """Read the pairs of the side at ``directory``; its pictures stay on disk.

    Raises:
        JobError: the file is missing, isn't Parquet, lacks a column, has no row or has an empty field.
    """
    table = _table(directory / "pairs.parquet")
    columns = {name: tuple(table[name].to_pylist()) for name in COLUMNS}
    pictures = tuple(dict.fromkeys(columns["picture"]))
    position = {name: index for index, name in enumerate(pictures)}
    return Side(
        directory=directory,
        pictures=pictures,
        picture_of_pair=np.array([position[name] for name in columns["picture"]], dtype=np.int64),
        attributes=columns["attribute"],
        questions=columns["question"],
        answers=columns["answer"],
    )


def _table(path: Path) -> pa.Table:
    if not path.exists():
        raise JobError(f"{path}: not there. A channel of pairs holds pairs.parquet and pictures-*.tar.")
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise JobError(f"{path}: not a Parquet file ({error}). Build the data set again.") from error
    if missing := [name for name in COLUMNS if name not in table.column_names]:
        raise JobError(f"{path}: column {', '.join(missing)} missing (found: {', '.join(table.column_names)}).")
    _check_rows(path, table)
    return table


def _check_rows(path: Path, table: pa.Table) -> None:
    if table.num_rows == 0:
        raise JobError(f"{path}: no pairs. The data set needs products with a picture and a trained attribute.")
    for name in COLUMNS:
        if any(not value for value in table[name].to_pylist()):
            raise JobError(f"{path}: column {name} has an empty field. Build the data set again.")


def fingerprint(side: Side) -> str:
    """Return a hash of ``side``'s pairs: two sides with the same one train the same model."""
    rows = zip((side.pictures[i] for i in side.picture_of_pair), side.questions, side.answers, strict=True)
    return hashlib.sha256(json.dumps(list(rows)).encode()).hexdigest()[:16]


def check_answers(side: Side) -> dict[str, str]:
    """Refuse a side from which nothing can be learnt, and return its attributes that have one answer only.

    Raises:
        JobError: no attribute has two different answers.
    """
    values: dict[str, set[str]] = {}
    for attribute, given in zip(side.attributes, side.answers, strict=True):
        values.setdefault(attribute, set()).add(given)
    constant = {attribute: next(iter(found)) for attribute, found in sorted(values.items()) if len(found) == 1}
    if len(constant) == len(values):
        raise JobError(
            f"{side.directory}: each attribute has one answer only ({', '.join(constant.values())}), so there is "
            "nothing to tell apart. Train on drops in which an attribute has at least two values."
        )
    return constant


def check_pictures(side: Side) -> None:
    """Make sure that each picture of ``side`` is there and looks like one, by names and headers: in seconds.

    Raises:
        JobError: a picture is missing, empty, of no known format or too large; the message names the first.
    """
    wanted = set(side.pictures)
    for name, file in _members(side.directory):
        if name in wanted:
            wanted.remove(name)
            with _naming(side.directory, name):
                check_header(file)
    if missing := [name for name in side.pictures if name in wanted]:
        raise _missing(side, missing)


def open_pictures(side: Side, *, at_least: int) -> Iterator[tuple[int, Image.Image]]:
    """Yield each picture of ``side`` once, with its position in ``side.pictures``, in the order of the tar files.

    Args:
        side: what ``read`` returned.
        at_least: the side in pixels that will be needed (see ``pictures.decode``).

    Raises:
        JobError: a picture is missing or unreadable; the message names it.
    """
    wanted = {name: index for index, name in enumerate(side.pictures)}
    for name, file in _members(side.directory):
        if name in wanted:
            with _naming(side.directory, name):
                picture = decode(file.read(), at_least=at_least)
            yield wanted.pop(name), picture
    if wanted:
        raise _missing(side, list(wanted))


def picture_files(side: Side, names: set[str]) -> dict[str, bytes]:
    """Return the files of the pictures called ``names``, as they are.

    Raises:
        JobError: a picture is missing.
    """
    files = {name: file.read() for name, file in _members(side.directory) if name in names}
    if missing := sorted(names - files.keys()):
        raise _missing(side, missing)
    return files


def _missing(side: Side, names: Sequence[str]) -> JobError:
    return JobError(
        f"{side.directory}: {len(names)} of {len(side.pictures)} pictures aren't in pictures-*.tar, "
        f"the first is {names[0]}. Build the data set again."
    )


def _members(directory: Path) -> Iterator[tuple[str, IO[bytes]]]:
    for path in sorted(directory.glob("pictures-*.tar")):
        try:
            with tarfile.open(path, "r:") as tar:
                for member in tar:
                    if file := tar.extractfile(member):  # None for anything but a file
                        yield member.name, file
        except tarfile.TarError as error:
            raise JobError(f"{path}: not an uncompressed tar file ({error}). Build the data set again.") from error


@contextmanager
def _naming(directory: Path, name: str) -> Iterator[None]:
    """Name the picture in what is said about it."""
    try:
        yield
    except BadPictureError as error:
        raise JobError(f"{directory}: picture {name}: {error}. Build the data set without it.") from error
