from __future__ import annotations

import errno

import pytest
import torch
from safetensors import SafetensorError

from lookbook_image.errors import JobError
from lookbook_image.failures import is_foreseen, reason

FULL = OSError(errno.ENOSPC, "No space left on device", "/opt/ml/model/merged/model.safetensors")


def chained(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_a_job_error_speaks_for_itself() -> None:
    assert reason(JobError("column answer missing")) == "column answer missing"


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError(errno.EFBIG, "File too large"),
        SafetensorError("I/O error: No space left on device (os error 28)"),
        chained(RuntimeError("can't save"), FULL),
    ],
)
def test_a_full_disk_is_told_with_what_to_do(error: Exception) -> None:
    assert "the disk is full" in reason(error)
    assert "VolumeSizeInGB" in reason(error)
    assert is_foreseen(error)


def test_another_error_of_the_disk_is_not_a_full_one() -> None:
    assert "disk is full" not in reason(OSError(errno.EACCES, "Permission denied"))
    assert "disk is full" not in reason(SafetensorError("I/O error: Permission denied (os error 13)"))


def test_too_little_memory_on_the_gpu_is_told_with_what_to_do() -> None:
    said = reason(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))
    assert "Lower batch_size and raise gradient_accumulation" in said


def test_too_little_memory_is_told_with_what_to_do() -> None:
    assert "cache_memory_mb" in reason(MemoryError())


def test_anything_else_is_named_and_sends_to_the_log() -> None:
    error = KeyError("decoder")
    assert reason(error) == "KeyError: 'decoder' (unforeseen; the job's log has the traceback)"
    assert not is_foreseen(error)
