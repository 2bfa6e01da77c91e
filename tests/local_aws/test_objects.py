"""S3 prefixes to directories and back, against S3 in memory."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from local_aws.logs import LogStream, last_line
from local_aws.objects import Mirror, Objects, ObjectsError


@pytest.fixture
def objects(bucket: str) -> Objects:
    return Objects(boto3.client("s3"))


def _put(objects: Objects, *keys: str) -> None:
    for key in keys:
        objects.s3.put_object(Bucket="lookbook", Key=key, Body=key.encode())


def _files(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("prefix", "files"),
    [
        ("in/", ["a", "deep/b", "deeper/c"]),
        ("in", ["a", "deep/b", "deeper/c"]),
        ("in/deep", ["b", "deeper/c"]),
        ("in/deep/", ["b"]),
        ("in/a", ["a"]),
    ],
)
def test_a_prefix_becomes_files_as_sagemaker_has_it(
    objects: Objects, tmp_path: Path, prefix: str, files: list[str]
) -> None:
    _put(objects, "in/a", "in/deep/b", "in/deeper/c", "in/folder/", "other")
    assert objects.download(f"s3://lookbook/{prefix}", tmp_path) == len(files)
    assert _files(tmp_path) == files


def test_a_key_that_would_leave_the_directory_is_refused(objects: Objects, tmp_path: Path) -> None:
    _put(objects, "in/../../evil")
    with pytest.raises(ObjectsError, match="outside"):
        objects.download("s3://lookbook/in/", tmp_path / "channel")


def test_what_is_missing_is_told(objects: Objects, tmp_path: Path) -> None:
    assert objects.download("s3://lookbook/none/", tmp_path) == 0
    for uri, told in (("s3://no-bucket/x", "no-bucket"), ("/local/path", "not an S3 URI")):
        with pytest.raises(ObjectsError, match=told):
            objects.download(uri, tmp_path)
    with pytest.raises(ObjectsError, match="can't be read"):
        objects.unpack("s3://lookbook/none.tar.gz", tmp_path / "model")
    _put(objects, "plain.tar.gz")
    with pytest.raises(ObjectsError, match="can't be unpacked"):
        objects.unpack("s3://lookbook/plain.tar.gz", tmp_path / "model")


def test_a_directory_comes_back_from_its_archive(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "out/deep").mkdir(parents=True)
    (tmp_path / "out/deep/weights").write_bytes(b"w" * 100_000)
    (tmp_path / "out/report.json").write_text("{}")
    objects.upload_archive(tmp_path / "out", "s3://lookbook/model.tar.gz")
    objects.unpack("s3://lookbook/model.tar.gz", tmp_path / "back")
    assert _files(tmp_path / "back") == ["deep/weights", "report.json"]
    assert (tmp_path / "back/deep/weights").read_bytes() == b"w" * 100_000


def test_a_mirror_sends_what_changed_and_nothing_twice(objects: Objects, tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    (directory / "deep").mkdir(parents=True)
    (directory / "deep/step").write_text("1")
    mirror = Mirror(objects, directory, "s3://lookbook/checkpoints/job/")
    mirror.push()
    key = "checkpoints/job/deep/step"
    assert objects.s3.get_object(Bucket="lookbook", Key=key)["Body"].read() == b"1"
    objects.s3.delete_object(Bucket="lookbook", Key=key)
    mirror.push()
    assert objects.s3.list_objects_v2(Bucket="lookbook")["KeyCount"] == 0
    (directory / "deep/step").write_text("22")
    mirror.push()
    assert objects.s3.get_object(Bucket="lookbook", Key=key)["Body"].read() == b"22"


def test_a_log_is_shipped_line_by_line_from_where_it_stopped(bucket: str, tmp_path: Path) -> None:
    file, client = tmp_path / "log", boto3.client("logs")
    stream = LogStream(client, "/group", "job/algo-1", file)
    assert stream.ship() == []
    file.write_bytes("erste Zeile ü\n\nhalf".encode())
    assert stream.ship() == ["erste Zeile ü", ""]
    with file.open("ab") as more:
        more.write(b" done")
    again = LogStream(client, "/group", "job/algo-1", file, stream.offset)
    assert again.ship() == []
    assert again.ship(last=True) == ["half done"]
    events = client.get_log_events(logGroupName="/group", logStreamName="job/algo-1")["events"]
    assert [event["message"] for event in events] == ["erste Zeile ü", "half done"]
    assert last_line(file) == "half done"
    assert last_line(tmp_path / "none") == ""
