"""What one task instance read and wrote, collected while it works.

The library reports datasets as it touches them (:func:`reads`, :func:`writes`, :func:`counts`, :func:`details`);
whoever runs a task opens :func:`recording` around it and decides where the finished record goes. Outside a
recording the reports are dropped, so that library code runs the same in a test, a notebook or a task.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from lookbook.storage import StoredObject

Kind = Literal[
    "object",
    "prefix",
    "table",
    "training_job",
    "transform_job",
    "batch_job",
    "model_package",
    "endpoint_config",
    "prompt",
    "text_model",
    "request",
]


@dataclass(frozen=True)
class Dataset:
    """A versioned thing that a task read or wrote.

    ``version`` is what the thing's own system calls it: an ETag for an object, a snapshot id for a table, an ARN
    for SageMaker resources, a checksum for a prompt, a request id for a call to Bedrock.
    """

    kind: Kind
    name: str
    version: str


@dataclass(frozen=True)
class TaskKey:
    """Which task instance: Airflow's ids, plus the drop that its run is about (``None`` for a run without one)."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    try_number: int = 1
    drop_id: str | None = None


@dataclass
class LineageRecord:
    """The record of one task instance; ``asdict`` of it is JSON but for the two times."""

    task: TaskKey
    started_at: datetime
    finished_at: datetime | None = None
    inputs: list[Dataset] = field(default_factory=list)
    outputs: list[Dataset] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON values, times in ISO 8601."""
        finished = self.finished_at.isoformat() if self.finished_at else None
        return asdict(self) | {"started_at": self.started_at.isoformat(), "finished_at": finished}


_current: ContextVar[LineageRecord | None] = ContextVar("lookbook_lineage_record", default=None)


@contextmanager
def recording(task: TaskKey) -> Iterator[LineageRecord]:
    """Collect what the code inside reads and writes into one record.

    The record is complete when the block ends without an exception; a failed task leaves none.
    """
    record = LineageRecord(task, started_at=datetime.now(UTC))
    token = _current.set(record)
    try:
        yield record
        record.finished_at = datetime.now(UTC)
    finally:
        _current.reset(token)


def current_task() -> TaskKey | None:
    """Return the task instance that is being recorded, or ``None`` outside a recording."""
    record = _current.get()
    return record.task if record else None


def reads(kind: Kind, name: str, version: str | int) -> None:
    """Report an input of the current task; reporting it twice records it once."""
    _add("inputs", Dataset(kind, name, str(version)))


def writes(kind: Kind, name: str, version: str | int) -> None:
    """Report an output of the current task; reporting it twice records it once."""
    _add("outputs", Dataset(kind, name, str(version)))


def reads_object(stored: StoredObject) -> None:
    """Report an S3 object as input, by its ETag."""
    reads("object", stored.uri, stored.etag)


def writes_object(stored: StoredObject) -> None:
    """Report an S3 object as output, by its ETag."""
    writes("object", stored.uri, stored.etag)


def counts(**numbers: int) -> None:
    """Report counts (rows read, products published …) of the current task."""
    if record := _current.get():
        record.counts.update(numbers)


def details(**texts: str) -> None:
    """Report short texts (links, decisions) of the current task."""
    if record := _current.get():
        record.details.update(texts)


def _add(side: Literal["inputs", "outputs"], dataset: Dataset) -> None:
    record = _current.get()
    if record and dataset not in (datasets := getattr(record, side)):
        datasets.append(dataset)
