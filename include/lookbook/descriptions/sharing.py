"""One rate for all who ask the same text model at the same time, in whatever task or run: an object in S3.

``pacing/<model>@<region>.json`` holds the calls a second that were found to be let through, and who asks at the moment.
Each asker takes an equal part, and adds to the common rate what refusals, or none, have since changed of its own: so
shards that start late, end early or belong to another run get their part, and what was learnt outlasts a shard.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lookbook import storage
from lookbook.descriptions.pacing import Gate
from lookbook.errors import RetryableError
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

_EVERY_S = 3.0
# Who wasn't seen for so long asks no more; what was learnt so long ago holds no more.
_GONE_AFTER_S = 15.0
_FORGOTTEN_AFTER_S = 600.0
# At first others of the same run may not have come yet: as many are reckoned with as the plan says.
_ALL_THERE_AFTER_S = 10.0


@dataclass(frozen=True)
class Quota:
    """An account's quota, and its pace at the slowest: calls a second and tokens a minute; ``None``: to be found."""

    calls_per_s: float | None
    tokens_per_minute: float | None
    slowest_per_s: float


class Part:
    """One asker's part in the common rate; it is the gate's."""

    def __init__(self, name: str, gate: Gate, quota: Quota, planned_share: float) -> None:
        self._uri = f"s3://{get_settings().bucket}/pacing/{storage.key_part(name)}.json"
        self._gate, self._quota = gate, quota
        self._planned = max(1, round(1 / planned_share))
        self._id, self._joined = uuid.uuid4().hex, time.time()
        self._taken: float | None = None

    def take(self, of: int, rate: float | None) -> None:
        """Take an equal part of ``of`` in a rate."""
        quota, paced = self._quota, self._gate.rate
        paced.floor = quota.slowest_per_s / of
        paced.ceiling = quota.calls_per_s / of if quota.calls_per_s else None
        if rate is not None:
            paced.per_s = rate / of if paced.ceiling is None else min(rate / of, paced.ceiling)
        if self._gate.budget and quota.tokens_per_minute:
            self._gate.budget.per_minute = quota.tokens_per_minute / of
        self._taken = paced.per_s

    def exchange(self, *, leaving: bool = False) -> None:
        """Tell the others what was learnt since the last time, and take this asker's part of what all know.

        Raises:
            RetryableError, BotoCoreError, ClientError: S3 doesn't answer; the part stays what it is.
        """
        own, before = self._gate.rate.per_s, self._taken
        common = storage.update_json(self._uri, lambda stored: self._told(stored or {}, own, before, leaving=leaving))
        if not leaving:
            self.take(self._askers(common), common["rate"])

    def _told(
        self, stored: Mapping[str, Any], own: float | None, before: float | None, *, leaving: bool
    ) -> dict[str, Any]:
        now = time.time()
        there = {name: at for name, at in stored.get("askers", {}).items() if now - at < _GONE_AFTER_S}
        there.pop(self._id, None)
        if not leaving:
            there[self._id] = now
        known = stored.get("rate") if now - stored.get("at", now) < _FORGOTTEN_AFTER_S else None
        return {"rate": self._rate(known, own, before, max(1, len(there))), "at": now, "askers": there}

    def _rate(self, known: float | None, own: float | None, before: float | None, askers: int) -> float | None:
        if known is None:
            return self._quota.calls_per_s or (None if own is None else own * max(askers, self._planned))
        if own is None or before is None:
            return known
        return max(self._quota.slowest_per_s, known + own - before)

    def _askers(self, common: Mapping[str, Any]) -> int:
        there = len(common["askers"])
        return max(there, self._planned) if time.time() - self._joined < _ALL_THERE_AFTER_S else there


@asynccontextmanager
async def shared(part: Part) -> AsyncIterator[None]:
    """Exchange what is known with the others every few seconds, from before the block until after it."""
    await _exchanged(part)
    exchanging = asyncio.create_task(_keep_exchanging(part))
    try:
        yield
    finally:
        exchanging.cancel()
        await asyncio.wait([exchanging])
        await _exchanged(part, leaving=True)


async def _keep_exchanging(part: Part) -> None:
    while True:
        await asyncio.sleep(_EVERY_S)
        await _exchanged(part)


async def _exchanged(part: Part, *, leaving: bool = False) -> None:
    try:
        await asyncio.to_thread(part.exchange, leaving=leaving)
    except (RetryableError, BotoCoreError, ClientError) as error:
        log.warning("The pace is not shared with others at the moment: %s", error)
