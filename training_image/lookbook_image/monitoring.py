"""What the endpoint counts, in Prometheus' text format: ``GET /metrics``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from lookbook_image.answering import Answer

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Outcome:
    """What became of one request; 500 unless something else is known."""

    status = 500


class Monitor:
    """The figures of one serving process."""

    def __init__(self, in_hand: Callable[[], int], queued: Callable[[], int]) -> None:
        """Make the figures, all at zero.

        Args:
            in_hand: how many requests are neither answered nor refused.
            queued: how many of them wait for the model.
        """
        self._registry = registry = CollectorRegistry()
        self._requests = Counter("lookbook_requests", "Requests by status", ["status"], registry=registry)
        self._seconds = Histogram(
            "lookbook_request_seconds", "From a request's start to its end", buckets=_SECONDS, registry=registry
        )
        self._batch_seconds = Histogram(
            "lookbook_batch_seconds", "How long the model took for a batch", buckets=_SECONDS, registry=registry
        )
        self._pictures = Histogram("lookbook_batch_pictures", "Pictures a batch", buckets=_SIZES, registry=registry)
        self._questions = Histogram("lookbook_batch_questions", "Questions a batch", buckets=_SIZES, registry=registry)
        self._answers = Counter("lookbook_answers", "Answers given", registry=registry)
        self._abstentions = Counter(
            "lookbook_abstentions", "Answers withheld: not sure enough", ["attribute"], registry=registry
        )
        self._formless = Counter(
            "lookbook_formless_answers", "Answers not in the form of attribute and value", registry=registry
        )
        Gauge("lookbook_requests_in_hand", "Requests begun", registry=registry).set_function(in_hand)
        Gauge("lookbook_requests_queued", "Requests that wait for the model", registry=registry).set_function(queued)

    @contextmanager
    def request(self) -> Iterator[Outcome]:
        """Count a request and the time it takes; its status is what is left in the outcome."""
        outcome, started = Outcome(), time.perf_counter()
        try:
            yield outcome
        finally:
            self._requests.labels(str(outcome.status)).inc()
            self._seconds.observe(time.perf_counter() - started)

    @contextmanager
    def batch(self, pictures: int, questions: int) -> Iterator[None]:
        """Count a batch and the time it takes, also if it fails."""
        self._pictures.observe(pictures)
        self._questions.observe(questions)
        with self._batch_seconds.time():
            yield

    def answered(self, given: Sequence[Answer], withheld: Sequence[Answer]) -> None:
        """Count a request's answers; ``withheld`` are those whose value isn't told."""
        self._answers.inc(len(given))
        self._formless.inc(sum(answer.attribute is None for answer in given))
        for answer in withheld:
            self._abstentions.labels(answer.attribute).inc()

    def text(self) -> bytes:
        """Return all figures."""
        return generate_latest(self._registry)
