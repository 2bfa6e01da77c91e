from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

import pytest

from lookbook_image.batching import Batcher

TIMEOUT = 30


class Doubler:
    """Doubles numbers, notes the batches it got, and waits before each until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def work(self, batch: Sequence[int]) -> list[int]:
        self.batches.append(list(batch))
        self.begun.release()
        assert self.go.acquire(timeout=TIMEOUT)
        if 13 in batch:
            raise ValueError("13 can't be doubled")
        return [2 * number for number in batch]

    def let_go(self, batches: int) -> None:
        self.go.release(batches)


@pytest.fixture
def doubler() -> Doubler:
    return Doubler()


@pytest.fixture
def make(doubler: Doubler) -> Iterator[Callable[[int], Batcher[int, int]]]:
    """Make a batcher whose batches hold so many numbers, already busy with the number 0."""
    made: list[Batcher[int, int]] = []

    def busy(size: int) -> Batcher[int, int]:
        batcher = Batcher(doubler.work, lambda batch: len(batch) <= size)
        made.append(batcher)
        batcher.submit(0)
        assert doubler.begun.acquire(timeout=TIMEOUT)
        return batcher

    yield busy
    doubler.let_go(100)
    for batcher in made:
        batcher.close()


def results(futures: list[Future[int]]) -> list[int]:
    return [future.result(TIMEOUT) for future in futures]


def test_a_job_that_finds_the_thread_idle_is_done_at_once(doubler: Doubler, make: Callable) -> None:
    make(8)
    assert doubler.batches == [[0]]


def test_what_gathers_meanwhile_is_the_next_batch_in_the_order_in_which_it_came(
    doubler: Doubler, make: Callable
) -> None:
    batcher = make(8)
    futures = [batcher.submit(number) for number in (3, 1, 2)]
    assert len(batcher) == 3
    doubler.let_go(2)
    assert results(futures) == [6, 2, 4]
    assert doubler.batches == [[0], [3, 1, 2]]


def test_no_batch_holds_more_than_fits(doubler: Doubler, make: Callable) -> None:
    batcher = make(2)
    futures = [batcher.submit(number) for number in range(1, 6)]
    doubler.let_go(10)
    assert results(futures) == [2, 4, 6, 8, 10]
    assert doubler.batches == [[0], [1, 2], [3, 4], [5]]


def test_a_job_that_never_fits_is_done_alone(doubler: Doubler, make: Callable) -> None:
    batcher = make(0)
    futures = [batcher.submit(number) for number in (1, 2)]
    doubler.let_go(10)
    assert results(futures) == [2, 4]
    assert doubler.batches == [[0], [1], [2]]


def test_one_bad_job_in_a_batch_fails_alone(doubler: Doubler, make: Callable) -> None:
    batcher = make(8)
    futures = [batcher.submit(number) for number in (1, 13, 2)]
    doubler.let_go(10)
    assert results([futures[0], futures[2]]) == [2, 4]
    with pytest.raises(ValueError, match="13 can't be doubled"):
        futures[1].result(TIMEOUT)


def test_a_cancelled_job_is_left_out(doubler: Doubler, make: Callable) -> None:
    batcher = make(8)
    given_up, other = batcher.submit(1), batcher.submit(2)
    assert given_up.cancel()
    doubler.let_go(10)
    assert other.result(TIMEOUT) == 4
    assert doubler.batches == [[0], [2]]


def test_failures_in_a_row_are_counted_and_a_success_ends_the_row(doubler: Doubler, make: Callable) -> None:
    batcher = make(8)
    doubler.let_go(10)
    for expected in (1, 2):
        with pytest.raises(ValueError, match="13"):
            batcher.submit(13).result(TIMEOUT)
        assert batcher.failures == expected
    batcher.submit(1).result(TIMEOUT)
    assert batcher.failures == 0


def test_closing_finishes_what_is_queued(doubler: Doubler, make: Callable) -> None:
    batcher = make(1)
    futures = [batcher.submit(number) for number in (1, 2)]
    doubler.let_go(10)
    batcher.close()
    assert [future.done() for future in futures] == [True, True]
