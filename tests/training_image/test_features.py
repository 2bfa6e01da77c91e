from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch
from garments import write_side

from lookbook_image import features, pairs
from lookbook_image.errors import JobError
from lookbook_image.families.base import IGNORED
from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.features import MIB, Room, prepare
from lookbook_image.pairs import Side

ROW_BYTES = 16 * 128 * 4
"""Query tokens × Q-Former width × float32, of the tiny architecture."""


@pytest.fixture
def side(tmp_path: Path) -> Side:
    return pairs.read(write_side(tmp_path / "side", garments=20, seed=5))


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features come in several batches, as they do for more pictures."""
    monkeypatch.setattr(features, "ENCODE_BATCH", 8)


def test_each_picture_is_encoded_once(family: Blip2Family, side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    encode = family.encode
    monkeypatch.setattr(family, "encode", lambda pictures: (encoded.append(len(pictures)), encode(pictures))[1])
    prepared = prepare(family, side)
    assert sum(encoded) == len(side.pictures) == len(prepared.features)
    assert len(prepared) == 2 * len(side.pictures)


@pytest.mark.usefixtures("small_batches")
def test_features_on_disk_are_those_in_memory(family: Blip2Family, side: Side) -> None:
    in_memory = features.encode(family, side)
    on_disk = features.encode(family, side, Room(memory=0, disk=MIB))
    rows = torch.tensor([3, 0, 19, 3])
    assert (in_memory.on_disk, on_disk.on_disk) == (False, True)
    assert torch.equal(on_disk[rows], in_memory[rows])
    assert on_disk.nbytes == in_memory.nbytes == 20 * ROW_BYTES


def test_sixteen_bit_features_keep_their_type_on_disk(family: Blip2Family, side: Side) -> None:
    family.model.to(torch.bfloat16)
    rows = torch.arange(20)
    on_disk = features.encode(family, side, Room(memory=0, disk=MIB))[rows]
    assert on_disk.dtype == torch.bfloat16
    assert torch.equal(on_disk, features.encode(family, side)[rows])


def test_the_file_of_features_has_no_name_to_leave_behind(
    family: Blip2Family, side: Side, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    kept = features.encode(family, side, Room(memory=0, disk=MIB))
    assert list(scratch.iterdir()) == []
    assert len(kept[torch.arange(20)]) == 20


def test_features_for_which_there_is_no_room_are_refused_after_the_first_batch(family: Blip2Family, side: Side) -> None:
    with pytest.raises(JobError, match="features of 20 pictures take 1 MiB; cache_memory_mb leaves 0"):
        features.encode(family, side, Room(memory=0, disk=20 * ROW_BYTES - 1))


def test_room_is_shared_by_the_sides(family: Blip2Family, side: Side) -> None:
    room = Room(memory=30 * ROW_BYTES, disk=30 * ROW_BYTES)
    train = features.encode(family, side, room)
    validation = features.encode(family, side, room.less(train))
    assert (train.on_disk, validation.on_disk) == (False, True)
    with pytest.raises(JobError, match="cache_memory_mb leaves 1 and cache_disk_mb 1"):
        features.encode(family, side, room.less(train).less(validation))


def test_a_batch_has_no_column_that_is_padding_for_all(family: Blip2Family, side: Side) -> None:
    prepared = prepare(family, side)
    row = prepared.lengths().argmin().view(1)
    _, prompts, labels = prepared.take(row)
    assert bool(prompts.attention_mask.all())
    assert bool((labels != IGNORED).all())
    assert prompts.input_ids.shape[1] + labels.shape[1] == int(prepared.lengths()[row])
    assert prepared.answer_tokens(row) == labels.shape[1]
