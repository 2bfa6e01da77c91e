"""Progress of a long loop in the log, at a steady pace: n of N, rate, time left."""

from __future__ import annotations

import logging
import time


class Progress:
    """Counts items and logs, at most every ``interval_s`` seconds and once at the end."""

    def __init__(self, log: logging.Logger, what: str, total: int, interval_s: float = 5.0) -> None:
        self._log, self._what, self._total, self._interval_s = log, what, total, interval_s
        self._done = 0
        self._began = self._said = time.monotonic()

    def advance(self, items: int = 1) -> None:
        """Count ``items`` more as done."""
        self._done += items
        now = time.monotonic()
        if now - self._said >= self._interval_s or self._done == self._total:
            self._said = now
            self._say(now - self._began)

    def _say(self, elapsed_s: float) -> None:
        rate = self._done / max(elapsed_s, 1e-9)
        left_s = (self._total - self._done) / max(rate, 1e-9)
        self._log.info("%s: %d of %d, %.1f/s, %.0f s left", self._what, self._done, self._total, rate, left_s)
