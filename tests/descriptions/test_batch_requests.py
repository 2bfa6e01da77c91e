"""A plan's work as batch jobs: which products go, which don't, and never twice."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.descriptions.batch import ROOT, asked, leave, output, planned
from tests.descriptions.conftest import work_item

from lookbook import storage
from lookbook.descriptions import batch_jobs, batch_requests, plans
from lookbook.descriptions.batch_files import Limits
from lookbook.descriptions.plans import WorkItem
from lookbook.settings import get_settings

pytestmark = pytest.mark.usefixtures("bucket")

SMALL = Limits(min_records=3, max_records=4)


def items(number: int, start: int = 0) -> list[WorkItem]:
    return [work_item(str(1000 + n)) for n in range(start, start + number)]


def ids(references: list[dict[str, object]]) -> list[str]:
    return [item.product_id for reference in references for item in plans.read_items(str(reference["uri"]))]


def test_a_plan_that_goes_another_way_makes_no_job() -> None:
    assert batch_requests.batch_requests(planned(items(3), mode="sharded")) is None


def test_every_product_is_a_record_of_a_job_named_by_its_content() -> None:
    work = items(3)
    (job,) = batch_requests.batch_requests(planned(work), SMALL)["jobs"]
    assert [record["recordId"] for record in asked(job)] == [item.input_hash for item in work]
    assert job["jobName"].startswith("lookbook-describe-2026-11-16-")
    assert job["modelInvocationType"] == "InvokeModel"
    assert plans.read_items(batch_requests.items_uri(ROOT, job["jobName"])) == work


def test_another_run_asks_for_the_same_job_and_other_facts_for_another() -> None:
    (first,) = batch_requests.batch_requests(planned(items(3)), SMALL)["jobs"]
    storage.delete(f"{ROOT}/batches/00000.json")
    assert batch_requests.batch_requests(planned(items(3)), SMALL)["jobs"] == [first]
    (other,) = batch_requests.batch_requests(planned(items(3, start=9)), SMALL)["jobs"]
    assert {first["jobName"], first["clientRequestToken"]}.isdisjoint({other["jobName"], other["clientRequestToken"]})


def test_what_is_too_little_for_a_job_goes_on_demand() -> None:
    prepared = batch_requests.batch_requests(planned(items(6), items(2, start=6)), SMALL)
    assert [len(asked(job)) for job in prepared["jobs"]] == [4]
    assert ids(prepared["rest"]) == ["1004", "1005", "1006", "1007"]


def test_what_a_record_can_not_hold_goes_on_demand(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LOOKBOOK_TEXT_MODEL_ID", "amazon.nova-lite-v1:0")
    get_settings.cache_clear()
    prepared = batch_requests.batch_requests(planned(items(3)), SMALL)
    assert prepared["jobs"] == [] and ids(prepared["rest"]) == ["1000", "1001", "1002"]
    assert "amazon.nova-lite-v1:0 is no Claude model" in caplog.text


def test_the_rest_is_cut_into_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_SHARD_SIZE", "2")
    get_settings.cache_clear()
    prepared = batch_requests.batch_requests(planned(items(5)), Limits(min_records=100))
    assert [reference["count"] for reference in prepared["rest"]] == [2, 2, 1]


def test_a_finished_product_is_not_asked_about() -> None:
    work = items(4)
    storage.write_bytes(work[0].result_uri, b"{}")
    (job,) = batch_requests.batch_requests(planned(work), SMALL)["jobs"]
    assert [record["recordId"] for record in asked(job)] == [item.input_hash for item in work[1:]]


def test_cleared_in_the_same_run_it_asks_for_the_same_job_though_some_of_it_is_finished_by_then() -> None:
    work = items(4)
    prepared = batch_requests.batch_requests(planned(work), SMALL)
    storage.write_bytes(work[0].result_uri, b"{}")
    again = batch_requests.batch_requests(planned(work), SMALL)
    assert again == prepared


def test_a_job_that_was_stopped_is_followed_by_one_that_asks_the_rest() -> None:
    (job,) = batch_requests.batch_requests(planned(items(9)), Limits(min_records=3))["jobs"]
    leave(job, lambda record: {"modelOutput": output("A shirt.")}, only=asked(job)[:2])
    second = batch_jobs.following(job, f"{job['jobName']}-2")
    assert asked(second) == asked(job)[2:]
    assert second["clientRequestToken"] != job["clientRequestToken"]
    assert batch_jobs.output_of(second) == batch_jobs.output_of(job)
    refused = {"error": {"errorCode": 400, "errorMessage": "bad request"}}
    leave(second, lambda record: refused, only=asked(second)[:4], job_id="fedcba654321")
    assert batch_jobs.count_left(job) == 3
    assert asked(batch_jobs.following(job, f"{job['jobName']}-3")) == asked(job)[6:]


@pytest.mark.parametrize(("hours", "late"), [(23, False), (24, True)])
def test_a_job_is_late_when_its_deadline_has_passed_since_it_was_submitted(hours: int, late: bool) -> None:
    submitted = datetime(2026, 11, 16, tzinfo=UTC)
    end = submitted + timedelta(hours=hours)
    assert batch_jobs.is_late({"status": "InProgress", "submitTime": submitted}, end) is late
    assert batch_jobs.was_late({"status": "Stopped", "submitTime": submitted, "endTime": end}) is late


@pytest.mark.parametrize(("deadline", "timeout"), [("6", 24), ("30.5", 31), ("168", 168)])
def test_aws_ends_a_job_itself_if_nobody_does(monkeypatch: pytest.MonkeyPatch, deadline: str, timeout: int) -> None:
    monkeypatch.setenv("LOOKBOOK_BATCH_DEADLINE_HOURS", deadline)
    get_settings.cache_clear()
    (job,) = batch_requests.batch_requests(planned(items(3)), SMALL)["jobs"]
    assert job["timeoutDurationInHours"] == timeout


def with_pictures(monkeypatch: pytest.MonkeyPatch, number: int) -> list[WorkItem]:
    """Return items whose pictures are in S3, and have pictures go along."""
    monkeypatch.setenv("LOOKBOOK_DESCRIPTION_PICTURE", "true")
    get_settings.cache_clear()
    pictures = [b"\xff\xd8\xff" + bytes([n]) for n in range(number)]
    uris = [f"s3://lookbook/drops/2026-11-16/images/{n}.jpg" for n in range(number)]
    for uri, picture in zip(uris, pictures, strict=True):
        storage.write_bytes(uri, picture)
    return [
        replace(item, picture_uri=uri, picture_sha256=hashlib.sha256(picture).hexdigest())
        for item, uri, picture in zip(items(number), uris, pictures, strict=True)
    ]


def test_pictures_go_along_where_the_settings_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    work = with_pictures(monkeypatch, 3)
    (job,) = batch_requests.batch_requests(planned(work), SMALL)["jobs"]
    blocks = [record["modelInput"]["messages"][0]["content"][0] for record in asked(job)]
    assert [base64.b64decode(block["source"]["data"])[-1] for block in blocks] == [0, 1, 2]


def test_a_product_whose_picture_is_gone_another_or_no_picture_goes_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    work = with_pictures(monkeypatch, 6)
    storage.delete(work[1].picture_uri)
    storage.write_bytes(work[3].picture_uri, b"\xff\xd8\xffother")
    storage.write_bytes(work[5].picture_uri, b"BM")
    work[5] = replace(work[5], picture_sha256=hashlib.sha256(b"BM").hexdigest())
    prepared = batch_requests.batch_requests(planned(work), SMALL)
    assert [record["recordId"] for record in asked(prepared["jobs"][0])] == [work[n].input_hash for n in (0, 2, 4)]
    assert ids(prepared["rest"]) == [work[n].product_id for n in (1, 3, 5)]
