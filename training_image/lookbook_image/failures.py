"""What a job says when it fails: the text of ``output/failure``, which SageMaker shows as FailureReason."""

from __future__ import annotations

import errno
import re

from lookbook_image.errors import JobError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Libraries written in Rust keep the system's error number in their text only.
_IN_WORDS = re.compile(r"\(os error (\d+)\)")


def reason(error: Exception) -> str:
    """Return what a person should read about ``error``: what happened and what to do."""
    if isinstance(error, JobError):
        return str(error)
    if is_disk_full(error):
        return (
            f"the disk is full: {error}. Give the job a larger volume (VolumeSizeInGB), or lower cache_disk_mb if "
            "pictures' features fill it. Nothing was left in model/; a checkpoint saved before still holds."
        )
    if type(error).__name__ == "OutOfMemoryError":  # torch's; its module isn't imported to say that it is missing
        return (
            f"the GPU's memory is full: {error}. Lower batch_size and raise gradient_accumulation by as much, set "
            "quantization to 8bit or 4bit, or take a larger instance."
        )
    if isinstance(error, MemoryError):
        return "the machine's memory is full. Lower cache_memory_mb or batch_size, or take a larger instance."
    return f"{type(error).__name__}: {error} (unforeseen; the job's log has the traceback)"


def is_foreseen(error: Exception) -> bool:
    """Tell whether ``reason`` explains the error, so that nobody needs its traceback."""
    return isinstance(error, JobError) or is_disk_full(error)


def is_disk_full(error: BaseException) -> bool:
    """Tell whether ``error`` is, or comes from, a write for which there was no room."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    numbers = [int(number) for number in _IN_WORDS.findall(str(error))]
    if any(number in _FULL for number in numbers):
        return True
    return error.__cause__ is not None and is_disk_full(error.__cause__)
