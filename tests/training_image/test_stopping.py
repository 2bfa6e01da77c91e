from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from lookbook_image import stopping
from lookbook_image.errors import StoppedError


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    stopping.listen()
    yield
    stopping.listen()  # forget what came
    signal.signal(signal.SIGTERM, before)


def test_sigterm_is_an_error_that_says_how_to_go_on() -> None:
    with pytest.raises(StoppedError, match="same checkpoint location"):
        signal.raise_signal(signal.SIGTERM)


def test_a_job_that_can_save_itself_is_asked_first() -> None:
    saved = False
    with pytest.raises(StoppedError), stopping.deferred():
        assert not stopping.requested()
        signal.raise_signal(signal.SIGTERM)
        saved = stopping.requested()
        stopping.check()
    assert saved


def test_a_job_that_never_looks_is_stopped_at_the_end_of_the_block() -> None:
    done: list[str] = []

    def work() -> None:
        with stopping.deferred():
            signal.raise_signal(signal.SIGTERM)
            done.append("the block")
        done.append("what comes after it")

    with pytest.raises(StoppedError):
        work()
    assert done == ["the block"]


def test_after_the_block_sigterm_stops_at_once_again() -> None:
    with stopping.deferred():
        pass
    with pytest.raises(StoppedError):
        signal.raise_signal(signal.SIGTERM)
