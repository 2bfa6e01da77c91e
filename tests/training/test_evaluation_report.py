from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from lookbook import storage
from lookbook.training import evaluation
from lookbook.training.evaluation import ReportError

ARCHIVE = "s3://lookbook/training/jobs/lookbook-evaluate-1/output/model.tar.gz"
SCORE = {
    "exact_match": 0.9,
    "balanced_accuracy": 0.8,
    "attributes": {"Fabric": {"exact_match": 0.9, "balanced_accuracy": 0.8, "pairs": 40}},
}
REPORT: dict[str, Any] = {
    "format": 1,
    "benchmark": {"pairs": 40, "pictures": 40},
    "majority": {"exact_match": 0.4, "attributes": {"Fabric": {"exact_match": 0.4, "pairs": 40}}},
    "models": {"base": SCORE, "challenger": SCORE, "blind": SCORE},
}

pytestmark = pytest.mark.usefixtures("bucket")


def store(members: dict[str, bytes], uri: str = ARCHIVE) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    storage.write_bytes(uri, sink.getvalue())


@pytest.mark.parametrize("name", ["evaluation.json", "./evaluation.json"])
def test_the_report_is_read_out_of_the_jobs_archive(name: str) -> None:
    store({"other": b"x", name: json.dumps(REPORT).encode()})
    report = evaluation.load(ARCHIVE)
    assert report.models.challenger.exact_match == 0.9
    assert report.models.challenger.attributes["Fabric"].pairs == 40
    assert report.models.champion is None
    assert report.majority.attributes["Fabric"].exact_match == 0.4


def test_what_a_later_image_adds_to_the_report_is_no_fault() -> None:
    store({"evaluation.json": json.dumps(REPORT | {"calibration": [1]}).encode()})
    assert evaluation.load(ARCHIVE).benchmark.pairs == 40


def test_an_archive_without_a_report_is_refused() -> None:
    store({"merged/config.json": b"{}", "../evaluation.json": b"{}"})
    with pytest.raises(ReportError, match=r"holds no evaluation.json"):
        evaluation.load(ARCHIVE)


def test_a_link_is_no_report() -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:
        link = tarfile.TarInfo("evaluation.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    storage.write_bytes(ARCHIVE, sink.getvalue())
    with pytest.raises(ReportError, match="holds no"):
        evaluation.load(ARCHIVE)


def test_an_inflated_report_is_refused_unread() -> None:
    store({"evaluation.json": b"0" * (5 * 2**20)})
    with pytest.raises(ReportError, match="holds no"):
        evaluation.load(ARCHIVE)


def test_a_missing_archive_is_named() -> None:
    with pytest.raises(ReportError, match=r"evaluate-1/output/model.tar.gz: found nothing"):
        evaluation.load(ARCHIVE)


@pytest.mark.parametrize("content", [b"", b"not a tar", b"\x1f\x8b\x08\x00broken"])
def test_a_broken_archive_is_refused(content: bytes) -> None:
    storage.write_bytes(ARCHIVE, content)
    with pytest.raises(ReportError):
        evaluation.load(ARCHIVE)


@pytest.mark.parametrize(
    "change",
    [{"format": 2}, {"models": {"base": SCORE, "challenger": SCORE}}, {"majority": SCORE | {"exact_match": 1.5}}],
    ids=["unknown format", "no blind control", "share above one"],
)
def test_a_report_of_another_form_is_refused(change: dict[str, Any]) -> None:
    store({"evaluation.json": json.dumps(REPORT | change).encode()})
    with pytest.raises(ReportError, match="is not as expected"):
        evaluation.load(ARCHIVE)
