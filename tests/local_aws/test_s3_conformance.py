"""What we rely on of S3, checked against whatever stands behind the gateway."""

from __future__ import annotations

import hashlib
import io
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.local_aws.conftest import LocalAws


@pytest.fixture(scope="module")
def s3(gateway: LocalAws) -> Any:
    client = gateway.client("s3")
    client.create_bucket(Bucket="conformance")
    return client


def _refused(call: Any, **request: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as refusal:
        call(**request)
    response = refusal.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_a_conditional_put_of_a_key_that_exists_is_refused(s3: Any) -> None:
    s3.put_object(Bucket="conformance", Key="once", Body=b"1", IfNoneMatch="*")
    refused = _refused(s3.put_object, Bucket="conformance", Key="once", Body=b"2", IfNoneMatch="*")
    assert refused == (412, "PreconditionFailed")
    assert s3.get_object(Bucket="conformance", Key="once")["Body"].read() == b"1"


def test_a_conditional_put_with_a_stale_etag_is_refused(s3: Any) -> None:
    first = s3.put_object(Bucket="conformance", Key="swap", Body=b"1")["ETag"]
    s3.put_object(Bucket="conformance", Key="swap", Body=b"2", IfMatch=first)
    assert _refused(s3.put_object, Bucket="conformance", Key="swap", Body=b"3", IfMatch=first)[0] == 412


def test_a_read_of_another_version_than_the_one_asked_for_is_refused(s3: Any) -> None:
    first = s3.put_object(Bucket="conformance", Key="read", Body=b"1")["ETag"]
    assert s3.get_object(Bucket="conformance", Key="read", IfMatch=first)["Body"].read() == b"1"
    s3.put_object(Bucket="conformance", Key="read", Body=b"2")
    assert _refused(s3.get_object, Bucket="conformance", Key="read", IfMatch=first)[0] == 412


def test_an_etag_is_the_contents_md5_and_stays(s3: Any) -> None:
    etag = s3.put_object(Bucket="conformance", Key="etag", Body=b"content")["ETag"]
    assert etag == f'"{hashlib.md5(b"content").hexdigest()}"'
    assert s3.head_object(Bucket="conformance", Key="etag")["ETag"] == etag


def test_a_multipart_upload_is_one_object(s3: Any) -> None:
    data = bytes(range(256)) * 4096 * 12
    s3.upload_fileobj(io.BytesIO(data), "conformance", "large")
    found = s3.get_object(Bucket="conformance", Key="large")
    assert found["Body"].read() == data
    assert found["ETag"].endswith('-2"')


def test_a_range_is_read_alone(s3: Any) -> None:
    s3.put_object(Bucket="conformance", Key="range", Body=b"0123456789")
    found = s3.get_object(Bucket="conformance", Key="range", Range="bytes=2-4")
    assert (found["Body"].read(), found["ContentRange"]) == (b"234", "bytes 2-4/10")


def test_lists_are_paged_in_key_order(s3: Any) -> None:
    for number in range(25):
        s3.put_object(Bucket="conformance", Key=f"page/{number:02d}", Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket="conformance", Prefix="page/", PaginationConfig={"PageSize": 10}
    )
    keys = [[item["Key"] for item in page["Contents"]] for page in pages]
    assert [len(page) for page in keys] == [10, 10, 5]
    assert [key for page in keys for key in page] == [f"page/{number:02d}" for number in range(25)]


def test_a_delimiter_folds_what_is_below_it(s3: Any) -> None:
    for key in ("fold/a/1", "fold/a/2", "fold/b"):
        s3.put_object(Bucket="conformance", Key=key, Body=b"")
    found = s3.list_objects_v2(Bucket="conformance", Prefix="fold/", Delimiter="/")
    assert [one["Prefix"] for one in found["CommonPrefixes"]] == ["fold/a/"]
    assert [one["Key"] for one in found["Contents"]] == ["fold/b"]


def test_keys_with_unusual_characters_are_kept(s3: Any) -> None:
    key = "odd/a b+c=ü&%?#/x.txt"
    s3.put_object(Bucket="conformance", Key=key, Body=b"odd")
    assert s3.get_object(Bucket="conformance", Key=key)["Body"].read() == b"odd"
    assert [one["Key"] for one in s3.list_objects_v2(Bucket="conformance", Prefix="odd/")["Contents"]] == [key]


def test_a_copy_and_a_bulk_delete_do_what_they_say(s3: Any) -> None:
    s3.put_object(Bucket="conformance", Key="from", Body=b"copied")
    s3.copy_object(Bucket="conformance", Key="to", CopySource={"Bucket": "conformance", "Key": "from"})
    assert s3.get_object(Bucket="conformance", Key="to")["Body"].read() == b"copied"
    s3.delete_objects(Bucket="conformance", Delete={"Objects": [{"Key": "from"}, {"Key": "to"}]})
    assert _refused(s3.head_object, Bucket="conformance", Key="to")[0] == 404


def test_what_is_missing_has_s3s_codes(s3: Any) -> None:
    assert _refused(s3.get_object, Bucket="conformance", Key="none") == (404, "NoSuchKey")
    assert _refused(s3.get_object, Bucket="no-such-bucket", Key="none") == (404, "NoSuchBucket")
    assert _refused(s3.head_object, Bucket="conformance", Key="none")[0] == 404


def test_an_object_that_can_not_reach_the_disk_is_not_acknowledged(s3: Any) -> None:
    s3.put_object(Bucket="conformance", Key="file", Body=b"1")
    assert _refused(s3.put_object, Bucket="conformance", Key="file/below", Body=b"2")[0] == 500


def test_an_upload_that_breaks_off_leaves_no_object(gateway: LocalAws, s3: Any) -> None:
    s3.put_object(Bucket="conformance", Key="broken", Body=b"whole")
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        client.sendall(b"PUT /conformance/broken HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\npart")
    s3.put_object(Bucket="conformance", Key="after", Body=b"")
    assert s3.get_object(Bucket="conformance", Key="broken")["Body"].read() == b"whole"


def test_a_large_object_takes_seconds_not_minutes(s3: Any) -> None:
    data = bytes(64 << 20)
    started = time.monotonic()
    s3.put_object(Bucket="conformance", Key="64MB", Body=data)
    assert len(s3.get_object(Bucket="conformance", Key="64MB")["Body"].read()) == len(data)
    assert time.monotonic() - started < 10


def test_two_hundred_writes_at_once_are_all_there(s3: Any) -> None:
    def put(number: int) -> None:
        s3.put_object(Bucket="conformance", Key=f"many/{number:03d}", Body=str(number).encode())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(200)))
    assert s3.list_objects_v2(Bucket="conformance", Prefix="many/")["KeyCount"] == 200
