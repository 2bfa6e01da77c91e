from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from safetensors.torch import load_file

from lookbook_image import disk
from lookbook_image.errors import JobError


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes that the disk seems to have left, to be set; and what was asked about is real."""
    left = [0]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 2**40 - left[0], left[0]))
    return left


def test_the_merged_model_takes_four_bytes_a_weight(untrained: Path) -> None:
    weights = load_file(untrained / "model.safetensors").values()
    assert disk.merged_bytes(untrained) == 4 * sum(weight.numel() for weight in weights)


def test_too_small_a_disk_is_told_before_anything_is_done(untrained: Path, tmp_path: Path, free: list[int]) -> None:
    free[0] = disk.merged_bytes(untrained) - 1
    with pytest.raises(JobError, match=r"GiB are free and the merged model in float32 takes .* larger volume"):
        disk.check_room(tmp_path / "not yet" / "model", untrained)


def test_a_disk_with_room_is_no_trouble(untrained: Path, tmp_path: Path, free: list[int]) -> None:
    free[0] = disk.merged_bytes(untrained)
    disk.check_room(tmp_path, untrained)


def test_damaged_weights_are_left_for_loading_to_complain_of(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 100)
    assert disk.merged_bytes(tmp_path) == 100
