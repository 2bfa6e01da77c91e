"""The report of an evaluation job: challenger, champion and controls on one frozen benchmark."""

from __future__ import annotations

import io
import tarfile

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lookbook import storage
from lookbook.errors import PermanentError

_FILE = "evaluation.json"
# A report is some kilobytes. Larger than this it is not one, and is not read into memory.
_MAX_ARCHIVE_BYTES = 64 * 2**20
_MAX_REPORT_BYTES = 4 * 2**20


class ReportError(PermanentError):
    """The evaluation job left no report that can be read."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class AttributeScore(_Part):
    """How one attribute's questions were answered; shares of 1."""

    exact_match: float = Field(ge=0, le=1)
    balanced_accuracy: float | None = Field(None, ge=0, le=1)
    pairs: int = Field(ge=0)


class Score(_Part):
    """How all questions of the benchmark were answered; shares of 1. The majority answer has no balanced accuracy."""

    exact_match: float = Field(ge=0, le=1)
    balanced_accuracy: float | None = Field(None, ge=0, le=1)
    attributes: dict[str, AttributeScore]


class Models(_Part):
    """One score a model; ``blind`` is the challenger with the pictures shuffled."""

    base: Score
    challenger: Score
    blind: Score
    champion: Score | None = None


class Benchmark(_Part):
    """How large the benchmark is."""

    pairs: int = Field(gt=0)
    pictures: int = Field(gt=0)


class EvaluationReport(_Part):
    """Everything that was scored on the benchmark, beside always giving the majority answer."""

    format: int = Field(ge=1, le=1)
    benchmark: Benchmark
    majority: Score
    models: Models


def load(archive_uri: str) -> EvaluationReport:
    """Read the report out of a job's ``model.tar.gz`` or ``output.tar.gz``, in memory, nothing else unpacked.

    Raises:
        ReportError: the archive is too large or broken, or holds no report of the known format.
    """
    try:
        return EvaluationReport.model_validate_json(read_raw(archive_uri))
    except ValidationError as error:
        raise ReportError(f"{_FILE} in {archive_uri} is not as expected: {error}. Evaluate again.") from error


def read_raw(archive_uri: str) -> bytes:
    """Return the report's JSON as the job wrote it.

    Raises:
        ReportError: the archive is too large or broken, or holds no report.
    """
    stored = storage.find(archive_uri)
    if stored is None or stored.size > _MAX_ARCHIVE_BYTES:
        found = "nothing" if stored is None else f"{stored.size} bytes"
        raise ReportError(f"{archive_uri}: found {found}, expected an archive of up to {_MAX_ARCHIVE_BYTES} bytes.")
    try:
        with tarfile.open(fileobj=io.BytesIO(storage.read_bytes(archive_uri)), mode="r:gz") as archive:
            return _member(archive, archive_uri)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ReportError(f"{archive_uri} can't be unpacked ({error}). Is it an evaluation job's output?") from error


def report_uri(archive_uri: str) -> str:
    """Return where the report is kept as plain JSON, beside the job's output."""
    return f"{job_uri(archive_uri)}{_FILE}"


def job_uri(archive_uri: str) -> str:
    """Return the prefix of the job that wrote ``<prefix>output/model.tar.gz``."""
    return archive_uri.rpartition("/")[0].removesuffix("output")


def _member(archive: tarfile.TarFile, archive_uri: str) -> bytes:
    for member in archive:
        if member.name.removeprefix("./") == _FILE and member.isfile() and member.size <= _MAX_REPORT_BYTES:
            content = archive.extractfile(member)
            return content.read() if content else b""
    raise ReportError(f"{archive_uri} holds no {_FILE}. The job must be one of the training image's 'evaluate'.")
