"""SIGTERM, by which SageMaker stops a job: an error at once, or where the job says that it can save itself first.

A spot instance is taken back 120 seconds after the signal, so whatever defers it must look often.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lookbook_image.errors import StoppedError


class _Signal:
    """What came of the process's one SIGTERM."""

    def __init__(self) -> None:
        self.came = False
        self.deferred = False

    def receive(self, signum: int, frame: FrameType | None) -> None:
        self.came = True
        if not self.deferred:
            _stop()


_signal = _Signal()


def listen() -> None:
    """Turn SIGTERM into a StoppedError in the main thread, at once unless it is ``deferred``."""
    _signal.came = False
    signal.signal(signal.SIGTERM, _signal.receive)


@contextmanager
def deferred() -> Iterator[None]:
    """Hold SIGTERM back while the block runs: it calls ``requested`` often, saves itself and then ``check``.

    Raises:
        StoppedError: SIGTERM came and the block ended without looking.
    """
    _signal.deferred = True
    try:
        yield
    finally:
        _signal.deferred = False
    check()


def requested() -> bool:
    """Tell whether SIGTERM came."""
    return _signal.came


def check() -> None:
    """Raise StoppedError if SIGTERM came."""
    if _signal.came:
        _stop()


def _stop() -> None:
    raise StoppedError(
        "stopped by SIGTERM before the job had finished (StopTrainingJob, a spot interruption or the time limit). "
        "Start it again with the same checkpoint location: training goes on after the last step that it saved."
    )
