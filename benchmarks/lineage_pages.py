"""How long a Lineage page takes at 44,446 products that went through five runs.

Airflow's API server in a process of its own answers over HTTP somebody who is logged in. Each page is asked for several
times as it stands, and once after each of some commits, when what was counted of the table no longer holds. The figure
is the slowest page's median as it stands; what depends on a drop or a model, a page of its own, has a goal of its own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from benchmarks import Figure, account, start
from benchmarks import _history as history
from laptop.ports import next_free
from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.schemas import TABLES
from lookbook.settings import get_settings

GOAL_MS, GOAL_DEPENDS_MS = 300.0, 2000.0
ROUNDS = 15
COMMITS = 5
_READY_S = 300.0
_RUN = quote("manual__2026-11-15T06:00:00.000000+00:00", safe="")


def run(data: Path | None) -> Figure:
    """Make five runs' worth of tables and look at every page."""
    with account() as state:
        made = history.make(data, 2)
        _validated(made.products)
        with _server(state) as client:
            taken = {name: _look(client, path) for name, path in _pages(made).items()}
    depends = {name: spread for name, spread in taken.items() if "depends" in name}
    others = {name: spread for name, spread in taken.items() if name not in depends}
    slowest = max(others, key=lambda name: others[name]["median_ms"])
    worst, worst_depends = (max(one["median_ms"] for one in group.values()) for group in (others, depends))
    ok = worst <= GOAL_MS and worst_depends <= GOAL_DEPENDS_MS
    goal = f"<= {GOAL_MS:g} and what depends <= {GOAL_DEPENDS_MS:g}"
    detail: dict[str, Any] = {"pages": taken, "rows": made.rows}
    return Figure("lineage_pages", worst, f"ms, the median of the slowest page ({slowest})", goal, ok, detail)


def _pages(made: history.History) -> dict[str, str]:
    drop, model, product = f"/drops/{history.DROP}", f"/models/{made.models[-1]}", f"/products/{made.asked[0]}"
    return {
        "start": "",
        "search": "?q=shirt",
        "product": product,
        "drops": "/drops",
        "drop": drop,
        "drop, its products searched": f"{drop}?q=turtle+1&status=published&page=2",
        "models": "/models",
        "model": model,
        "cost": "/cost",
        "run": f"/runs/describe_products/{_RUN}",
        "task": f"/tasks/describe_products/{_RUN}/describe_shard/7",
        "what depends on the drop": f"{drop}/depends",
        "what depends on the model": f"{model}/depends",
    }


def _validated(rows: int) -> None:
    """Leave a verdict as large as a drop's in which 1,374 rows have no picture."""
    rejected = [{"position": one, "reasons": ["picture_missing"], "detail": "there is none"} for one in range(1374)]
    verdict = {"suite": "v1", "rows": rows, "rejected": rejected, "warnings": {}, "refused": [], "drift": "none"}
    storage.write_json(f"s3://{get_settings().bucket}/staging/{history.DROP}/last/validation.json", verdict)


def _look(client: httpx.Client, path: str) -> dict[str, float]:
    """Return what a page takes in milliseconds: the very first time, mostly, at worst, and after a commit."""
    first = _ms(client, path)
    taken = [_ms(client, path) for _ in range(ROUNDS)]
    after = []
    for _ in range(COMMITS):
        for name in ("catalog.quarantine", "descriptions.descriptions"):
            tables.load(name).append(TABLES[name].empty_table())
        after.append(_ms(client, path))
    return {
        "first_ms": first,
        "median_ms": round(statistics.median(taken), 1),
        "worst_ms": max(taken),
        "after_commits_ms": round(statistics.median(after), 1),
    }


def _ms(client: httpx.Client, path: str) -> float:
    began = time.perf_counter()
    answer = client.get(f"/lookbook/lineage{path}")
    taken = round((time.perf_counter() - began) * 1000, 1)
    if answer.status_code != 200:
        raise SystemExit(f"{path} was answered with {answer.status_code}, which would be measured: {answer.text[:500]}")
    return taken


@contextmanager
def _server(state: Path) -> Iterator[httpx.Client]:
    """Yield a client of the API server that is logged in, once it answers."""
    port, log = next_free(18_080), state / "pages.log"
    os.environ["AIRFLOW_HOME"] = str(state / "airflow")
    process = start([sys.executable, "-m", "benchmarks._pages_server", str(port)], log)
    try:
        token = _token(process, log)
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120) as client:
            yield client
    finally:
        process.terminate()
        process.wait()


def _token(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the token of the server's log, which has it once the server is made; requests wait for its start."""
    until = time.monotonic() + _READY_S
    while process.poll() is None and time.monotonic() < until:
        for line in log.read_text().splitlines():
            if line.startswith("token "):
                return line.removeprefix("token ")
        time.sleep(0.2)
    raise SystemExit(f"The API server did not start:\n{log.read_text()}")
