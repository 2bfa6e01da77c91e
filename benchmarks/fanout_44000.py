"""What Airflow adds to describing 44,000 products, a product, and what memory a shard's process takes.

``DATA`` gives the ids and rows of a real catalogue. Orchestration is a run's wall time, from its first task's start to
publishing's end, beyond that of a bare asyncio loop with as many calls in flight; the loop's is measured on a quarter
of the products, since it goes through them one like the other.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import Figure
from benchmarks._fanout import Peak, bare_loop, describe, platform, publish_products, timed, warm_up

GOAL_MS = 2.0
GOAL_MIB = 400
PRODUCTS = 44_000
IN_THE_LOOP = 11_000
SHARDS_AT_ONCE = 4  # as many tasks as the laptop's Airflow runs side by side
CALLS_EACH = 8


def run(data: Path | None) -> Figure:
    """Describe a quarter of the products in a bare loop, and all of them by ``describe_products``."""
    with platform(LOOKBOOK_DESCRIPTION_CONCURRENCY=CALLS_EACH) as at:
        warm_up(at)
        publish_products("2026-11-09", IN_THE_LOOP, data)
        publish_products("2026-11-16", PRODUCTS, data)
        bare_s = bare_loop("2026-11-09", SHARDS_AT_ONCE * CALLS_EACH) * PRODUCTS / IN_THE_LOOP
        peak = Peak(at)
        described = describe(at, "2026-11-16", peak.look)
        took, memory_mib = timed(at, described), peak.mib(described)
    added_ms = (took.seconds - bare_s) * 1000 / PRODUCTS
    detail = {
        "run_s": round(took.seconds, 1),
        "bare_loop_s": round(bare_s, 1),
        "times_the_loop": round(took.seconds / bare_s, 3),
        "steps_s": took.steps_s,
        "memory_mib": memory_mib,
    }
    ok = added_ms <= GOAL_MS and memory_mib["describe"] <= GOAL_MIB
    goal = f"<= {GOAL_MS} ms and a shard's process <= {GOAL_MIB} MiB"
    return Figure("fanout_44000", round(added_ms, 2), "ms a product beyond a bare asyncio loop", goal, ok, detail)
