"""What one task instance read and wrote, collected while it works.

The library reports datasets as it touches them (:func:`reads`, :func:`writes`, :func:`counts`, :func:`details`,
:func:`costs`); whoever runs a task opens :func:`recording` around it and decides where the finished record goes.
Outside a recording the reports are dropped, so that library code runs the same in a test, a notebook or a task.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from lookbook import storage
from lookbook.settings import UNKNOWN, get_settings, recorded
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
    "image",
    "validation",
    "model_artifact",
]


@dataclass(frozen=True)
class Dataset:
    """A versioned thing that a task read or wrote.

    ``version`` is what the thing's own system calls it: an ETag for an object, a snapshot id for a table, an ARN
    for SageMaker resources, a checksum for a prompt, a request id for a call to Bedrock, a digest for an image, a
    result id for a validation. ``partition`` is the drop, where one partition of a table was touched; ``checksum``
    the SHA-256 of the content, where the task held it.
    """

    kind: Kind
    name: str
    version: str
    partition: str | None = None
    checksum: str | None = None


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
    """The record of one task instance; ``asdict`` of it is JSON but for the two times.

    ``settings_sha256`` names the settings that the task ran under (:func:`lookbook.settings.recorded`); ``cost_usd``
    is the list price of what it bought from AWS, ``None`` where it bought nothing or no price is known.
    ``outputs_cost_usd`` is that of what it published, whichever tasks paid for it: to be read, not to be added up.
    """

    task: TaskKey
    started_at: datetime
    code_version: str
    settings_sha256: str
    finished_at: datetime | None = None
    inputs: list[Dataset] = field(default_factory=list)
    outputs: list[Dataset] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    cost_usd: float | None = None
    outputs_cost_usd: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON values, times in ISO 8601."""
        finished = self.finished_at.isoformat() if self.finished_at else None
        return asdict(self) | {"started_at": self.started_at.isoformat(), "finished_at": finished}

    def latest(self, kind: Kind, name: str) -> str | None:
        """Return the version of a dataset that the task wrote last, else read last; ``None`` if it did neither."""
        found = [one.version for one in (*self.inputs, *self.outputs) if (one.kind, one.name) == (kind, name)]
        return found[-1] if found else None

    def summary(self) -> dict[str, Any]:
        """Return the least that tells of the record, as JSON values: whose it is, what it counted and cost.

        The cost is that of what was published, where the task tells it.
        """
        cost = self.cost_usd if self.outputs_cost_usd is None else self.outputs_cost_usd
        return {"task": asdict(self.task), "counts": self.counts, "cost_usd": cost}


_current: ContextVar[LineageRecord | None] = ContextVar("lookbook_lineage_record", default=None)


@contextmanager
def recording(task: TaskKey, bundle_version: str | None = None) -> Iterator[LineageRecord]:
    """Collect what the code inside reads and writes into one record.

    The record is complete when the block ends without an exception; a failed task leaves none.

    Args:
        task: whose record it is.
        bundle_version: of the DAG bundle that the task's code came with; it stands for the code's version where
            ``LOOKBOOK_CODE_VERSION`` isn't set.
    """
    record = LineageRecord(task, datetime.now(UTC), _code_version(bundle_version), recorded().sha256)
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


def reads(
    kind: Kind, name: str, version: str | int, *, partition: str | None = None, checksum: str | None = None
) -> None:
    """Report an input of the current task; reporting it twice records it once."""
    _add("inputs", Dataset(kind, name, str(version), partition, checksum))


def writes(
    kind: Kind, name: str, version: str | int, *, partition: str | None = None, checksum: str | None = None
) -> None:
    """Report an output of the current task; reporting it twice records it once."""
    _add("outputs", Dataset(kind, name, str(version), partition, checksum))


def reads_object(stored: StoredObject) -> None:
    """Report an S3 object as input: by its ETag, and its checksum where this process read or wrote it."""
    reads("object", stored.uri, stored.etag, checksum=stored.sha256)


def writes_object(stored: StoredObject) -> None:
    """Report an S3 object as output: by its ETag, and its checksum where this process read or wrote it."""
    writes("object", stored.uri, stored.etag, checksum=stored.sha256)


def read_object(uri: str) -> bytes:
    """Return an object's content and report it as input: by its ETag and checksum.

    Raises:
        ObjectNotFoundError: nothing is stored there.
    """
    content, etag = storage.read_version(uri) or (None, "")
    if content is None:
        raise storage.ObjectNotFoundError(f"{uri} does not exist.")
    reads("object", uri, etag, checksum=hashlib.sha256(content).hexdigest())
    return content


def reads_prefix(uri: str) -> None:
    """Report everything under a prefix as input, by a fingerprint of the names and ETags there."""
    if _current.get():
        reads("prefix", uri, _fingerprint(uri))


def writes_prefix(uri: str) -> None:
    """Report everything under a prefix as output, as :func:`reads_prefix` does as input."""
    if _current.get():
        writes("prefix", uri, _fingerprint(uri))


def reads_image(uri: str, resolved: str | None = None) -> None:
    """Report the container image that ran or is to run, by its digest; one that has none, by its tag.

    Args:
        uri: as it was asked for.
        resolved: what SageMaker found under ``uri``, where it tells.
    """
    _, _, digest = (resolved or uri).rpartition("@")
    version = digest if digest.startswith("sha256:") else uri.rpartition("/")[2].partition(":")[2] or "latest"
    reads("image", uri, version)


def counts(**numbers: int) -> None:
    """Report counts (rows read, products published …) of the current task."""
    if record := _current.get():
        record.counts.update(numbers)


def adds(**numbers: int) -> None:
    """Add to counts of the current task that are known only bit by bit (tokens paid for …)."""
    if record := _current.get():
        for name, number in numbers.items():
            record.counts[name] = record.counts.get(name, 0) + number


def details(**texts: str) -> None:
    """Report short texts (links, decisions) of the current task."""
    if record := _current.get():
        record.details.update(texts)


def costs(usd: float | None) -> None:
    """Add to what the current task cost, in USD at list prices; ``None``, a price that isn't known, adds nothing."""
    if usd is not None and (record := _current.get()):
        record.cost_usd = (record.cost_usd or 0.0) + usd


def outputs_cost(usd: float | None) -> None:
    """Report what the current task publishes cost all together, whichever tasks paid for it, in USD at list prices."""
    if record := _current.get():
        record.outputs_cost_usd = usd


def _fingerprint(uri: str) -> str:
    listed = sorted(f"{stored.uri} {stored.etag}" for stored in storage.list_objects(uri))
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()[:16]


def _code_version(bundle_version: str | None) -> str:
    stated = get_settings().code_version
    return bundle_version if bundle_version and stated == UNKNOWN else stated


def _add(side: Literal["inputs", "outputs"], dataset: Dataset) -> None:
    record = _current.get()
    if record and dataset not in (datasets := getattr(record, side)):
        datasets.append(dataset)
