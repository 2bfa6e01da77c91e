"""How long lineage takes to answer, at 44,446 products that went through five runs.

One process asks, as the API server does: where a product's description came from (its row in four tables, what
SageMaker says of model, job and endpoint config, checksums of JSON and picture as they lie in S3), and what depends on
a drop, a model, a picture. All 44,446 products are one drop, which is the hardest case: weekly drops are smaller
partitions of the same tables. The figure is the slowest product that was asked about.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import Figure, account, start
from benchmarks import _history as history

PRODUCTS = 61
"""The first of them in a fresh process; all others count."""
PICTURES = 15
ROUNDS = 3
GOAL_PRODUCT_MS, GOAL_DEPENDS_MS = 200.0, 2000.0


def run(data: Path | None) -> Figure:
    """Make five runs' worth of tables and ask."""
    with account() as state:
        made = history.make(data, PRODUCTS)
        asked = {
            "products": made.asked,
            "drops": [history.DROP] * ROUNDS,
            "models": [made.models[-1], made.models[0]] * ROUNDS,
            "pictures": made.asked[:PICTURES],
        }
        taken = _asked(asked, state / "questions.log")
    depends = [*taken["drop"], *taken["model"], *taken["picture"]]
    worst = max(taken["product"])
    detail: dict[str, Any] = {
        "first_in_a_process_ms": taken["first"][0],
        "processor_ms_a_product": taken["cpu"][0],
        **{kind: _spread(taken[kind]) for kind in ("product", "drop", "model", "picture")},
        "runs": history.RUNS,
        "rows": made.rows,
    }
    ok = worst <= GOAL_PRODUCT_MS and max(depends) <= GOAL_DEPENDS_MS
    goal = f"<= {GOAL_PRODUCT_MS:g} and what depends <= {GOAL_DEPENDS_MS:g}"
    return Figure("lineage_query", worst, f"ms, the slowest of {len(taken['product'])} products", goal, ok, detail)


def _spread(taken_ms: list[float]) -> dict[str, float]:
    return {"median_ms": round(statistics.median(taken_ms), 1), "worst_ms": max(taken_ms), "asked": len(taken_ms)}


def _asked(asked: dict[str, list[str]], log: Path) -> dict[str, list[float]]:
    process: subprocess.Popen[bytes] = start(
        [sys.executable, "-m", "benchmarks._lineage_questions", json.dumps(asked)], log
    )
    if process.wait():
        raise SystemExit(f"The questions failed:\n{log.read_text()}")
    taken: dict[str, list[float]] = json.loads(log.read_text().splitlines()[-1])
    return taken
