"""A side of a data set made ready for the model: every picture encoded once, every text tokenised once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, TypeVar

import torch
from torch import Tensor

from lookbook_image.errors import JobError
from lookbook_image.families.base import IGNORED, Family, Prompts
from lookbook_image.pairs import Side, open_pictures
from lookbook_image.progress import Pace

ENCODE_BATCH = 32
MIB = 2**20
T = TypeVar("T")


@dataclass(frozen=True)
class Room:
    """How many bytes features may take: in memory and, when they don't fit there, in a file."""

    memory: int
    disk: int

    def less(self, features: Features) -> Room:
        """Return what is left beside ``features``."""
        if features.on_disk:
            return Room(self.memory, self.disk - features.nbytes)
        return Room(self.memory - features.nbytes, self.disk)


DEFAULT_ROOM = Room(memory=4096 * MIB, disk=65536 * MIB)


class Features:
    """The features of m pictures, in memory or mapped from a file; indexed by rows like a tensor of shape (m, …)."""

    def __init__(self, table: Tensor, place: Tensor, *, on_disk: bool) -> None:
        self._table = table
        self._place = place
        self.on_disk = on_disk

    def __len__(self) -> int:
        return len(self._place)

    def __getitem__(self, rows: Tensor) -> Tensor:
        return self._table[self._place[rows]]

    @property
    def nbytes(self) -> int:
        """Bytes that the features take, wherever they are."""
        return self._table.nbytes


@dataclass(frozen=True)
class Prepared:
    """A side's n pairs as tensors on the CPU; its m pictures as features."""

    features: Features
    picture_of_pair: Tensor
    """Shape (n,), int64: row of ``features`` of each pair."""
    prompts: Prompts
    labels: Tensor
    """Shape (n, t), int64."""

    def __len__(self) -> int:
        return len(self.picture_of_pair)

    def take(self, rows: Tensor) -> tuple[Tensor, Prompts, Tensor]:
        """Return features, prompts and labels of the pairs at ``rows`` (int64, shape (k,)), without idle columns."""
        labels = self.labels[rows]
        width = int(_counted(labels).sum(1).max())
        return self.features[self.picture_of_pair[rows]], self.prompts.take(rows), labels[:, :width].contiguous()

    def batches(self, size: int) -> Iterator[Tensor]:
        """Yield all rows in order, ``size`` at a time."""
        yield from torch.arange(len(self)).split(size)

    def lengths(self) -> Tensor:
        """Return how many tokens each pair has, question and answer together: shape (n,)."""
        return self.prompts.attention_mask.sum(1) + _counted(self.labels).sum(1)

    def answer_tokens(self, rows: Tensor) -> int:
        """Return how many tokens the loss of the pairs at ``rows`` counts."""
        return int(_counted(self.labels[rows]).sum())


def _counted(labels: Tensor) -> Tensor:
    return labels != IGNORED


def prepare(family: Family, side: Side, room: Room = DEFAULT_ROOM) -> Prepared:
    """Run the family's frozen parts over ``side``'s pictures and its tokenizer over the texts.

    Raises:
        JobError: a picture is missing or unreadable, or the features need more than ``room``.
    """
    return Prepared(
        features=encode(family, side, room),
        picture_of_pair=torch.from_numpy(side.picture_of_pair),
        prompts=family.prompts(side.questions),
        labels=family.labels(side.answers),
    )


def encode(family: Family, side: Side, room: Room = DEFAULT_ROOM) -> Features:
    """Return the features of ``side``'s pictures, in the order of ``side.pictures``; each is encoded once.

    Raises:
        JobError: a picture is missing or unreadable, or the features need more than ``room``.
    """
    positions: list[int] = []
    store: _Store | None = None
    pace = Pace("pictures encoded", len(side.pictures))
    for batch in batched(open_pictures(side, at_least=family.picture_size), ENCODE_BATCH):
        features = family.encode([picture for _, picture in batch])
        store = store or _store(features, len(side.pictures), room)
        store.add(features)
        positions += [position for position, _ in batch]
        pace.say(len(positions))
    if store is None:
        raise JobError(f"{side.directory}: no picture. Build the data set again.")
    return Features(store.table(), torch.tensor(positions).argsort(), on_disk=isinstance(store, _FileStore))


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield ``items`` in order, ``size`` at a time."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


class _Store:
    """Features as they come, in one tensor in memory that is allocated once."""

    def __init__(self, first: Tensor, rows: int) -> None:
        self._table = first.new_empty((rows, *first.shape[1:]))
        self._filled = 0

    def add(self, features: Tensor) -> None:
        """Put ``features``, shape (k, …), after those that came before."""
        self._table[self._filled : self._filled + len(features)] = features
        self._filled += len(features)

    def table(self) -> Tensor:
        """Return all rows."""
        return self._table


class _FileStore(_Store):
    """The same in a file without a name, which goes with the process however that ends."""

    def __init__(self, first: Tensor, rows: int) -> None:
        self._file: IO[bytes] = tempfile.NamedTemporaryFile(prefix="features-")  # noqa: SIM115 - closed in table()
        self._shape, self._dtype = (rows, *first.shape[1:]), first.dtype

    def add(self, features: Tensor) -> None:
        """Write ``features``: written, a full disk is an error; into a mapping, it would kill the process."""
        self._file.write(features.contiguous().view(torch.uint8).numpy().tobytes())

    def table(self) -> Tensor:
        """Return all rows, mapped: the system reads those that are used and drops them when memory is short."""
        self._file.flush()
        size = torch.Size(self._shape).numel()
        with self._file:
            table = torch.from_file(self._file.name, shared=False, size=size, dtype=self._dtype)
        return table.view(self._shape)


def _store(first: Tensor, rows: int, room: Room) -> _Store:
    """Return a place for ``rows`` rows like those of ``first``."""
    needed = first[0].nbytes * rows
    if needed <= room.memory:
        return _Store(first, rows)
    if needed <= room.disk:
        return _FileStore(first, rows)
    raise JobError(
        f"the features of {rows} pictures take {_mib(needed)} MiB; cache_memory_mb leaves {_mib(room.memory)} and "
        f"cache_disk_mb {_mib(room.disk)}. Raise one of them (and VolumeSizeInGB with the second)."
    )


def _mib(size: int) -> int:
    return -(-size // MIB)
