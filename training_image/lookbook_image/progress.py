"""Lines about a running job that both a person and CloudWatch's metric definitions read."""

from __future__ import annotations

import sys
import time


def say(line: str) -> None:
    """Print ``line`` to standard output, which is the job's log, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def report(**values: float) -> None:
    """Print ``name=value`` pairs on one line: whole numbers as they are, losses and shares with four decimals."""
    say(" ".join(f"{name}={_text(name, value)}" for name, value in values.items()))


def _text(name: str, value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.1f}" if name.endswith("per_second") else f"{value:.4f}"


EVERY_S = 15.0
"""Seconds between two lines of work that isn't counted in steps."""


class Pace:
    """Says now and then how much of ``total`` is done, of work that is short for a small data set."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._started = self._said = time.monotonic()

    def say(self, done: int) -> None:
        """Print a line if the last one is some time ago."""
        now = time.monotonic()
        if now - self._said >= EVERY_S:
            self._said = now
            left = (now - self._started) / done * (self._total - done)
            say(f"{self._what}: {done} of {self._total}, {_clock(left)} left")


class Progress:
    """Says how far a job of ``total`` steps is, ``done`` of which an earlier run did, and when it will end."""

    def __init__(self, total: int, done: int = 0) -> None:
        self.total = total
        self._first = done
        self._started = time.monotonic()

    def say(self, done: int) -> None:
        """Print a line: steps done, of how many, and the time left at the pace so far."""
        elapsed = time.monotonic() - self._started
        left = elapsed / max(done - self._first, 1) * (self.total - done)
        say(f"step {done} of {self.total} ({100 * done // self.total} %), {_clock(left)} left")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
