"""When a challenger has stood beside the champion for long enough."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lookbook import storage
from lookbook.serving import shadow as shadows
from lookbook.serving import shadow_capture, shadow_replay
from lookbook.serving.shadow import Shadow

log = logging.getLogger(__name__)

# SageMaker writes what it captured some minutes later, each instance by itself.
_QUIET = timedelta(minutes=2)
_LONGEST_WRITING = timedelta(minutes=10)


@dataclass(frozen=True)
class Watched:
    """Why watching ended, and until when it lasted (ISO 8601, UTC)."""

    until: str
    why: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values; ``Watched(**reference)`` restores it."""
        return asdict(self)


def look(
    shadow: Shadow, endpoint_config: str, replay_uri: str, *, hours: float, enough: int | None, now: datetime
) -> Watched | None:
    """Look whether there is reason to end; ``None`` while there is none.

    Args:
        shadow: who stands beside whom.
        endpoint_config: the config with both of them.
        replay_uri: what the run sent itself.
        hours: how long requests are waited for that come by themselves; 0: only what was sent is waited for.
        enough: end before that when the challenger has answered so many requests.
        now: the time, with its zone.
    """
    if not shadows.is_on(endpoint_config):
        return _ended("another deployment took the endpoint over", now)
    champions, answered = shadow_capture.numbers(shadow)
    if enough is not None and answered >= enough:
        return _ended(f"enough is answered, requests: {answered}", now)
    sent = shadow_replay.read(replay_uri)
    over = datetime.fromisoformat(sent.since) + timedelta(hours=hours)
    if now < over:
        log.info("The challenger answered %d requests; it stays until %s.", answered, over)
        return None
    # A challenger that gets only a share of the requests, or fails some, answers fewer of them than the champion.
    missing = sent.requests - champions
    if missing <= 0 and answered >= sent.requests:
        return _ended("the time is over, and every answer is captured", now)
    if missing <= 0 and _is_quiet(shadow, now):
        return _ended("the time is over, and nothing more is captured", now)
    if now >= over + _LONGEST_WRITING:
        return _ended(f"the time is over, and {max(missing, 0)} answers were not captured in time", now)
    return None


def _is_quiet(shadow: Shadow, now: datetime) -> bool:
    last = storage.last_change(f"{shadow.captured_uri}/")
    return last is not None and now - last >= _QUIET


def _ended(why: str, now: datetime) -> Watched:
    log.info("Watching ends: %s.", why)
    return Watched(now.astimezone(UTC).isoformat(), why)
