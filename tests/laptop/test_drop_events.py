from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.drops.small import DROP_ID, line, write_directory
from tests.local_aws.conftest import LocalAws

from laptop import drop_events
from lookbook import aws, drops
from lookbook.drops import events
from lookbook.settings import get_settings

ACCOUNT = "000000000000"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    gateway = LocalAws(tmp_path_factory.mktemp("local-aws") / "state").start()
    yield gateway
    gateway.stop()


@pytest.fixture
def queue_url(gateway: LocalAws, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A queue of local AWS that an empty bucket notifies, both of this test alone."""
    own = f"test-{zlib.crc32(request.node.name.encode())}"
    url = f"{gateway.url}/{ACCOUNT}/{own}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", gateway.url)
    monkeypatch.setenv("LOOKBOOK_BUCKET", own)
    monkeypatch.setenv("LOOKBOOK_DROP_EVENTS_QUEUE_URL", url)
    monkeypatch.setattr(events, "VISIBILITY_S", 0)
    get_settings.cache_clear()
    aws.client.cache_clear()
    aws.client("s3").create_bucket(Bucket=get_settings().bucket)
    drop_events.prepare(get_settings().bucket, url)
    return url


def waiting(queue_url: str) -> list[dict[str, Any]]:
    """The messages that the queue shows, which it shows again."""
    answer = aws.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return list(answer.get("Messages", []))


def test_an_uploaded_drop_is_told_of_when_it_is_complete_and_none_of_its_files(queue_url: str, tmp_path: Path) -> None:
    drops.upload(write_directory(tmp_path / "drop", line(1), line(2)), DROP_ID)

    async def first() -> list[events.Message]:
        return await anext(events.listen(queue_url))

    (message,) = asyncio.run(first())
    assert [upload.drop_id for upload in message.uploads] == [DROP_ID]
    assert message.complaints == ()
    assert events.acknowledge([message]) == 1
    assert waiting(queue_url) == []


def test_preparing_again_changes_nothing(queue_url: str) -> None:
    bucket, s3 = get_settings().bucket, aws.client("s3")
    before = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    told = waiting(queue_url)

    drop_events.prepare(bucket, queue_url)

    assert {json.loads(message["Body"])["Event"] for message in told} == {"s3:TestEvent"}
    assert len(waiting(queue_url)) == len(told)
    assert s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"] == before


def test_rubbish_is_set_aside_after_five_receptions(queue_url: str) -> None:
    aws.client("sqs").purge_queue(QueueUrl=queue_url)
    aws.client("sqs").send_message(QueueUrl=queue_url, MessageBody="rubbish")

    receptions = 0
    while waiting(queue_url):
        receptions += 1

    assert receptions == 5
    assert [message["Body"] for message in waiting(f"{queue_url}-unread")] == ["rubbish"]


def test_listening_and_telling_outlast_local_aws_being_killed(
    queue_url: str, gateway: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_PATIENCE_S", 0.1)

    async def first() -> list[events.Message]:
        return await anext(events.listen(queue_url))

    async def told() -> list[events.Message]:
        unreachable = asyncio.Event()
        monkeypatch.setattr(events.logger, "warning", lambda *_: unreachable.set())
        listening = asyncio.create_task(first())
        gateway.kill()
        await unreachable.wait()
        gateway.start()
        aws.client("s3").put_object(Bucket=get_settings().bucket, Key=f"drops/{DROP_ID}/_SUCCESS", Body=b"")
        return await listening

    (message,) = asyncio.run(told())
    assert [upload.drop_id for upload in message.uploads] == [DROP_ID]
