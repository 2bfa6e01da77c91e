"""The files of Bedrock batch jobs: requests written within AWS's limits, answers read in whatever order they come.

https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-data.html and ``…/batch-inference-results.html``
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

from lookbook import storage
from lookbook.aws import client

log = logging.getLogger(__name__)

OUTPUT_SUFFIX = ".jsonl.out"


@dataclass(frozen=True)
class Limits:
    """What one job may hold; the defaults are the quotas of every Claude model, none of which AWS raises.

    https://docs.aws.amazon.com/general/latest/gr/bedrock.html#limits_bedrock
    """

    min_records: int = 100
    max_records: int = 50_000
    max_file_bytes: int = 1024**3
    max_job_bytes: int = 5 * 1024**3


@dataclass
class WrittenJob:
    """The input of one job on this machine's disk; ``sha256`` is that of all its lines."""

    directory: Path
    record_ids: list[str] = field(default_factory=list)
    size: int = 0
    _files: list[tuple[Path, int]] = field(default_factory=list)
    _digest: Any = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """The checksum of the lines, in their order."""
        return str(self._digest.hexdigest())

    @property
    def paths(self) -> list[Path]:
        """The files, each within the limit of a file."""
        return [path for path, _ in self._files]

    def has_room(self, line: bytes, limits: Limits) -> bool:
        """Tell whether one more line stays within the limits of a job."""
        return len(self.record_ids) < limits.max_records and self.size + len(line) <= limits.max_job_bytes

    def add(self, record_id: str, line: bytes, limits: Limits) -> None:
        """Write one line, into a file of its own if the last one is full."""
        if not self._files or self._files[-1][1] + len(line) > limits.max_file_bytes:
            self._files.append((self.directory / f"{len(self._files):05d}.jsonl", 0))
        path, size = self._files[-1]
        with path.open("ab") as file:
            file.write(line)
        self._files[-1] = path, size + len(line)
        self.size += len(line)
        self.record_ids.append(record_id)
        self._digest.update(line)


def write_jobs(
    lines: Iterable[tuple[str, bytes]], directory: Path, limits: Limits | None = None
) -> Iterator[WrittenJob]:
    """Write lines to files below ``directory``; yield each job as soon as it is full.

    A job's files are deleted when the next job is asked for, so that no more than one lies on the disk.

    Args:
        lines: pairs of record id and line.
        directory: an empty directory.
        limits: of a job.
    """
    limits = limits or Limits()
    number, job = 0, None
    for record_id, line in lines:
        if job is not None and not job.has_room(line, limits):
            yield job
            shutil.rmtree(job.directory)
            job = None
        if job is None:
            number, job = number + 1, WrittenJob(directory / f"{number:05d}")
            job.directory.mkdir()
        job.add(record_id, line, limits)
    if job is not None:
        yield job
        shutil.rmtree(job.directory)


def upload(job: WrittenJob, prefix_uri: str) -> None:
    """Put a job's files under a prefix, which ends with a slash, in place of what was there."""
    bucket, prefix = storage.split_uri(prefix_uri)
    for path in job.paths:
        client("s3").upload_file(str(path), bucket, f"{prefix}{path.name}")
    storage.delete_others(prefix_uri, {path.name for path in job.paths})


def read_answers(output_uri: str) -> Iterator[dict[str, Any]]:
    """Yield the answered and refused records below a job's output prefix, from all files, in their order.

    A line that is no JSON object is left out, and said: its record then counts as unanswered.
    """
    for stored in storage.list_objects(output_uri):
        if stored.uri.endswith(OUTPUT_SUFFIX):
            yield from _records(stored.uri)


def read_lines(input_uri: str) -> Iterator[tuple[str, bytes]]:
    """Yield record id and line of everything that was asked below a job's input prefix."""
    for stored in storage.list_objects(input_uri):
        for line in _lines(stored.uri):
            yield orjson.loads(line)["recordId"], line + b"\n"


def _records(uri: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_lines(uri), 1):
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            log.warning("%s, line %d is no JSON (%s): its record counts as unanswered.", uri, number, error)
            continue
        if isinstance(record, dict):
            yield record
        else:
            log.warning("%s, line %d is no JSON object: its record counts as unanswered.", uri, number)


def _lines(uri: str) -> Iterator[bytes]:
    """Yield the lines that hold anything, without holding more than one of them."""
    bucket, key = storage.split_uri(uri)
    body: IO[bytes] = client("s3").get_object(Bucket=bucket, Key=key)["Body"]
    yield from (line for line in body.iter_lines(chunk_size=1024**2) if line.strip())  # type: ignore[attr-defined]
