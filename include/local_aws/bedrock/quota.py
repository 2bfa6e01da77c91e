"""Requests and tokens a minute, refused above the quota as Bedrock refuses them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from local_aws.bedrock.places import Place
from local_aws.errors import AwsError
from local_aws.settings import Quota


class Bucket:
    """An amount that refills evenly to its capacity in a minute."""

    def __init__(self, capacity: float, clock: Callable[[], float]) -> None:
        self._capacity, self._clock = capacity, clock
        self._level, self._at = capacity, clock()

    def has(self, amount: float) -> bool:
        """Say whether ``amount`` could be taken now; more than a minute's worth never can."""
        now = self._clock()
        self._level = min(self._capacity, self._level + (now - self._at) * self._capacity / 60)
        self._at = now
        return self._level >= amount

    def wait(self, amount: float) -> float:
        """Return the seconds until ``amount`` can be taken, if nobody else takes any."""
        return max(0.0, (amount - self._level) * 60 / self._capacity)

    def take(self, amount: float) -> None:
        """Take an amount; a negative one is given back."""
        self._level = min(self._capacity, self._level - amount)


class Quotas:
    """The quotas of every model in every region.

    A request reserves its input and ``max_tokens``; what of the latter wasn't used is given back, as on Bedrock.
    """

    def __init__(self, quotas: Mapping[str, Quota], clock: Callable[[], float] = time.monotonic) -> None:
        self._quotas, self._clock = quotas, clock
        self._requests: dict[Place, Bucket] = {}
        self._tokens: dict[Place, Bucket] = {}

    def reserve(self, place: Place, tokens: int) -> None:
        """Count a request and its tokens.

        Raises:
            AwsError: ThrottlingException; nothing was counted.
        """
        if not self._quotas or (quota := place.find(self._quotas)) is None:
            return
        requests = self._bucket(self._requests, place, quota.requests_per_minute)
        amount = self._bucket(self._tokens, place, quota.tokens_per_minute)
        for bucket, taken, what in ((requests, 1, "requests"), (amount, tokens, "tokens")):
            if bucket and not bucket.has(taken):
                raise throttled(what, bucket.wait(taken) if quota.says_when else None)
        for bucket, taken in ((requests, 1), (amount, tokens)):
            if bucket:
                bucket.take(taken)

    def give_back(self, place: Place, tokens: int) -> None:
        """Return reserved tokens that weren't used."""
        if place in self._tokens:
            self._tokens[place].take(-tokens)

    def _bucket(self, buckets: dict[Place, Bucket], place: Place, capacity: float | None) -> Bucket | None:
        if capacity is None:
            return None
        return buckets.get(place) or buckets.setdefault(place, Bucket(capacity, self._clock))


def throttled(what: str, wait_s: float | None = None) -> AwsError:
    """Return Bedrock's answer to a call above the quota of ``what``, with how long to wait if that is told."""
    told = {} if wait_s is None else {"retry_after": str(math.ceil(wait_s))}
    return AwsError("ThrottlingException", f"Too many {what}, please wait before trying again.", status=429, **told)
