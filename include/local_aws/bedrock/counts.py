"""How many calls each model got and what became of them: for a benchmark or a person to look at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from local_aws.bedrock.conversation import Answer

Outcome = Literal["answered", "throttled", "failed"]
ANSWERED: Outcome = "answered"
THROTTLED: Outcome = "throttled"
FAILED: Outcome = "failed"


@dataclass
class Count:
    """The calls of one model since local AWS started: each is answered, throttled, failed or in flight."""

    calls: int = 0
    answered: int = 0
    throttled: int = 0
    failed: int = 0
    in_flight: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_written_tokens: int = 0

    def begin(self) -> None:
        """Count a call that has come."""
        self.calls += 1
        self.in_flight += 1

    def end(self, outcome: Outcome, answer: Answer | None) -> None:
        """Count what became of it, and the tokens that its answer took."""
        self.in_flight -= 1
        setattr(self, outcome, getattr(self, outcome) + 1)
        if answer:
            self.input_tokens += answer.input_tokens
            self.output_tokens += answer.output_tokens
            self.cache_read_tokens += answer.cache_read or 0
            self.cache_written_tokens += answer.cache_written or 0


class Counts:
    """The counts of every model."""

    def __init__(self) -> None:
        self._models: dict[str, Count] = {}

    def of(self, model: str) -> Count:
        """Return a model's count."""
        return self._models.get(model) or self._models.setdefault(model, Count())

    def document(self) -> dict[str, dict[str, Any]]:
        """Return the counts by model, ready for JSON."""
        return {model: asdict(count) for model, count in self._models.items()}
