from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from lookbook_image import checkpoints
from lookbook_image.checkpoints import Checkpoint
from lookbook_image.errors import JobError

IDENTITY = {"seed": 1, "train": "abc"}
ONE = Checkpoint({"lora.a": torch.tensor([1.5, 2.5])}, {"history": [{"epoch": 1, "loss": 0.1 + 0.2}]})


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "new", ONE, IDENTITY)
    loaded = checkpoints.load(tmp_path / "new", IDENTITY)
    assert loaded is not None
    assert torch.equal(loaded.tensors["lora.a"], ONE.tensors["lora.a"])
    assert loaded.state == ONE.state


def test_it_is_one_safetensors_file(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, ONE, IDENTITY)
    assert [path.name for path in tmp_path.iterdir()] == [checkpoints.FILE]
    with safe_open(tmp_path / checkpoints.FILE, framework="pt") as file:
        assert list(file.keys()) == ["lora.a"]


def test_without_one_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    assert checkpoints.load(tmp_path, IDENTITY) is None


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, ONE, IDENTITY)
    (tmp_path / checkpoints.PARTIAL).symlink_to("/dev/full")
    with pytest.raises(OSError) as full:
        checkpoints.save(tmp_path, Checkpoint({"lora.a": torch.zeros(100_000)}, {}), IDENTITY)
    assert full.value.errno == errno.ENOSPC
    loaded = checkpoints.load(tmp_path, IDENTITY)
    assert loaded is not None and loaded.state == ONE.state


def test_what_an_interrupted_write_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / checkpoints.PARTIAL).write_bytes(b"half of it")
    checkpoints.save(tmp_path, ONE, IDENTITY)
    assert checkpoints.load(tmp_path, IDENTITY) is not None
    assert not (tmp_path / checkpoints.PARTIAL).exists()


def test_another_jobs_checkpoint_is_refused_with_what_differs(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, ONE, IDENTITY)
    with pytest.raises(JobError, match=r"made by another job, with train 'abc', not 'xyz'\. Give each"):
        checkpoints.load(tmp_path, IDENTITY | {"train": "xyz"})


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"\x80\x04\x95 a pickle" * 10])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / checkpoints.FILE).write_bytes(content)
    with pytest.raises(JobError, match="not a readable checkpoint"):
        checkpoints.load(tmp_path, IDENTITY)


def test_a_safetensors_file_of_something_else_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2)}, tmp_path / checkpoints.FILE)
    with pytest.raises(JobError, match="not a readable checkpoint"):
        checkpoints.load(tmp_path, IDENTITY)
