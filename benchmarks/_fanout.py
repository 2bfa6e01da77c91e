"""What the benchmarks of the description run share: a platform whose writer takes its time, products, and a bare loop.

The bare loop is the least that must be done for a product, its call, check and stored result, in one asyncio loop in
one process without Airflow: what a run takes beyond it is orchestration.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import itertools
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import pyarrow as pa

from benchmarks import installation
from laptop import record, supervisor
from laptop.airflow_api import AirflowApi, DagRun
from laptop.environment import adopt, process_environment
from laptop.keys import load_or_create
from laptop.places import REPOSITORY, Places
from laptop.ports import Ports, next_free
from laptop.processes import family
from lookbook import storage
from lookbook.aws import async_client
from lookbook.catalog import tables
from lookbook.catalog.schemas import PRODUCTS
from lookbook.descriptions import drafting, planning, plans
from lookbook.descriptions.conversation import Messages, Reply, reply_of, request_of
from lookbook.descriptions.plans import WorkItem

DAG = "describe_products"
LATENCY_MS = 200
_API_TIMEOUT_S = 120.0
_POLL_S = 0.5
_BUSY = re.compile(r"airflow worker -- LocalExecutor: ([0-9a-f-]{36})")  # the task instance's id; "<idle>" without one
_COLUMNS = {"gender": "gender", "article_type": "articleType", "season": "season", "usage": "usage"}
_DRAWN = {
    "article_type": ("Shirts", "Tshirts", "Tops", "Jeans", "Dresses"),
    "base_colour": ("Black", "White", "Blue", "Red", "Green", "Grey", "Pink"),
    "gender": ("Men", "Women", "Unisex"),
    "fabric": ("Cotton", "Linen", "Denim"),
}


@dataclass(frozen=True)
class Platform:
    """A platform that is up; this process's environment leads to its AWS account."""

    places: Places
    api: AirflowApi
    aws_url: str


@dataclass(frozen=True)
class Timed:
    """A finished run: seconds from its first task's start to publishing's end, and those of each step in it."""

    seconds: float
    steps_s: dict[str, float]


@contextmanager
def platform(root: Path = REPOSITORY, **settings: object) -> Iterator[Platform]:
    """Yield a fresh platform, its writer at 200 ms a call, with ``settings`` as further environment variables.

    It runs what is in ``root``.
    """
    os.environ.update(
        {name: str(value) for name, value in ({"LOCAL_AWS_BEDROCK_LATENCY_MS": LATENCY_MS} | settings).items()}
    )
    with installation() as (state, _):
        here = replace(state, root=root)
        wanted = Ports(airflow=next_free(19_080), aws=next_free(15_566))
        known = supervisor.up(here, wanted, lambda line: print(line, file=sys.stderr))
        keys = load_or_create(here)
        adopt(process_environment(here, known.ports, keys))
        with AirflowApi(known.ports.airflow_url, keys.password, timeout=_API_TIMEOUT_S) as api:
            yield Platform(here, api, known.ports.aws_url)


def publish_products(drop_id: str, count: int, data: Path | None) -> None:
    """Put ``count`` products into the catalogue as a drop: the first of ``data``'s ``styles.csv``, or drawn ones."""
    rows = list(itertools.islice(_real(data) if data else _drawn(), count))
    if len(rows) < count:
        raise SystemExit(f"{data} has {len(rows)} rows that can be used; the benchmark needs {count}.")
    table = pa.Table.from_pylist([_product(drop_id, row) for row in rows], schema=PRODUCTS)
    tables.replace("catalog.products", table, tables.equals("drop_id", drop_id))


def warm_up(at: Platform) -> None:
    """Describe a few products, so that what follows doesn't pay for a platform's very first tasks."""
    publish_products("2026-11-02", 8, None)
    describe(at, "2026-11-02")


def describe(at: Platform, drop_id: str, meanwhile: Callable[[], None] = lambda: None) -> DagRun:
    """Run ``describe_products`` for a drop to its end.

    Args:
        at: the platform.
        drop_id: the drop.
        meanwhile: called about twice a second.

    Raises:
        SystemExit: the run failed.
    """
    at.api.set_paused(DAG, False)
    run = at.api.trigger(DAG, drop_id)
    while not run.finished:
        time.sleep(_POLL_S)
        meanwhile()
        run = at.api.run(DAG, run.run_id)
    if run.state != "success":
        raise SystemExit(f"{run.run_id} ended {run.state}: {at.api.task_instances(run, state=['failed'])}")
    return run


def timed(at: Platform, run: DagRun) -> Timed:
    """Say how long a finished run took that published something."""
    spans: dict[str, tuple[datetime, datetime]] = {}
    for task in at.api.task_instances(run):
        if task.started and task.ended:
            first, last = spans.get(task.task_id, (task.started, task.ended))
            spans[task.task_id] = min(first, task.started), max(last, task.ended)
    began = min(start for start, _ in spans.values())
    steps = {name: round((end - start).total_seconds(), 2) for name, (start, end) in spans.items()}
    return Timed((spans["publish"][1] - began).total_seconds(), steps)


def task_processes(at: Platform) -> list[psutil.Process]:
    """Return the processes in which tasks run now."""
    return [process for _, process in _running_tasks(at)]


def _running_tasks(at: Platform) -> Iterator[tuple[str, psutil.Process]]:
    """Yield task instances' ids with their processes: the children of workers whose title holds such an id."""
    known = record.load(at.places)
    for process in family(known.processes if known else (), at.places.state):
        with contextlib.suppress(psutil.Error):  # ended since
            parent = process.parent()
            if parent and (named := _BUSY.match(" ".join(parent.cmdline()))):
                yield named[1], process


class Peak:
    """The most that each task's process took, in bytes, pages that it shares with others included."""

    def __init__(self, at: Platform) -> None:
        self._at = at
        self._bytes: dict[str, int] = {}

    def look(self) -> None:
        """Look at every task that runs now."""
        for instance, process in _running_tasks(self._at):
            self._bytes[instance] = max(self._bytes.get(instance, 0), _resident(process))

    def mib(self, run: DagRun) -> dict[str, int]:
        """Return the most that a process of each of a run's tasks took, in MiB; of short ones it may know nothing."""
        most: dict[str, int] = {}
        for task in self._at.api.task_instances(run):
            if seen := self._bytes.get(task.id or ""):
                most[task.task_id] = max(most.get(task.task_id, 0), round(seen / 2**20))
        return most


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def bare_loop(drop_id: str, concurrency: int) -> float:
    """Return the seconds in which one asyncio loop describes a drop's products, ``concurrency`` at once."""
    items = _items(drop_id)
    began = time.perf_counter()
    asyncio.run(_loop(items, concurrency))
    return time.perf_counter() - began


def calls(at: Platform) -> dict[str, Any]:
    """Return local AWS's count of calls of each text model."""
    counted: dict[str, Any] = httpx.get(f"{at.aws_url}/_local-aws/bedrock").raise_for_status().json()
    return counted


def _items(drop_id: str) -> list[WorkItem]:
    plan = planning.plan_products(drop_id, [], f"bare-loop-{drop_id}")
    shards = planning.plan_shards(plan.uri, {})
    return [item for shard in shards.shards for item in plans.read_items(shard.uri)]


async def _loop(items: Sequence[WorkItem], concurrency: int) -> None:
    waiting = iter(items)
    async with (
        async_client("bedrock-runtime", connections=concurrency, attempts=1) as client,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(concurrency):
            group.create_task(_work(waiting, client))


async def _work(waiting: Iterator[WorkItem], client: Any) -> None:
    for item in waiting:

        async def ask(messages: Messages, item: WorkItem = item) -> Reply:
            return reply_of(await client.converse(modelId=item.text_model_id, **request_of(item, messages)))

        draft = await drafting.draft(item, ask)
        content = orjson.dumps({"product_id": item.product_id, "draft": draft})
        await asyncio.to_thread(storage.write_once, item.result_uri, content)


def _real(data: Path) -> Iterator[dict[str, Any]]:
    with (data / "styles.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            columns = {name: row[column] for name, column in _COLUMNS.items()}
            yield {
                "product_id": row["id"],
                "display_name": row["productDisplayName"],
                **columns,
                "attributes": {"baseColour": row["baseColour"]},
            }


def _drawn() -> Iterator[dict[str, Any]]:
    for number, (article_type, colour, gender, fabric) in enumerate(
        itertools.cycle(itertools.product(*_DRAWN.values()))
    ):
        yield {
            "product_id": str(10_000 + number),
            "display_name": f"{colour} {article_type}",
            "article_type": article_type,
            "gender": gender,
            "attributes": {"baseColour": colour, "Fabric": fabric},
        }


def _product(drop_id: str, row: dict[str, Any]) -> dict[str, Any]:
    own = {
        "drop_id": drop_id,
        "picture_uri": f"s3://lookbook/drops/{drop_id}/images/{row['product_id']}.jpg",
        "picture_sha256": f"picture of {row['product_id']}",
    }
    return dict.fromkeys(PRODUCTS.names) | row | own | {"attributes": list(row["attributes"].items())}
