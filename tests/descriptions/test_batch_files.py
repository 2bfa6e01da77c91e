"""A job's files within AWS's limits, and its answers in any order."""

from __future__ import annotations

import re
from pathlib import Path

import boto3
import pytest

from lookbook import storage
from lookbook.descriptions import batch_files, batch_jobs
from lookbook.descriptions.batch_files import Limits


def lines(number: int) -> list[tuple[str, bytes]]:
    """Return lines of ten bytes each."""
    return [(f"id{n}", b"%09d\n" % n) for n in range(number)]


@pytest.mark.parametrize(
    ("limits", "jobs"),
    [
        (Limits(max_records=4), [["00000.jsonl"], ["00000.jsonl"], ["00000.jsonl"]]),
        (Limits(max_file_bytes=30), [["00000.jsonl", "00001.jsonl", "00002.jsonl", "00003.jsonl"]]),
        (Limits(max_file_bytes=30, max_job_bytes=60), [["00000.jsonl", "00001.jsonl"], ["00000.jsonl", "00001.jsonl"]]),
        (Limits(), [["00000.jsonl"]]),
    ],
)
def test_records_are_cut_into_files_and_jobs_within_the_limits(
    limits: Limits, jobs: list[list[str]], tmp_path: Path
) -> None:
    found, content = [], b""
    for job in batch_files.write_jobs(lines(10), tmp_path, limits):
        assert len(job.record_ids) <= limits.max_records and job.size <= limits.max_job_bytes
        assert all(path.stat().st_size <= limits.max_file_bytes for path in job.paths)
        found.append([path.name for path in job.paths])
        content += b"".join(path.read_bytes() for path in job.paths)
    assert found == jobs
    assert content == b"".join(line for _, line in lines(10))


def test_no_more_than_one_job_lies_on_the_disk(tmp_path: Path) -> None:
    for _ in batch_files.write_jobs(lines(10), tmp_path, Limits(max_records=2)):
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_checksum_is_that_of_the_lines_however_they_are_cut(tmp_path: Path) -> None:
    def checksum(limits: Limits, number: int = 10) -> str:
        (job,) = [job.sha256 for job in batch_files.write_jobs(lines(number), tmp_path, limits)]
        return job

    assert checksum(Limits()) == checksum(Limits(max_file_bytes=30)) != checksum(Limits(), 9)


@pytest.mark.usefixtures("bucket")
def test_an_upload_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    for number, limit in ((10, 30), (3, 100)):
        for job in batch_files.write_jobs(lines(number), tmp_path, Limits(max_file_bytes=limit)):
            batch_files.upload(job, "s3://lookbook/batches/b/input/")
    assert storage.read_bytes("s3://lookbook/batches/b/input/00000.jsonl") == b"".join(line for _, line in lines(3))
    assert len(list(storage.list_objects("s3://lookbook/batches/b/input/"))) == 1


@pytest.mark.usefixtures("bucket")
def test_answers_of_all_files_are_read_and_what_is_none_is_said(caplog: pytest.LogCaptureFixture) -> None:
    root = "s3://lookbook/batches/b/output/"
    storage.write_bytes(f"{root}job1/00000.jsonl.out", b'{"recordId": "a"}\r\n\n{"recordId": "b"}\n')
    storage.write_bytes(f"{root}job1/00001.jsonl.out", b'{"recordId": "c"')
    storage.write_bytes(f"{root}job2/00000.jsonl.out", b'[1]\n{"recordId": "d"}')
    storage.write_bytes(f"{root}job1/manifest.json.out", b"{}")
    assert [record["recordId"] for record in batch_files.read_answers(root)] == ["a", "b", "d"]
    assert "job1/00001.jsonl.out, line 1 is no JSON" in caplog.text
    assert "job2/00000.jsonl.out, line 1 is no JSON object" in caplog.text


@pytest.mark.usefixtures("bucket")
def test_a_request_keeps_awss_patterns(tmp_path: Path) -> None:
    (request,) = [
        batch_jobs.submission(job, "us.anthropic.claude-haiku-4-5-20251001-v1:0", "2026-11-16")
        for job in batch_files.write_jobs(lines(3), tmp_path)
    ]
    client = boto3.client("bedrock", region_name="us-east-1")
    shape = client.meta.service_model.operation_model("CreateModelInvocationJob").input_shape
    for member in ("jobName", "clientRequestToken", "roleArn", "modelId"):
        described = shape.members[member].metadata
        pattern = client.meta.service_model.shape_for(shape.members[member].name).metadata.get("pattern", ".*")
        assert re.fullmatch(pattern, request[member])
        assert len(request[member]) <= described["max"]
