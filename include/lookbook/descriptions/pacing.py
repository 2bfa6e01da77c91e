"""How many calls, and how many of them a second: as many as the account lets through, found by what it refuses.

Nothing here knows of Bedrock or waits for anything but the event loop's clock.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from dataclasses import dataclass

log = logging.getLogger(__name__)

# A window is so many calls, or half as many refusals, and no shorter than that: what was refused says what to do next.
_WINDOW_CALLS = 10
_WINDOW_S = 0.5
# A little below what was let through, so that the service's bucket fills again; then slowly up, to find the limit anew.
_AFTER_REFUSALS = 0.97
_GROWTH_PER_S = 0.005
_DEEPEST_CUT = 0.4
# Twice as fast for each such time without a refusal: what is refused for a while needn't be for long.
_QUIET_S = 60.0


class TurnedAwayError(Exception):
    """The gate sent away whoever waited: there may be a better way now."""


class Rate:
    """Calls a second: unlimited until some are refused, then just below what was let through, then slowly more.

    In a window of calls with refusals the rate is multiplied by the share let through (multiplicative decrease); in
    one without, it grows by a fixed two-hundredth a second of what it was after the last decrease (additive increase),
    if it is what held calls back.

    Args:
        per_s: where to begin; ``None`` is unlimited.
        ceiling: never more than this; ``None`` where no quota is known.
        floor: not less than this because of refusals: a service that refuses the same share however slowly it is
            called would otherwise be called ever more slowly.
    """

    def __init__(self, per_s: float | None = None, ceiling: float | None = None, floor: float = 0.0) -> None:
        self.per_s, self.ceiling, self.floor = per_s, ceiling, floor
        self.held_back = False
        self._sent = self._refused = 0
        self._opened: float | None = None
        self._step = self._refused_at = 0.0

    def sent(self, now: float) -> None:
        """Count a call that starts."""
        self._close_window(now)
        self._sent += 1

    def refused(self, now: float) -> None:
        """Count a call that was refused for being one too many."""
        self._refused, self._refused_at = self._refused + 1, now
        self._close_window(now)

    def interval_s(self) -> float:
        """Return the seconds between two calls."""
        return 1 / self.per_s if self.per_s else 0.0

    def _close_window(self, now: float) -> None:
        if self._opened is None:
            self._opened = now
        elapsed = now - self._opened
        if elapsed < _WINDOW_S or not self._sent or max(self._sent, 2 * self._refused) < _WINDOW_CALLS:
            return
        if self._refused:
            self._slower(elapsed, min(1.0, self._refused / self._sent))
        elif self.held_back and self.per_s is not None:
            self._faster(self.per_s, elapsed, now)
        self._opened, self._sent, self._refused, self.held_back = now, 0, 0, False

    def _slower(self, elapsed: float, share_refused: float) -> None:
        sent = self.per_s if self.per_s is not None and self.held_back else self._sent / elapsed
        slower = sent * max(1 - share_refused, _DEEPEST_CUT) * _AFTER_REFUSALS
        self.per_s = max(slower, min(self.floor, sent))
        self._step = self.per_s * _GROWTH_PER_S
        log.debug("%.0f %% of calls refused: %.2f calls a second now", share_refused * 100, self.per_s)

    def _faster(self, per_s: float, elapsed: float, now: float) -> None:
        step = (self._step or per_s * _GROWTH_PER_S) * 2 ** min((now - self._refused_at) / _QUIET_S, 8)
        grown = per_s + step * elapsed
        self.per_s = grown if self.ceiling is None else min(grown, self.ceiling)


class TokenBudget:
    """Tokens a minute: a bucket that refills evenly. A call takes what it may need, and gives back what it didn't."""

    def __init__(self, per_minute: float, now: float) -> None:
        self.per_minute = per_minute
        self._level, self._at = per_minute, now

    def wait_s(self, tokens: float, now: float) -> float:
        """Return the seconds until ``tokens`` are there; of more than a minute's worth, until the bucket is full."""
        self._refill(now)
        return max(0.0, min(tokens, self.per_minute) - self._level) * 60 / self.per_minute

    def take(self, tokens: float) -> None:
        """Take tokens; a negative number gives them back."""
        self._level -= tokens

    def _refill(self, now: float) -> None:
        self._level = min(self.per_minute, self._level + (now - self._at) * self.per_minute / 60)
        self._at = now


@dataclass(eq=False)
class Place:
    """A call's place in flight, and the tokens it has taken."""

    gate: Gate
    tokens: int

    def refused(self, retry_after_s: float | None = None) -> None:
        """Say that the service refused the call for being one too many, and for how long it wants none."""
        self.gate.refused(retry_after_s)
        self.leave(0)

    def leave(self, tokens_used: int) -> None:
        """End the call, which in the end used so many tokens."""
        self.gate.left(self.tokens - tokens_used)


class Gate:
    """Lets calls pass: so many in flight, at a rate, within a budget of tokens, and none while the service wants none.

    Whoever waits here holds nothing. Among those who wait, the smallest ``order`` passes first, so that what was begun
    is ended before more is begun.
    """

    def __init__(self, most: int, rate: Rate, budget: TokenBudget | None = None) -> None:
        self.rate, self.budget, self._most = rate, budget, most
        self._in_flight = 0
        self._next_at = 0.0
        self._paused_until = 0.0
        self._waiting: list[tuple[int, int, int, asyncio.Future[Place]]] = []
        self._arrivals = 0
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, order: int, tokens: int) -> Place:
        """Wait for a call's turn.

        Args:
            order: who goes first.
            tokens: what the call may use at most.

        Raises:
            TurnedAwayError: :meth:`turn_away` was called meanwhile.
        """
        turn: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._waiting, (order, self._arrivals, tokens, turn))
        self._let_in()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and not turn.exception():
                turn.result().leave(0)
            raise

    def turn_away(self) -> None:
        """Send away all who wait."""
        waiting, self._waiting = self._waiting, []
        for *_, turn in waiting:
            if not turn.done():
                turn.set_exception(TurnedAwayError())

    def refused(self, retry_after_s: float | None) -> None:
        """Count a refusal; nobody passes before ``retry_after_s`` are over."""
        now = asyncio.get_running_loop().time()
        self.rate.refused(now)
        self._paused_until = max(self._paused_until, now + (retry_after_s or 0.0))

    def left(self, tokens_unused: int) -> None:
        """End a call: its place is free, and so are the tokens it took and didn't use."""
        self._in_flight -= 1
        if self.budget:
            self.budget.take(-tokens_unused)
        self._let_in()

    def _let_in(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            *_, tokens, turn = self._waiting[0]
            if turn.done():
                heapq.heappop(self._waiting)
                continue
            if self._in_flight >= self._most:
                return
            now = loop.time()
            wait = self._wait_s(tokens, now)
            if wait > 0:
                self._again_in(wait)
                return
            heapq.heappop(self._waiting)
            turn.set_result(self._place(tokens, now))

    def _wait_s(self, tokens: int, now: float) -> float:
        for_rate = self._next_at - now
        for_tokens = self.budget.wait_s(tokens, now) if self.budget else 0.0
        self.rate.held_back = self.rate.held_back or for_rate > 0
        return max(for_rate, for_tokens, self._paused_until - now)

    def _place(self, tokens: int, now: float) -> Place:
        self._in_flight += 1
        self._next_at = max(now, self._next_at) + self.rate.interval_s()
        self.rate.sent(now)
        if self.budget:
            self.budget.take(tokens)
        return Place(self, tokens)

    def _again_in(self, wait: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(wait, self._let_in)
