"""Say in the log how far a long piece of work has come, at a steady pace."""

from __future__ import annotations

import logging
import time

logger = logging.getLogger(__name__)

INTERVAL_S = 5.0


class Progress:
    """Counts finished items and logs n of N, rate and time left every few seconds."""

    def __init__(self, doing: str, total: int) -> None:
        self._doing, self._total, self._done = doing, total, 0
        self._started = self._said = time.monotonic()

    def step(self, items: int = 1) -> None:
        """Count ``items`` as finished."""
        self._done += items
        now = time.monotonic()
        if now - self._said < INTERVAL_S:
            return
        self._said, rate = now, self._done / (now - self._started)
        left = (self._total - self._done) / rate
        logger.info("%s: %d of %d, %.0f/s, %.0f s left", self._doing, self._done, self._total, rate, left)
