"""How many calls each model got and what became of them: for a benchmark, a person or CloudWatch to look at."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from local_aws.bedrock.conversation import Answer
from local_aws.bedrock.places import Place


@dataclass
class Count:
    """The calls of one model since local AWS started: each is answered, throttled, failed or in flight.

    Of those that failed, ``server_errors`` were Bedrock's fault.
    """

    calls: int = 0
    answered: int = 0
    throttled: int = 0
    failed: int = 0
    server_errors: int = 0
    in_flight: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_written_tokens: int = 0

    def begin(self) -> None:
        """Count a call that has come."""
        self.calls += 1
        self.in_flight += 1

    def end(self, status: int, answer: Answer | None) -> None:
        """Count what became of it: its HTTP status, 500 for an answer that is none, and the tokens that it took."""
        self.in_flight -= 1
        if status < 400:
            self.answered += 1
        elif status == 429:
            self.throttled += 1
        else:
            self.failed += 1
            self.server_errors += status >= 500
        if answer:
            self.input_tokens += answer.input_tokens
            self.output_tokens += answer.output_tokens
            self.cache_read_tokens += answer.cache_read or 0
            self.cache_written_tokens += answer.cache_written or 0


class Counts:
    """The counts of every model in every region, and how long the answers took."""

    def __init__(self) -> None:
        self.places: dict[Place, Count] = {}
        self.latencies: Counter[tuple[Place, int]] = Counter()

    def of(self, place: Place) -> Count:
        """Return a model's count."""
        return self.places.get(place) or self.places.setdefault(place, Count())

    def document(self) -> dict[str, dict[str, Any]]:
        """Return the counts by model, ready for JSON."""
        return {str(place): asdict(count) for place, count in self.places.items()}
