"""The ways to a text model, in order of preference: which model in which region, and whether it answers now."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lookbook.descriptions.pacing import Gate
from lookbook.errors import PermanentError
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

# A route is left when so many calls in a row had no answer, and none had for so long. The time it is left for doubles
# with each try that fails as well.
_FAILURES = 20
_SILENT_S = 5.0
_LEFT_S = (5.0, 60.0)

# A call that takes so many times longer than nine in ten is not slow but lost; known from so many answers on.
_TIMES_USUAL = 6.0
_SHORTEST_TIMEOUT_S = 5.0
_KNOWN_FROM = 20


@dataclass(frozen=True)
class Target:
    """A model in a region."""

    model_id: str
    region: str

    def __str__(self) -> str:
        return f"{self.model_id}@{self.region}"


def targets(model_id: str) -> list[Target]:
    """Return where texts may be written: by ``model_id`` in the region of the settings, then by the fallbacks.

    Raises:
        PermanentError: LOOKBOOK_TEXT_FALLBACKS can't be read.
    """
    settings = get_settings()
    first = Target(model_id, settings.aws_region)
    named = [_target(named, first) for named in settings.text_fallbacks]
    return list(dict.fromkeys([first, *named]))


def _target(named: str, first: Target) -> Target:
    model_id, at, region = named.strip().rpartition("@")
    if not at or not (model_id or region):
        raise PermanentError(
            f"LOOKBOOK_TEXT_FALLBACKS: {named!r} is no <model>@<region>. Either side may be empty, not both: "
            '["@eu-west-1"] is the same model there.'
        )
    return Target(model_id or first.model_id, region or first.region)


class Breaker:
    """Whether a route is taken: not while nothing gets through; then one call tries whether something does again."""

    def __init__(self, name: str, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever whoever waits should look again which route to take."""
        self._name, self._changed = name, changed
        self._state = "closed"
        self._failures = 0
        self._heard_at: float | None = None
        self._left_s = _LEFT_S[0]

    def lets_pass(self) -> bool:
        """Say whether a call may be made; in a route that is tried again, the first one that asks may."""
        if self._state == "half open":
            self._state = "trying"
            return True
        return self._state == "closed"

    def answered(self) -> None:
        """Count an answer, a refusal of the request among them: the route works."""
        if self._state == "left":
            return
        self._failures, self._heard_at, self._left_s = 0, asyncio.get_running_loop().time(), _LEFT_S[0]
        if self._state != "closed":
            self._state = "closed"
            log.info("%s answers again.", self._name)
            self._changed()

    def failed(self, reason: str) -> None:
        """Count a call without an answer: throttled, failed or timed out."""
        now = asyncio.get_running_loop().time()
        self._heard_at = now if self._heard_at is None else self._heard_at
        self._failures += 1
        silent = self._failures >= _FAILURES and now - self._heard_at >= _SILENT_S
        if self._state == "trying" or (self._state == "closed" and silent):
            self._leave(reason)

    def not_made(self) -> None:
        """Take back :meth:`lets_pass`: the call wasn't made after all."""
        if self._state == "trying":
            self._half_open()

    def leave_for_good(self, reason: str) -> None:
        """Take the route no more."""
        self._state = "left"
        log.warning("%s is not asked any more: %s", self._name, reason)
        self._changed()

    def _leave(self, reason: str) -> None:
        self._state = "open"
        log.warning("%s answers nothing, and is asked again in %.0f s: %s", self._name, self._left_s, reason)
        asyncio.get_running_loop().call_later(self._left_s, self._half_open)
        self._left_s = min(2 * self._left_s, _LEFT_S[1])
        self._changed()

    def _half_open(self) -> None:
        if self._state in ("open", "trying"):
            self._state = "half open"
            self._changed()


class Patience:
    """How long a call is waited for: at most ``longest_s``, and no longer than what calls usually take suggests."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._took: deque[float] = deque(maxlen=100)
        self._waiting: dict[asyncio.Timeout, tuple[float, float]] = {}

    @property
    def timeout_s(self) -> float:
        """Seconds after which a call is given up."""
        if len(self._took) < _KNOWN_FROM:
            return self._longest_s
        usual = sorted(self._took)[len(self._took) * 9 // 10]
        return min(self._longest_s, max(_SHORTEST_TIMEOUT_S, _TIMES_USUAL * usual))

    async def wait_for(self, call: Any, within_s: float) -> Any:
        """Return what ``call`` does; calls that began before anything was known are held to what is known now.

        Raises:
            TimeoutError: it took too long, or longer than ``within_s``.
        """
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(min(self.timeout_s, within_s)) as timeout:
            self._waiting[timeout] = (began, within_s)
            try:
                answer = await call
            finally:
                del self._waiting[timeout]
        self._learn(asyncio.get_running_loop().time() - began)
        return answer

    def _learn(self, took_s: float) -> None:
        known = self.timeout_s
        self._took.append(took_s)
        if (now_known := self.timeout_s) != known:
            for timeout, (began, within_s) in self._waiting.items():
                if not timeout.expired():
                    timeout.reschedule(began + min(now_known, within_s))


@dataclass(eq=False)
class Route:
    """A target with what is known of it, shared by all who ask there."""

    target: Target
    client: Any
    gate: Gate
    breaker: Breaker
    patience: Patience
    input_tokens: float = field(default=0.0)
    """What a request's input usually comes to; 0 until there was one."""
