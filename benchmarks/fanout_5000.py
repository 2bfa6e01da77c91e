"""What Airflow adds to describing 5,000 products: a run's wall time over that of a bare asyncio loop.

Both have the same number of calls in flight, against local AWS's Bedrock at 200 ms a call. The run counts from its
first task's start to publishing's end: planning, facts, fan-out, commit and lineage. Then the drop is described once
more, which must not call Bedrock at all.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import Figure
from benchmarks._fanout import Peak, Platform, bare_loop, calls, describe, platform, publish_products, timed, warm_up

GOAL = 1.1
PRODUCTS = 5_000
SHARDS_AT_ONCE = 4  # as many tasks as the laptop's Airflow runs side by side
CALLS_EACH = 2  # eight in flight are 2,400 calls a minute, more than most accounts are let have


def run(data: Path | None) -> Figure:
    """Describe the same products in a bare loop and by ``describe_products``."""
    with platform(LOOKBOOK_DESCRIPTION_CONCURRENCY=CALLS_EACH) as at:
        warm_up(at)
        publish_products("2026-11-09", PRODUCTS, data)
        publish_products("2026-11-16", PRODUCTS, data)
        bare_s = bare_loop("2026-11-09", SHARDS_AT_ONCE * CALLS_EACH)
        peak = Peak(at)
        described = describe(at, "2026-11-16", peak.look)
        took, memory_mib = timed(at, described), peak.mib(described)
        before = _answered(at)
        describe(at, "2026-11-16")
        again = _answered(at) - before
    ratio = took.seconds / bare_s
    detail = {
        "run_s": round(took.seconds, 1),
        "bare_loop_s": round(bare_s, 1),
        "in_flight": SHARDS_AT_ONCE * CALLS_EACH,
        "steps_s": took.steps_s,
        "calls_of_a_second_run": again,
        "memory_mib": memory_mib,
    }
    ok = ratio <= GOAL and not again
    goal = f"<= {GOAL}, and 0 calls when the drop is described again"
    return Figure("fanout_5000", round(ratio, 3), "times a bare asyncio loop", goal, ok, detail)


def _answered(at: Platform) -> int:
    return sum(int(model["calls"]) for model in calls(at).values())
