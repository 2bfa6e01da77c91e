"""Shards of products described by processes side by side, without Airflow.

Each, ``python -m benchmarks._shards <reference>``, describes one shard as a mapped task does, and says so as JSON in
its last line.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks import start
from benchmarks._fanout import publish_products
from lookbook.descriptions import planning, writing
from lookbook.settings import get_settings

_COUNTS = ("calls", "answered", "throttled", "failed")


def planned(drop_id: str, count: int, data: Path | None, *, shards: int) -> list[dict[str, Any]]:
    """Publish products as a drop and plan so many shards of them, to be described side by side."""
    publish_products(drop_id, count, data)
    os.environ["LOOKBOOK_SHARD_SIZE"] = str(-(-count // shards))
    get_settings.cache_clear()
    plan = planning.plan_products(drop_id, [], f"benchmark-{drop_id}")
    return planning.plan_shards(plan.uri, {}, "sharded", side_by_side=shards).references()


@contextmanager
def described(references: list[dict[str, Any]], directory: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Yield the processes that describe the shards, with logs ``<number>.log``; what runs in the end is ended."""
    processes = [
        start([sys.executable, "-m", "benchmarks._shards", json.dumps(reference)], directory / f"{number}.log")
        for number, reference in enumerate(references)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def finished(directory: Path, shards: int) -> list[int]:
    """Return how many products each shard has finished so far, by its log."""
    return [(directory / f"{number}.log").read_text().count(": published") for number in range(shards)]


def told(process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    """Wait for a process's end and return what it said: counts of outcomes, their list's ``uri``.

    Raises:
        SystemExit: it failed.
    """
    if process.wait():
        raise SystemExit(f"A shard failed:\n{log.read_text()[-4000:]}")
    said: dict[str, Any] = json.loads(log.read_text().splitlines()[-1])
    return said


def counted(model_id: str | None = None) -> dict[str, int]:
    """Return local AWS's counts of the calls of a model, by default the text model."""
    url = f"{get_settings().aws_endpoint_url}/_local-aws/bedrock"
    models: dict[str, dict[str, int]] = httpx.get(url).raise_for_status().json()
    return models.get(model_id or get_settings().text_model_id, dict.fromkeys(_COUNTS, 0))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    print(json.dumps(asyncio.run(writing.describe_shard(json.loads(sys.argv[1]), last_try=True))))
