"""Errors whose message a person can act on; they become a job's FailureReason."""

from __future__ import annotations


class JobError(Exception):
    """The job can't go on; the message names the thing, what was expected and what to do."""


class DivergedError(JobError):
    """The loss or a weight is no longer a finite number; nothing of this run may be saved."""


class StoppedError(JobError):
    """The job was asked to stop (SIGTERM) before it had finished."""


class BadPictureError(Exception):
    """Bytes that can't be used as a picture; ``too_large`` tells a refused size from an unreadable file."""

    def __init__(self, reason: str, *, too_large: bool = False) -> None:
        super().__init__(reason)
        self.too_large = too_large
