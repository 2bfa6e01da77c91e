"""The tabs of a Dag run and of a task instance: what it read, wrote, counted and cost, and which products that were.

A run's records are in ``lineage.runs`` once its last task has collected them; until then each lies in S3 by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from pyiceberg.expressions import And, EqualTo, Reference
from pyiceberg.expressions.literals import literal

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.views import View
from lookbook.lineage import store
from lookbook.lineage.pages.layout import render
from lookbook.lineage.pages.links import Links

Row = Mapping[str, Any]

SHOWN = 50  # datasets of a kind, products, and task instances of one mapped task
_TEXTS = "descriptions.descriptions"


@dataclass(frozen=True)
class Dataset:
    """A versioned thing that was read or written, and by how many task instances."""

    kind: str
    name: str
    version: str
    partition: str | None
    checksum: str | None
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    """Datasets of one kind: the first of them, and how many there are."""

    kind: str
    number: int
    datasets: tuple[Dataset, ...]


@dataclass(frozen=True)
class Record:
    """What one task instance recorded."""

    task_id: str
    map_index: int
    try_number: int | None
    started_at: datetime
    finished_at: datetime
    code_version: str | None
    settings_sha256: str | None
    inputs: tuple[Dataset, ...]
    outputs: tuple[Dataset, ...]
    counts: Mapping[str, int]
    details: Mapping[str, str]
    cost_usd: float | None

    @property
    def took(self) -> timedelta:
        """How long it worked."""
        return self.finished_at - self.started_at


@dataclass(frozen=True)
class Task:
    """A task of a run: its records, several where it is mapped, and what they say together."""

    task_id: str
    records: tuple[Record, ...]

    @property
    def took(self) -> timedelta:
        """From the beginning of its first instance to the end of its last."""
        return max(one.finished_at for one in self.records) - min(one.started_at for one in self.records)

    @property
    def counts(self) -> Mapping[str, int]:
        """What its instances counted, added up."""
        return _added(one.counts for one in self.records)

    @property
    def cost_usd(self) -> float | None:
        """What its instances cost, ``None`` where none bought anything whose price is known."""
        return _sum(one.cost_usd for one in self.records)

    @property
    def read(self) -> int:
        """How many things its instances read."""
        return len({(one.kind, one.name, one.version) for record in self.records for one in record.inputs})

    @property
    def wrote(self) -> int:
        """How many things its instances wrote."""
        return len({(one.kind, one.name, one.version) for record in self.records for one in record.outputs})


@dataclass(frozen=True)
class Product:
    """A product that a run or task described."""

    product_id: str
    drop_id: str
    status: str
    title: str | None


@dataclass(frozen=True)
class Products:
    """The products that a run or task described: the first of them, how many there are, and how many by status."""

    number: int
    statuses: Mapping[str, int]
    products: tuple[Product, ...]


@dataclass(frozen=True)
class Run:
    """A Dag run's records; ``collected`` tells whether they are in ``lineage.runs`` or still single objects in S3."""

    dag_id: str
    run_id: str
    drop_id: str | None
    collected: bool
    tasks: tuple[Task, ...]

    @property
    def records(self) -> tuple[Record, ...]:
        """All records of the run."""
        return tuple(record for task in self.tasks for record in task.records)

    @property
    def cost_usd(self) -> float | None:
        """What the run cost at list prices, as far as they are known."""
        return _sum(record.cost_usd for record in self.records)

    @property
    def took(self) -> timedelta | None:
        """From its first record's beginning to its last one's end."""
        ends = [(record.started_at, record.finished_at) for record in self.records]
        return max(end for _, end in ends) - min(begin for begin, _ in ends) if ends else None

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the different values of ``code_version`` or ``settings_sha256``: one, unless the run was cleared."""
        return tuple(dict.fromkeys(value for record in self.records if (value := getattr(record, name))))


def render_run(links: Links, dag_id: str, run_id: str) -> str:
    """Return the tab of a run as HTML; of one without records, it says so."""
    run = find(dag_id, run_id)
    return render(
        "run.html",
        title="What this run read and wrote",
        active=None,
        links=links,
        run=run,
        inputs=listed(run.records, "inputs"),
        outputs=listed(run.records, "outputs"),
        products=described(dag_id, run_id) if run.collected else None,
        shown=SHOWN,
    )


def render_task(links: Links, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
    """Return the tab of a task instance as HTML; of a mapped task as a whole, it lists its instances."""
    run = find(dag_id, run_id)
    task = next((task for task in run.tasks if task.task_id == task_id), None)
    record = next((one for one in task.records if one.map_index == map_index), None) if task else None
    records = (record,) if record else ()
    return render(
        "task.html",
        title=f"What {task_id}{f' [{map_index}]' if map_index >= 0 else ''} read and wrote",
        active=None,
        links=links,
        run=run,
        task_id=task_id,
        map_index=map_index,
        record=record,
        instances=task.records if task and not record and map_index < 0 else (),
        inputs=listed(records, "inputs"),
        outputs=listed(records, "outputs"),
        products=described(dag_id, run_id, task_id, map_index) if record and run.collected else None,
        shown=SHOWN,
    )


def find(dag_id: str, run_id: str) -> Run:
    """Return the records of a run, collected or not; none of a run that left none, or that there never was."""
    of_run = And(tables.equals("dag_id", dag_id), tables.equals("run_id", run_id))
    collected = View("lineage.runs").rows(of_run).to_pylist()
    rows = collected or list(_uncollected(dag_id, run_id))
    drop_id = next((row["drop_id"] for row in rows if row["drop_id"]), None)
    return Run(dag_id, run_id, drop_id, bool(collected), tuple(_tasks(_record(row) for row in rows)))


def listed(records: Iterable[Record], side: str) -> tuple[Listed, ...]:
    """Return what records read (``inputs``) or wrote (``outputs``), by kind, each thing once with its tasks."""
    tasks: dict[Dataset, dict[str, None]] = {}
    for record in records:
        for dataset in getattr(record, side):
            tasks.setdefault(dataset, {})[record.task_id] = None
    kinds: dict[str, list[Dataset]] = {}
    for one, names in tasks.items():
        kinds.setdefault(one.kind, []).append(
            Dataset(one.kind, one.name, one.version, one.partition, one.checksum, tuple(names))
        )
    return tuple(Listed(kind, len(found), tuple(found[:SHOWN])) for kind, found in sorted(kinds.items()))


def described(dag_id: str, run_id: str, task_id: str | None = None, map_index: int = -1) -> Products:
    """Return the products whose present description a run, or one of its task instances, wrote."""
    wanted = And(tables.equals("dag_id", dag_id), tables.equals("run_id", run_id))
    if task_id is not None:
        instance = EqualTo(term=Reference("map_index"), value=literal(map_index))
        wanted = And(wanted, tables.equals("task_id", task_id), instance)
    columns = ("product_id", "drop_id", "status", "title")
    found = View(_TEXTS).rows(wanted, columns).sort_by([("status", "ascending"), ("product_id", "ascending")])
    first = tuple(Product(**row) for row in found.slice(0, SHOWN).to_pylist())
    return Products(len(found), dict(Counter(found["status"].to_pylist())), first)


def _uncollected(dag_id: str, run_id: str) -> Iterator[Row]:
    """Yield the records of a run that lie in S3 as rows of ``lineage.runs`` would have them."""
    uris = [stored.uri for stored in storage.list_objects(store.run_uri(dag_id, run_id))]
    for content in storage.read_all(uris):
        if content is not None:
            stored = orjson.loads(content)
            yield {**stored, **stored["task"]}


def _tasks(records: Iterable[Record]) -> Iterator[Task]:
    """Yield the tasks of records, in the order in which they began."""
    found: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: (record.started_at, record.map_index)):
        found.setdefault(record.task_id, []).append(record)
    for task_id, instances in found.items():
        yield Task(task_id, tuple(sorted(instances, key=lambda record: record.map_index)))


def _record(row: Row) -> Record:
    return Record(
        task_id=row["task_id"],
        map_index=row["map_index"],
        try_number=row["try_number"],
        started_at=_moment(row["started_at"]),
        finished_at=_moment(row["finished_at"]),
        code_version=row.get("code_version"),
        settings_sha256=row.get("settings_sha256"),
        inputs=_datasets(row["inputs"]),
        outputs=_datasets(row["outputs"]),
        counts=dict(row["counts"] or ()),
        details=dict(row["details"] or ()),
        cost_usd=row.get("cost_usd"),
    )


def _datasets(found: Sequence[Row] | None) -> tuple[Dataset, ...]:
    return tuple(
        Dataset(one["kind"], one["name"], one["version"], one.get("partition"), one.get("checksum"))
        for one in found or ()
    )


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _added(counts: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total


def _sum(amounts: Iterable[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None
