"""The report of an evaluation job: challenger, champion and controls on one frozen benchmark."""

from __future__ import annotations

import io
import logging
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from lookbook import storage
from lookbook.errors import PermanentError
from lookbook.lineage import records
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

JOBS = "training/jobs"
"""Where in the bucket every training and evaluation job leaves its output, under its name."""

_REPORT, _PAGE, _GOLDEN = "evaluation.json", "evaluation.html", "golden.json"
# A report is some kilobytes, a page with its pictures some hundred, and there are up to 16 golden pictures of up to a
# megabyte each. What is larger is none of them, and is not read.
_MAX_BYTES = {_REPORT: 4 * 2**20, _PAGE: 16 * 2**20, _GOLDEN: 24 * 2**20}
_MAX_ARCHIVE_BYTES = 64 * 2**20
_MAX_MEMBERS = 100
_PROBLEMS_NAMED = 3
_JOB_NAME = re.compile(r"lookbook-evaluate-[A-Za-z0-9-]{1,63}")

_Share = Annotated[float, Field(ge=0, le=1)]
_Lead = Annotated[float, Field(ge=-1, le=1)]


class ReportError(PermanentError):
    """The evaluation job left no report that can be read."""


class PageNotFoundError(PermanentError):
    """An evaluation job has no page."""


class _Part(BaseModel):
    # Whatever is not a number was not measured: NaN is refused like text.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class AttributeScore(_Part):
    """How one attribute's questions were answered; shares of 1, ``interval`` is the exact match's."""

    exact_match: _Share
    interval: tuple[_Share, _Share]
    balanced_accuracy: _Share
    macro_f1: _Share
    pairs: int = Field(gt=0)


class Score(_Part):
    """How all questions of the benchmark were answered; shares of 1, ``interval`` is the exact match's."""

    exact_match: _Share
    interval: tuple[_Share, _Share]
    balanced_accuracy: _Share
    balanced_accuracy_interval: tuple[_Share, _Share]
    macro_f1: _Share
    attributes: dict[str, AttributeScore] = Field(min_length=1)


class Models(_Part):
    """One score a model; ``majority`` always gives the most frequent answer, ``blind`` is the challenger with the
    pictures shuffled."""

    majority: Score
    base: Score
    challenger: Score
    blind: Score
    champion: Score | None = None


class Difference(_Part):
    """The challenger's exact match minus a rival's on the same questions, from -1 to 1.

    ``interval`` is the paired bootstrap's, ``p_value`` the paired randomisation test's, two-sided; both by picture.
    """

    difference: _Lead
    interval: tuple[_Lead, _Lead]
    p_value: _Share
    pairs: int = Field(gt=0)


class Comparison(Difference):
    """The difference over all questions, and attribute by attribute."""

    attributes: dict[str, Difference]


class Comparisons(_Part):
    """The challenger against each rival."""

    majority: Comparison
    base: Comparison
    blind: Comparison
    champion: Comparison | None = None


class Chance(_Part):
    """How the intervals were made: ``confidence`` is their level."""

    confidence: float = Field(ge=0.5, lt=1)


class Abstention(_Part):
    """From which probability on an attribute's answers may be used; ``None``: from none."""

    threshold: _Share | None


class Calibration(_Part):
    """How sure the challenger must be, by attribute, for ``target_precision`` of the used answers to be right."""

    target_precision: _Share
    attributes: dict[str, Abstention]


class Benchmark(_Part):
    """How large the benchmark is."""

    pairs: int = Field(gt=0)
    pictures: int = Field(gt=0)


class Code(_Part):
    """Hashes of the training image's source: of what trained the challenger, and of what evaluated it."""

    training: str = Field(min_length=1)
    evaluation: str = Field(min_length=1)


class EvaluationReport(_Part):
    """Everything that was scored on the benchmark; docs/training-image.md describes the file."""

    format: Literal[2]
    benchmark: Benchmark
    chance: Chance
    models: Models
    comparisons: Comparisons
    calibration: Calibration
    code: Code | None = None
    """``None`` in the report of an image that did not tell yet."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Refuse a report of which a part is missing: a gate that doesn't see it would let it pass."""
        attributes = self.models.challenger.attributes.keys()
        for name, _ in self.comparisons:
            score, compared = getattr(self.models, name), getattr(self.comparisons, name)
            if (score is None) != (compared is None):
                raise ValueError(f"{name} is in only one of models and comparisons")
            if compared is not None and not attributes == compared.attributes.keys() == score.attributes.keys():
                raise ValueError(f"models.{name} or comparisons.{name} has not the challenger's attributes")
        return self


class GoldenQuestion(_Part):
    """A question of the benchmark and what the challenger answered; ``picture`` is the file."""

    name: str = Field(min_length=1)
    picture: Base64Bytes = Field(min_length=1)
    attribute: str = Field(min_length=1)
    question: str = Field(min_length=1)
    answer: str


_GOLDEN_QUESTIONS = TypeAdapter(tuple[GoldenQuestion, ...])


@dataclass(frozen=True)
class Published:
    """A report, and where it and its page are kept as objects of their own."""

    report: EvaluationReport
    report_uri: str
    page_uri: str


def is_evaluation(job_name: str) -> bool:
    """Return whether a training job is one that compares models, by its name."""
    return bool(_JOB_NAME.fullmatch(job_name))


def publish(archive_uri: str) -> Published:
    """Check what a job's ``model.tar.gz`` holds and keep report, page and golden questions as objects beside it.

    Doing it twice leaves what once leaves.

    Raises:
        ReportError: the archive is too large or broken, or lacks one of them, or it is not as expected.
    """
    files = _read(archive_uri, (_REPORT, _PAGE, _GOLDEN))
    report = _parse(files[_REPORT], f"{_REPORT} in {archive_uri}")
    _parse_golden(files[_GOLDEN], f"{_GOLDEN} in {archive_uri}")
    published = Published(report, f"{job_uri(archive_uri)}{_REPORT}", f"{job_uri(archive_uri)}{_PAGE}")
    kept = storage.write_bytes(published.report_uri, files[_REPORT], content_type="application/json")
    page = storage.write_bytes(published.page_uri, files[_PAGE], content_type="text/html; charset=utf-8")
    golden = storage.write_bytes(golden_uri(published.report_uri), files[_GOLDEN], content_type="application/json")
    for stored in (kept, page, golden):
        records.writes_object(stored)
    log.info("The evaluation's page, with pictures and plots: %s", published.page_uri)
    return published


def page(job_name: str) -> bytes:
    """Return the page of an evaluation job, HTML as the job wrote it.

    Args:
        job_name: from outside; whatever is no name of an evaluation job leads nowhere.

    Raises:
        PageNotFoundError: there is none.
    """
    if not is_evaluation(job_name):
        raise PageNotFoundError(f"{job_name!r} is no name of an evaluation job. Expected lookbook-evaluate-….")
    uri = f"s3://{get_settings().bucket}/{JOBS}/{job_name}/{_PAGE}"
    try:
        return storage.read_bytes(uri)
    except storage.ObjectNotFoundError as error:
        raise PageNotFoundError(f"{job_name} has no page: the gate has not judged it, or it was deleted.") from error


def load(archive_uri: str) -> EvaluationReport:
    """Read the report out of a job's ``model.tar.gz`` or ``output.tar.gz``, in memory, nothing else unpacked.

    Raises:
        ReportError: the archive is too large or broken, or holds no report of the known format.
    """
    return _parse(_read(archive_uri, (_REPORT,))[_REPORT], f"{_REPORT} in {archive_uri}")


def thresholds(report_uri: str) -> Mapping[str, float | None]:
    """Return from which probability on a model's answers may be used, by attribute; ``None``: from none.

    Args:
        report_uri: of a report that was published.

    Raises:
        ReportError: it is not as expected.
    """
    report = _parse(records.read_object(report_uri), report_uri)
    return {attribute: one.threshold for attribute, one in report.calibration.attributes.items()}


def golden(report_uri: str) -> tuple[GoldenQuestion, ...]:
    """Return the questions that the evaluated model must answer as it did then; none of an evaluation without any.

    Args:
        report_uri: of a report that was published.

    Raises:
        ReportError: they are not as expected.
    """
    uri = golden_uri(report_uri)
    try:
        content = records.read_object(uri)
    except storage.ObjectNotFoundError:
        log.warning("%s does not exist: that evaluation kept no golden questions.", uri)
        return ()
    return _parse_golden(content, uri)


def golden_uri(report_uri: str) -> str:
    """Return where the golden questions are kept: beside the report."""
    return f"{report_uri.rpartition('/')[0]}/{_GOLDEN}"


def job_uri(archive_uri: str) -> str:
    """Return the prefix of the job that wrote ``<prefix>output/model.tar.gz``."""
    return archive_uri.rpartition("/")[0].removesuffix("output")


def _parse(content: bytes, where: str) -> EvaluationReport:
    try:
        return EvaluationReport.model_validate_json(content)
    except ValidationError as error:
        raise ReportError(f"{where} is not as expected: {_problems(error)}. Evaluate again.") from error


def _parse_golden(content: bytes, where: str) -> tuple[GoldenQuestion, ...]:
    try:
        return _GOLDEN_QUESTIONS.validate_json(content)
    except ValidationError as error:
        raise ReportError(f"{where} is not as expected: {_problems(error)}. Evaluate again.") from error


def _problems(error: ValidationError) -> str:
    """Name the first fields that are wrong, and why; what stands in them is not repeated."""
    found = [f"{'.'.join(map(str, one['loc'])) or 'report'}: {one['msg']}" for one in error.errors()]
    more = f" and {len(found) - _PROBLEMS_NAMED} more" if len(found) > _PROBLEMS_NAMED else ""
    return "; ".join(found[:_PROBLEMS_NAMED]) + more


def _read(archive_uri: str, names: tuple[str, ...]) -> dict[str, bytes]:
    """Return the files of these names, nothing else."""
    stored = storage.find(archive_uri)
    if stored is None or stored.size > _MAX_ARCHIVE_BYTES:
        found = "nothing" if stored is None else f"{stored.size} bytes"
        raise ReportError(f"{archive_uri}: found {found}, expected an archive of up to {_MAX_ARCHIVE_BYTES} bytes.")
    try:
        with tarfile.open(fileobj=io.BytesIO(records.read_object(archive_uri)), mode="r:gz") as archive:
            files = _members(archive, names)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ReportError(f"{archive_uri} can't be unpacked ({error}). Is it an evaluation job's output?") from error
    if missing := [name for name in names if name not in files]:
        raise ReportError(
            f"{archive_uri} holds no {' and no '.join(missing)}. It must be of the training image's 'evaluate'."
        )
    return files


def _members(archive: tarfile.TarFile, names: tuple[str, ...]) -> dict[str, bytes]:
    """Read plain files of these names; stop at a member that no evaluation writes, before it is inflated."""
    files: dict[str, bytes] = {}
    for number, member in enumerate(archive):
        if number >= _MAX_MEMBERS or member.size > max(_MAX_BYTES.values()):
            break
        name = member.name.removeprefix("./")
        if name in names and member.isfile() and member.size <= _MAX_BYTES[name]:
            content = archive.extractfile(member)
            files[name] = content.read() if content else b""
    return files
