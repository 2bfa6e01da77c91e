"""How much of a quota of 600 requests a minute several shards use that nobody told the quota.

The shards are processes side by side, at 200 ms a call. The account's bucket is emptied before they start, so that they
meet the quota at once; ten seconds after the last of them has begun the count begins. Beside the figure stand the same
shards with the quota in their settings.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import Figure, account
from benchmarks._shards import counted, described, finished, planned
from lookbook.aws import async_client
from lookbook.descriptions import bedrock
from lookbook.descriptions.bedrock import ThrottledError
from lookbook.descriptions.conversation import message
from lookbook.settings import get_settings

PER_MINUTE = 600
SHARDS = 4
SECONDS = 90.0
"""From when the last shard has begun."""
SETTLED_S = 10.0
LATENCY_MS = 200
GOAL_USED, GOAL_THROTTLED = 0.95, 0.03
_EVERY_S = 0.25
_CALLERS = 32
_KNOWN_MODEL = "amazon.nova-lite-v1:0"  # each model has a quota of its own


@dataclass(frozen=True)
class Use:
    """What was made of the quota after the first seconds: shares of it used, and of calls throttled."""

    used: float
    throttled: float
    answered: int
    calls: int
    by_shard: list[int]
    """Products that each shard finished meanwhile."""


@dataclass(frozen=True)
class _Reading:
    at: float
    counts: dict[str, int]
    by_shard: list[int]


def run(data: Path | None) -> Figure:
    """Measure with the quota to be found, then with the quota known."""
    os.environ["LOCAL_AWS_BEDROCK_LATENCY_MS"] = str(LATENCY_MS)
    os.environ["LOCAL_AWS_BEDROCK_QUOTAS"] = f'{{"*": {{"rpm": {PER_MINUTE}}}}}'
    with account() as state:
        found = _use("2026-11-09", data, state / "found")
        os.environ |= {"LOOKBOOK_TEXT_MODEL_ID": _KNOWN_MODEL, "LOOKBOOK_BEDROCK_RPM": str(PER_MINUTE)}
        get_settings.cache_clear()
        known = _use("2026-11-16", data, state / "known")
    ok = found.used >= GOAL_USED and found.throttled <= GOAL_THROTTLED
    detail = {"found": asdict(found), "known": asdict(known), "shards": SHARDS, "seconds": SECONDS - SETTLED_S}
    goal = f">= {GOAL_USED}, and <= {GOAL_THROTTLED} of calls throttled"
    return Figure("quota_use", round(found.used, 3), "of the quota", goal, ok, detail)


def _use(drop_id: str, data: Path | None, directory: Path) -> Use:
    directory.mkdir()
    products = round(2 * PER_MINUTE * SECONDS / 60)  # twice what the quota lets through: no shard is to run dry
    references = planned(drop_id, products, data, shards=SHARDS)
    asyncio.run(_empty_the_bucket())
    with described(references, directory) as processes:
        while not all(finished(directory, SHARDS)):  # they don't all start at once
            if any(process.poll() is not None for process in processes):
                raise SystemExit(f"A shard has ended before all had begun: see {directory}.")
            time.sleep(_EVERY_S)
        began = time.monotonic()
        readings = [_reading(began + after, directory) for after in (SETTLED_S, SECONDS)]
    return _between(*readings)


async def _empty_the_bucket() -> None:
    """Call until a call is refused."""
    settings = get_settings()
    request = {"messages": [message("user", "Hello")], "inferenceConfig": {"maxTokens": 1}}
    emptied = asyncio.Event()
    async with async_client("bedrock-runtime", connections=_CALLERS, attempts=1) as client:

        async def call() -> None:
            while not emptied.is_set():
                try:
                    await bedrock.converse(client, settings.text_model_id, request)
                except ThrottledError:
                    emptied.set()

        await asyncio.gather(*(call() for _ in range(_CALLERS)))


def _reading(moment: float, directory: Path) -> _Reading:
    time.sleep(max(0.0, moment - time.monotonic()))
    return _Reading(time.monotonic(), counted(), finished(directory, SHARDS))


def _between(first: _Reading, last: _Reading) -> Use:
    answered, throttled, calls = (last.counts[name] - first.counts[name] for name in ("answered", "throttled", "calls"))
    allowed = (last.at - first.at) * PER_MINUTE / 60
    by_shard = [after - before for before, after in zip(first.by_shard, last.by_shard, strict=True)]
    return Use(round(answered / allowed, 4), round(throttled / max(1, calls), 4), answered, calls, by_shard)
