"""What CloudWatch is told of Bedrock: every second what was counted since the last, so that no call waits for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

from local_aws.bedrock.counts import Count, Counts
from local_aws.bedrock.places import Place
from local_aws.cloudwatch import CloudWatch

NAMESPACE = "AWS/Bedrock"
_EVERY_S = 1.0
# By CloudWatch's name, what is counted and what is averaged over the calls that were answered.
_CALLS = {"Invocations": "answered", "InvocationThrottles": "throttled", "InvocationServerErrors": "server_errors"}
_TOKENS = {
    "InputTokenCount": "input_tokens",
    "OutputTokenCount": "output_tokens",
    "CacheReadInputTokenCount": "cache_read_tokens",
    "CacheWriteInputTokenCount": "cache_written_tokens",
}


class Meter:
    """Puts the metrics of ``AWS/Bedrock``, by ``ModelId``; to be used from the event loop only."""

    def __init__(self, counts: Counts, cloudwatch: CloudWatch) -> None:
        self._counts, self._cloudwatch = counts, cloudwatch
        self._told: dict[Place, Count] = {}

    async def run(self) -> None:
        """Tell CloudWatch until cancelled, and then once more."""
        try:
            while True:
                await asyncio.sleep(_EVERY_S)
                self.tell()
        finally:
            self.tell()

    def tell(self) -> None:
        """Tell what was counted since the last time."""
        for place, count in self._counts.places.items():
            self._tell_calls(place.model, count, self._told.get(place, Count()))
            self._told[place] = replace(count)
        latencies, self._counts.latencies = self._counts.latencies, Counter()
        for (place, milliseconds), times in latencies.items():
            self._put(place.model, "InvocationLatency", float(milliseconds), times, "Milliseconds")

    def _tell_calls(self, model: str, count: Count, told: Count) -> None:
        for name, field in _CALLS.items():
            self._put(model, name, 1.0, getattr(count, field) - getattr(told, field))
        client_errors = count.failed - count.server_errors - (told.failed - told.server_errors)
        self._put(model, "InvocationClientErrors", 1.0, client_errors)
        answered = count.answered - told.answered
        for name, field in _TOKENS.items():
            if used := getattr(count, field) - getattr(told, field):
                # Sum and number of samples are right; single values aren't worth a record for every call.
                self._put(model, name, used / max(1, answered), max(1, answered))

    def _put(self, model: str, name: str, value: float, times: int, unit: str = "Count") -> None:
        if times:
            self._cloudwatch.record(NAMESPACE, {"ModelId": model}, {name: (value, unit)}, times)
