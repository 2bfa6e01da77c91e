"""Prompt caching: beginnings of conversations that a model has read before and needn't read again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from local_aws.bedrock.conversation import CachePoint
from local_aws.bedrock.places import Place
from local_aws.errors import AwsError, validation

LIFETIME_S = 300.0
MOST_POINTS = 4
_SWEEP_FROM = 10_000
# Tokens that a beginning must have to be kept, by what the model's id contains; the first that does counts.
_LEAST_TOKENS = (
    ("claude-haiku-4-5", 4_096),
    ("claude-opus-4-5", 4_096),
    ("claude-opus-4-6", 4_096),
    ("claude-3-5-haiku", 2_048),
    ("", 1_024),
)
_WITHOUT_CACHE = (
    "claude-instant",
    "claude-v2",
    "claude-3-haiku",
    "claude-3-sonnet",
    "claude-3-opus",
    "claude-3-5-sonnet-20240620",
)

_Key = tuple[Place, bytes]


def no_cache() -> AwsError:
    """Return AWS's answer to a cache point where nothing is cached."""
    told = (
        "You invoked an unsupported model or your request did not allow prompt caching. "
        "See the documentation for more information."
    )
    return AwsError("AccessDeniedException", told, status=403)


class PromptCache:
    """What each model in each region has read in the last five minutes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[_Key, float] = {}

    def check(self, place: Place, points: Sequence[CachePoint]) -> None:
        """Refuse what AWS refuses.

        Raises:
            AwsError: AccessDeniedException, the model has no cache; ValidationException, there are too many points.
        """
        if points and any(name in place.model for name in _WITHOUT_CACHE):
            raise no_cache()
        if len(points) > MOST_POINTS:
            raise validation(f"A maximum of {MOST_POINTS} blocks with cachePoint may be provided. Found {len(points)}.")

    def read(self, place: Place, points: Sequence[CachePoint]) -> int:
        """Return how many tokens of a conversation's beginning are kept; reading them keeps them longer."""
        now = self._clock()
        for point in reversed(points):
            if self._until.get((place, point.digest), 0.0) > now:
                self._until[place, point.digest] = now + LIFETIME_S
                return point.tokens
        return 0

    def write(self, place: Place, points: Sequence[CachePoint], read: int) -> int:
        """Keep a conversation's beginnings that are long enough; return how many tokens weren't kept before."""
        least = next(tokens for name, tokens in _LEAST_TOKENS if name in place.model)
        kept = [point for point in points if point.tokens >= least]
        if not kept:
            return 0
        now = self._clock()
        self._sweep(now)
        self._until.update({(place, point.digest): now + LIFETIME_S for point in kept})
        return max(0, kept[-1].tokens - read)

    def _sweep(self, now: float) -> None:
        if len(self._until) >= _SWEEP_FROM:
            self._until = {key: until for key, until in self._until.items() if until > now}
