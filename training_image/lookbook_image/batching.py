"""Jobs that come one at a time, done in batches on one thread: what gathers while a batch is done is the next batch.

Nothing waits for a batch to fill: a job that finds the thread idle is done at once, alone. Under load batches grow by
themselves, because more gathers the longer a batch takes (docs/decisions/0018-micro-batching.md).
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
Queued = tuple[Job, "Future[Result]"]

log = logging.getLogger(__name__)


class Batcher(Generic[Job, Result]):
    """One thread, started with the object, that works on whatever is queued, in the order in which it came."""

    def __init__(
        self, work: Callable[[Sequence[Job]], Sequence[Result]], fits: Callable[[Sequence[Job]], bool]
    ) -> None:
        """Start the thread.

        Args:
            work: returns one result for each of the jobs it is given; called on the thread only.
            fits: tells whether jobs may be one batch; a job alone is never asked about.
        """
        self._work = work
        self._fits = fits
        self._queue: deque[Queued[Job, Result]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.failures = 0
        """How many jobs have failed one after the other, none succeeding between them."""
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._queue)

    def submit(self, job: Job) -> Future[Result]:
        """Queue a job; one whose future is cancelled before its turn is left out."""
        future: Future[Result] = Future()
        with self._changed:
            self._queue.append((job, future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """End the thread once everything queued is done."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self._do([queued for queued in batch if queued[1].set_running_or_notify_cancel()])

    def _next(self) -> list[Queued[Job, Result]]:
        """Wait for jobs and take as many as fit together; none when the batcher is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            batch: list[Queued[Job, Result]] = []
            while self._queue and (not batch or self._fits([job for job, _ in [*batch, self._queue[0]]])):
                batch.append(self._queue.popleft())
            return batch

    def _do(self, batch: list[Queued[Job, Result]]) -> None:
        """Work on a batch; if that fails each job is done alone, so that only the one at fault fails."""
        if not batch:
            return
        try:
            results = self._work([job for job, _ in batch])
        except Exception as error:
            self._part(batch, error)
            return
        self.failures = 0
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(result)

    def _part(self, batch: list[Queued[Job, Result]], error: Exception) -> None:
        if len(batch) == 1:
            self.failures += 1
            batch[0][1].set_exception(error)
            return
        log.warning("A batch of %d failed (%s: %s); each is done alone", len(batch), type(error).__name__, error)
        for queued in batch:
            self._do([queued])
