"""One rate for all who ask the same text model at the same time, in whatever task or run: an object in S3.

``pacing/<model>@<region>.json`` holds who asks at the moment and how many calls a second each makes. A known quota is
divided by their number. Of an unknown one each asker finds its part by what is refused to it; here the parts come
nearer to each other, and whoever leaves leaves its part: so shards that start late, end early or belong to another run
get theirs, and what was learnt outlasts a shard.
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
# Each time a rate comes so much nearer to the mean, which is seconds old.
_NEARER = 0.3
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
    """One asker's part in the rates of all; it is the gate's."""

    def __init__(self, name: str, gate: Gate, quota: Quota, planned_share: float) -> None:
        self._uri = f"s3://{get_settings().bucket}/pacing/{storage.key_part(name)}.json"
        self._gate, self._quota = gate, quota
        self._planned = max(1, round(1 / planned_share))
        self._id, self._joined = uuid.uuid4().hex, time.time()
        self._divide(self._planned)

    def exchange(self, *, leaving: bool = False) -> None:
        """Tell the others this asker's rate, and come nearer to theirs.

        Raises:
            RetryableError, BotoCoreError, ClientError: S3 doesn't answer; the rate stays what it is.
        """
        taken: list[float | None] = []

        def change(stored: Any) -> dict[str, Any]:
            changed, rate = self._told(stored or {}, leaving=leaving)
            taken[:] = [rate]
            return changed

        there = len(storage.update_json(self._uri, change)["askers"])
        if not leaving:
            self._gate.rate.per_s = taken[0]
            settling = time.time() - self._joined < _ALL_THERE_AFTER_S
            self._divide(max(there, self._planned) if settling else there)

    def _divide(self, askers: int) -> None:
        """Divide what is known of the account by so many."""
        quota, paced = self._quota, self._gate.rate
        paced.floor = quota.slowest_per_s / askers
        if quota.calls_per_s:
            before, paced.ceiling = paced.ceiling, quota.calls_per_s / askers
            paced.per_s = paced.ceiling * ((paced.per_s or before) / before if before else 1)
        if self._gate.budget and quota.tokens_per_minute:
            self._gate.budget.per_minute = quota.tokens_per_minute / askers

    def _told(self, stored: Mapping[str, Any], *, leaving: bool) -> tuple[dict[str, Any], float | None]:
        """Return what is stored next, and the rate to go on with."""
        now, own = time.time(), self._gate.rate.per_s
        there = {name: one for name, one in stored.get("askers", {}).items() if now - one["at"] < _GONE_AFTER_S}
        there.pop(self._id, None)
        spare = stored.get("spare", 0.0) if now - stored.get("at", now) < _FORGOTTEN_AFTER_S else 0.0
        if leaving:
            return {"askers": there, "spare": spare + (own or 0.0), "at": now}, own
        if self._quota.calls_per_s is None:
            own, spare = self._nearer(own, [one["rate"] for one in there.values() if one["rate"] is not None], spare)
        there[self._id] = {"rate": own, "at": now}
        return {"askers": there, "spare": spare, "at": now}, own

    def _nearer(self, own: float | None, others: list[float], spare: float) -> tuple[float | None, float]:
        """Return the rate nearer to the others', with a part of what those who left had, and what is left of that."""
        taken = spare / (len(others) + 1)
        if own is None:
            others_mean = sum(others) / (len(others) + 1)
            return (others_mean + taken or None), spare - taken
        mean = (sum(others) + own) / (len(others) + 1)
        return own + _NEARER * (mean - own) + taken, spare - taken


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
