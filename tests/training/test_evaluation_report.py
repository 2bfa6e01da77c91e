from __future__ import annotations

import copy
import io
import json
import math
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from tests.training.reports import ARCHIVE, GOLDEN, JOB, PAGE, report, store, tar

from lookbook import storage
from lookbook.aws import client
from lookbook.lineage.records import TaskKey, recording
from lookbook.training import evaluation
from lookbook.training.evaluation import PageNotFoundError, ReportError

REPORT = report(champion=0.8)

pytestmark = pytest.mark.usefixtures("bucket")


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    content = copy.deepcopy(REPORT)
    change(content)
    return content


@pytest.mark.parametrize("prefix", ["", "./"])
def test_the_report_is_read_out_of_the_jobs_archive(prefix: str) -> None:
    storage.write_bytes(ARCHIVE, tar({"other": b"x", f"{prefix}evaluation.json": json.dumps(REPORT).encode()}))
    found = evaluation.load(ARCHIVE)
    assert found.models.challenger.exact_match == 0.9
    assert found.models.majority.attributes["Fabric"].pairs == 40
    assert found.comparisons.champion is not None
    assert found.comparisons.champion.interval == pytest.approx((0.08, 0.12))


def test_what_a_later_image_adds_to_the_report_is_no_fault() -> None:
    store(REPORT | {"seconds": 12})
    assert evaluation.load(ARCHIVE).benchmark.pairs == 40


def test_report_and_page_are_kept_as_objects_beside_the_job() -> None:
    store(REPORT)
    with recording(TaskKey("retrain_attribute_model", "r", "gate")) as record:
        published = evaluation.publish(ARCHIVE)
    assert (published.report_uri, published.page_uri) == (f"{JOB}evaluation.json", f"{JOB}evaluation.html")
    assert storage.read_json(published.report_uri) == REPORT
    assert storage.read_bytes(published.page_uri) == PAGE
    head = client("s3").head_object(Bucket="lookbook", Key=published.page_uri.removeprefix("s3://lookbook/"))
    assert head["ContentType"] == "text/html; charset=utf-8"
    kept = [published.report_uri, published.page_uri, f"{JOB}golden.json"]
    assert [dataset.name for dataset in record.outputs] == kept


def test_a_report_that_is_refused_is_not_published() -> None:
    store(changed(lambda content: content["models"].pop("blind")))
    with pytest.raises(ReportError):
        evaluation.publish(ARCHIVE)
    assert storage.find(f"{JOB}evaluation.html") is None


def test_an_archive_without_a_page_is_not_published() -> None:
    storage.write_bytes(ARCHIVE, tar({"evaluation.json": json.dumps(REPORT).encode()}))
    with pytest.raises(ReportError, match=r"holds no evaluation\.html"):
        evaluation.publish(ARCHIVE)


def test_thresholds_are_the_reports_own() -> None:
    store(changed(lambda content: content["calibration"]["attributes"].update(Fit={"threshold": None})))
    assert evaluation.thresholds(evaluation.publish(ARCHIVE).report_uri) == {"Fabric": 0.625, "Fit": None}


def test_golden_questions_are_found_beside_the_report() -> None:
    store(REPORT)
    [question] = evaluation.golden(evaluation.publish(ARCHIVE).report_uri)
    assert (question.picture, question.answer) == (b"shirt", "Fabric: Cotton")


def test_an_evaluation_of_before_there_were_golden_questions_has_none() -> None:
    assert evaluation.golden(f"{JOB}evaluation.json") == ()


@pytest.mark.parametrize("content", [b"{}", b"no json", b'[{"name": "a.jpg"}]', b'[{"picture": "%%"}]'])
def test_golden_questions_that_cannot_be_asked_are_refused(content: bytes) -> None:
    storage.write_bytes(f"{JOB}golden.json", content)
    with pytest.raises(ReportError, match=r"golden\.json is not as expected"):
        evaluation.golden(f"{JOB}evaluation.json")


def test_an_archive_without_golden_questions_is_not_published() -> None:
    files = {"evaluation.json": json.dumps(REPORT).encode(), "evaluation.html": PAGE}
    storage.write_bytes(ARCHIVE, tar(files))
    with pytest.raises(ReportError, match=r"holds no golden\.json"):
        evaluation.publish(ARCHIVE)
    storage.write_bytes(ARCHIVE, tar({**files, "golden.json": json.dumps(GOLDEN[0]).encode()}))
    with pytest.raises(ReportError, match=r"golden\.json in .* is not as expected"):
        evaluation.publish(ARCHIVE)


def test_an_archive_without_a_report_is_refused() -> None:
    storage.write_bytes(ARCHIVE, tar({"merged/config.json": b"{}", "../evaluation.json": b"{}"}))
    with pytest.raises(ReportError, match=r"holds no evaluation.json"):
        evaluation.load(ARCHIVE)


def test_a_link_is_no_report() -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        link = tarfile.TarInfo("evaluation.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    storage.write_bytes(ARCHIVE, sink.getvalue())
    with pytest.raises(ReportError, match="holds no"):
        evaluation.load(ARCHIVE)


def test_an_inflated_report_is_refused_unread() -> None:
    storage.write_bytes(ARCHIVE, tar({"evaluation.json": b"0" * (5 * 2**20)}))
    with pytest.raises(ReportError, match="holds no"):
        evaluation.load(ARCHIVE)


def test_what_stands_behind_an_inflated_member_is_not_read() -> None:
    content = json.dumps(REPORT).encode()
    storage.write_bytes(ARCHIVE, tar({"bomb": b"0" * (25 * 2**20), "evaluation.json": content}))
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
    ("change", "named"),
    [
        (lambda content: content.update(format=1), "format: "),
        (lambda content: content["models"].pop("blind"), r"models\.blind: Field required"),
        (lambda content: content["models"]["majority"].update(exact_match=1.5), r"models\.majority\.exact_match: "),
        (lambda content: content["models"]["challenger"].update(exact_match=math.nan), r"challenger\.exact_match: "),
        (lambda content: content["comparisons"]["champion"].pop("interval"), r"comparisons\.champion\.interval: "),
        (lambda content: content["comparisons"].pop("champion"), "champion is in only one of models and comparisons"),
        (lambda content: content["comparisons"]["champion"]["attributes"].clear(), r"comparisons\.champion has not"),
        (lambda content: content["calibration"]["attributes"]["Fabric"].update(threshold=2), r"Fabric\.threshold: "),
    ],
    ids=[
        "another format",
        "no blind control",
        "share above one",
        "NaN",
        "no interval",
        "champion not compared",
        "attribute not compared",
        "threshold above one",
    ],
)
def test_a_report_of_another_form_is_refused_by_the_name_of_the_field(
    change: Callable[[dict[str, Any]], object], named: str
) -> None:
    store(changed(change))
    with pytest.raises(ReportError, match=f"is not as expected: .*{named}"):
        evaluation.load(ARCHIVE)


def test_a_report_that_is_not_json_is_refused() -> None:
    storage.write_bytes(ARCHIVE, tar({"evaluation.json": b'{"format": 2'}))
    with pytest.raises(ReportError, match="is not as expected"):
        evaluation.load(ARCHIVE)


def test_the_page_is_found_by_the_name_of_its_job() -> None:
    store(REPORT)
    evaluation.publish(ARCHIVE)
    assert evaluation.page("lookbook-evaluate-1") == PAGE


@pytest.mark.parametrize("name", ["lookbook-evaluate-2", "../lookbook-evaluate-1", "lookbook-evaluate-1/output", ""])
def test_no_other_name_leads_to_a_page(name: str) -> None:
    store(REPORT)
    evaluation.publish(ARCHIVE)
    with pytest.raises(PageNotFoundError):
        evaluation.page(name)
