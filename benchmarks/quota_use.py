"""How much of a quota of 600 requests a minute several shards use that nobody told the quota.

The shards are processes side by side, at 200 ms a call. They begin with calls as fast as they get answers, until the
account's bucket is empty and calls are refused; ten seconds after the first call the count begins. Beside the figure
stand the same shards with the quota in their settings.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import Figure, account
from benchmarks._shards import counted, described, finished, planned
from lookbook.settings import get_settings

PER_MINUTE = 600
SHARDS = 4
SECONDS = 90.0
"""From the first call on."""
SETTLED_S = 10.0
LATENCY_MS = 200
GOAL_USED, GOAL_THROTTLED = 0.95, 0.03
_EVERY_S = 0.25
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
    os.environ["LOCAL_AWS_BEDROCK_QUOTAS"] = f'{{"*": {{"requests_per_minute": {PER_MINUTE}}}}}'
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
    # As many as the quota and a full bucket could let through, and half as many again: no shard is to run dry.
    products = round(1.5 * PER_MINUTE * (1 + SECONDS / 60))
    references = planned(drop_id, products, data, shards=SHARDS)
    with described(references, directory):
        while not counted()["calls"]:
            time.sleep(_EVERY_S)
        began = time.monotonic()
        readings = [_reading(began + after, directory) for after in (SETTLED_S, SECONDS)]
    return _between(*readings)


def _reading(moment: float, directory: Path) -> _Reading:
    time.sleep(max(0.0, moment - time.monotonic()))
    return _Reading(time.monotonic(), counted(), finished(directory, SHARDS))


def _between(first: _Reading, last: _Reading) -> Use:
    answered, throttled, calls = (last.counts[name] - first.counts[name] for name in ("answered", "throttled", "calls"))
    allowed = (last.at - first.at) * PER_MINUTE / 60
    by_shard = [after - before for before, after in zip(first.by_shard, last.by_shard, strict=True)]
    return Use(round(answered / allowed, 4), round(throttled / max(1, calls), 4), answered, calls, by_shard)
