"""What it takes to describe products while half of all calls are throttled, 5 % fail, 5 % are rubbish and 5 % hang.

The figure is the calls that the service answered well over the least that there must be, one a product; and every
product must have its outcome. Shards are processes side by side, at 200 ms a call, as Airflow's mapped tasks are.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import orjson

from benchmarks import Figure, account
from benchmarks._shards import counted, described, planned, told
from lookbook import storage
from lookbook.descriptions.results import Result

GOAL = 1.2
PRODUCTS = 400
SHARDS = 4
LATENCY_MS = 200
FAULTS = {"throttle": 0.5, "error": 0.05, "malformed": 0.05, "hang": 0.05}
DROP = "2026-11-16"


def run(data: Path | None) -> Figure:
    """Describe the products and look at every outcome."""
    os.environ["LOCAL_AWS_BEDROCK_LATENCY_MS"] = str(LATENCY_MS)
    os.environ["LOCAL_AWS_BEDROCK_FAULTS"] = orjson.dumps(FAULTS).decode()
    with account() as state:
        references = planned(DROP, PRODUCTS, data, shards=SHARDS)
        began = time.monotonic()
        with described(references, state) as processes:
            said = [told(process, state / f"{number}.log") for number, process in enumerate(processes)]
        seconds = time.monotonic() - began
        counts, outcomes = counted(), _outcomes(said)
    least = sum(1 + (result.calls > 1) for result in outcomes.values() if result.calls)
    statuses = {status: sum(part[status] for part in said) for status in ("published", "withheld", "failed")}
    accounted = len(outcomes) == PRODUCTS and sum(statuses.values()) == PRODUCTS and not statuses["failed"]
    ratio = round(counts["answered"] / max(1, least), 3)
    detail: dict[str, Any] = {"products": statuses, "calls": counts, "least_calls": least, "seconds": round(seconds, 1)}
    goal = f"<= {GOAL}, and every product has a text or is withheld"
    return Figure("fault_storm", ratio, "of the least answered calls", goal, ratio <= GOAL and accounted, detail)


def _outcomes(said: list[dict[str, Any]]) -> dict[str, Result]:
    """Return every listed outcome by product; one that was finished must be stored as it is listed."""
    listed = [Result.from_dict(entry) for part in said for entry in storage.read_json(part["uri"])]
    for result in listed:
        if result.status != "failed" and storage.read_json(result.item.result_uri)["status"] != result.status:
            raise SystemExit(f"{result.item.label} is listed {result.status}, and stored otherwise.")
    return {result.item.product_id: result for result in listed}
