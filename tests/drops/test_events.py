from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import boto3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lookbook.drops import events
from lookbook.drops.discovery import drop_uri
from lookbook.drops.events import Message, Upload
from lookbook.errors import PermanentError
from lookbook.settings import get_settings

TIME, SEQUENCER = "2026-11-16T06:30:00.123Z", "0055AED6DCD90281E5"
UPLOAD = Upload("2026-11-16", f"{TIME}-{SEQUENCER}")


def record(key: str = "drops/2026-11-16/_SUCCESS", **fields: Any) -> dict[str, Any]:
    """A record as S3 sends it, with all that it says."""
    bucket = fields.pop("bucket", "lookbook")
    whole = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": TIME,
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "203.0.113.7"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "lookbook",
            "bucket": {"name": bucket, "ownerIdentity": {"principalId": "A3"}, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": key, "size": 0, "eTag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": SEQUENCER},
        },
    }
    return whole | fields


def body(*records: Any) -> str:
    return json.dumps({"Records": records})


@pytest.mark.parametrize("name", ["_SUCCESS", "manifest.json"])
def test_an_object_that_completes_a_drop_names_it(name: str) -> None:
    assert events.read_notification(body(record(f"drops/2026-11-16/{name}"))) == ((UPLOAD,), ())


def test_a_notification_is_read_out_of_the_envelope_of_a_topic() -> None:
    envelope = {"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:1:drops", "Message": body(record())}

    assert events.read_notification(json.dumps(envelope)) == ((UPLOAD,), ())


def test_a_key_is_decoded_as_s3_encodes_it() -> None:
    assert events.read_notification(body(record("drops%2F2026-11-16/%5FSUCCESS"))) == ((UPLOAD,), ())
    assert events.read_notification(body(record("drops/2026-11-16/+_SUCCESS"))) == ((), ())


def test_one_message_may_name_several_drops() -> None:
    uploads, complaints = events.read_notification(body(record(), record("drops/2026-11-23/_SUCCESS")))

    assert [upload.drop_id for upload in uploads] == ["2026-11-16", "2026-11-23"]
    assert complaints == ()


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "lookbook"}),
        body(),
        body(record("drops/2026-11-16/styles.csv")),
        body(record("drops/2026-11-16/images/_SUCCESS")),
        body(record("staging/drops/2026-11-16/_SUCCESS")),
        body(record("drops/..%2F2026-11-16/_SUCCESS")),
        body(record(eventName="ObjectRemoved:Delete")),
    ],
    ids=["test event", "no record", "a file", "deeper", "elsewhere", "climbing out", "removed"],
)
def test_what_completes_no_drop_is_no_cause_for_complaint(text: str) -> None:
    assert events.read_notification(text) == ((), ())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no S3 notification"),
        ("<html>", "no S3 notification"),
        ("[" * 100_000, "no S3 notification"),
        ('{"detail-type": "Object Created", "source": "aws.s3"}', "no S3 notification"),
        (body(*[record()] * 101), "at most 100 Records"),
        (body("a text"), "no S3 record's form"),
        (body(record(bucket="theirs")), "bucket 'theirs'; drops lie in 'lookbook'"),
        (body(record("drops/2026-11-17/_SUCCESS")), "Monday"),
        (body(record("drops/٢٠٢٦-11-16/_SUCCESS")), "Monday"),
        (body(record(eventVersion="3.0")), "eventVersion"),
        (body(record(eventSource="aws:s4")), "eventSource"),
        (body(record(eventTime="now; rm -rf /")), "eventTime"),
        (body(record(s3=[])), "s3"),
    ],
)
def test_what_is_not_understood_is_complained_of(text: str, complaint: str) -> None:
    uploads, complaints = events.read_notification(text)

    assert uploads == ()
    assert [complaint in told for told in complaints] == [True]


def test_a_bad_record_does_not_hide_the_good_one_beside_it() -> None:
    uploads, complaints = events.read_notification(body(record(bucket="theirs"), record(), None))

    assert uploads == (UPLOAD,)
    assert len(complaints) == 2


def test_a_complaint_is_short_and_prints_whatever_it_quotes() -> None:
    _, (complaint,) = events.read_notification(body(record(bucket="\ud800\x1b[31m" + "x" * 10_000)))

    assert complaint.isprintable()
    assert len(complaint) <= 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
FIELDS = sorted(record().keys())
KEYS = st.text() | st.from_regex(r"drops/[0-9-]{10}/(_SUCCESS|manifest\.json)", fullmatch=True)


@st.composite
def hostile_records(draw: st.DrawFn) -> dict[str, Any]:
    """Records of S3 with any key and any field replaced by anything."""
    drawn = record(draw(KEYS), bucket=draw(st.sampled_from(["lookbook", "theirs"]) | st.text()))
    drawn["s3"]["object"]["sequencer"] = draw(st.just(SEQUENCER) | JSON)
    return drawn | {name: draw(JSON | st.text()) for name in draw(st.sets(st.sampled_from(FIELDS), max_size=2))}


@given(
    st.text() | JSON.map(json.dumps) | st.lists(hostile_records() | JSON, max_size=3).map(lambda drawn: body(*drawn))
)
@example('{"Type": "Notification", "Message": "\ud800"}')
def test_whatever_comes_only_mondays_under_safe_run_ids_come_out(text: str) -> None:
    uploads, complaints = events.read_notification(text)

    for upload in uploads:
        assert drop_uri(upload.drop_id) == f"s3://lookbook/drops/{upload.drop_id}/"
        assert re.fullmatch(r"[A-Za-z0-9_.:-]{20,200}", upload.run_id)
    assert all(complaint.isprintable() for complaint in complaints)


def test_the_same_event_gives_the_same_run_and_another_upload_another() -> None:
    first, again, later = (
        events.read_notification(body(one))[0][0]
        for one in (record(), record(), record(eventTime="2026-11-16T06:31:00.000Z"))
    )

    assert first.run_id == again.run_id == f"s3_event__2026-11-16__{TIME}-{SEQUENCER}"
    assert later.run_id != first.run_id


def test_a_drop_that_several_messages_name_is_ingested_once_as_it_was_last_completed() -> None:
    later = Upload("2026-11-16", "2026-11-16T06:31:00.000Z-0")
    other = Upload("2026-11-09", UPLOAD.version)
    messages = [Message("1", "a", (later, other)), Message("2", "b", (UPLOAD,)), Message("3", "c", (), ("rubbish",))]

    assert events.latest_uploads(messages) == [other, later]


def test_a_message_survives_being_stored_as_json() -> None:
    message = Message("1", "a", (UPLOAD,), ("a complaint",))

    assert Message.from_reference(json.loads(json.dumps(message.reference()))) == message


@pytest.fixture
def queue_url(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty queue, which shows a received message again at once and holds no request open."""
    monkeypatch.setattr(events, "VISIBILITY_S", 0)
    monkeypatch.setattr(events, "_WAIT_S", 0)
    url: str = boto3.client("sqs").create_queue(QueueName="drop-events")["QueueUrl"]
    monkeypatch.setenv("LOOKBOOK_DROP_EVENTS_QUEUE_URL", url)
    get_settings.cache_clear()
    return url


def send(queue_url: str, *texts: str) -> None:
    for text in texts:
        boto3.client("sqs").send_message(QueueUrl=queue_url, MessageBody=text)


def left(queue_url: str) -> set[str]:
    """The texts of the messages that the queue holds."""
    answer = boto3.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return {message["Body"] for message in answer.get("Messages", [])}


def listened(queue_url: str) -> list[Message]:
    """What comes first of the queue."""

    async def first() -> list[Message]:
        return await anext(events.listen(queue_url))

    return asyncio.run(asyncio.wait_for(first(), timeout=30))


def test_a_message_that_names_a_drop_stays_until_it_is_acknowledged(queue_url: str) -> None:
    send(queue_url, body(record()))
    messages = listened(queue_url)

    assert [message.uploads for message in messages] == [(UPLOAD,)]
    assert left(queue_url) == {body(record())}
    assert events.acknowledge(listened(queue_url)) == 1
    assert left(queue_url) == set()


def test_a_message_that_concerns_no_drop_is_deleted_and_not_told_of(queue_url: str) -> None:
    picture = body(record("drops/2026-11-16/images/1.jpg"))
    send(queue_url, picture, json.dumps({"Event": "s3:TestEvent"}), body(record()))

    assert [message.uploads for message in listened(queue_url)] == [(UPLOAD,)]
    assert left(queue_url) == {body(record())}


def test_rubbish_is_told_of_stays_and_does_not_hold_up_the_drop_beside_it(queue_url: str) -> None:
    send(queue_url, "rubbish", body(record()))
    messages = listened(queue_url)

    with pytest.raises(PermanentError, match=r"message .*no S3 notification"):
        events.acknowledge(messages)
    assert left(queue_url) == {"rubbish"}


def test_what_was_acknowledged_may_be_acknowledged_again(queue_url: str) -> None:
    send(queue_url, body(record()))
    messages = listened(queue_url)

    assert events.acknowledge(messages) == events.acknowledge(messages) == 1


def test_more_messages_are_acknowledged_than_one_request_takes(queue_url: str) -> None:
    messages: list[Message] = []
    send(queue_url, *[body(record())] * 12)
    boto3.client("sqs").set_queue_attributes(QueueUrl=queue_url, Attributes={"VisibilityTimeout": "60"})
    while answer := boto3.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
        messages += [Message(one["MessageId"], one["ReceiptHandle"], (UPLOAD,)) for one in answer]

    assert events.acknowledge(messages) == 12
    boto3.client("sqs").set_queue_attributes(QueueUrl=queue_url, Attributes={"VisibilityTimeout": "0"})
    assert left(queue_url) == set()


def test_without_a_queue_there_is_nothing_to_acknowledge() -> None:
    with pytest.raises(PermanentError, match="LOOKBOOK_DROP_EVENTS_QUEUE_URL is not set"):
        events.acknowledge([])


def test_listening_outlasts_a_queue_that_cannot_be_reached(queue_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    boto3.client("sqs").delete_queue(QueueUrl=queue_url)

    async def mend(seconds: float) -> None:
        waited.append(seconds)
        boto3.client("sqs").create_queue(QueueName="drop-events")
        send(queue_url, body(record()))

    monkeypatch.setattr(events, "sleep", mend)

    assert [message.uploads for message in listened(queue_url)] == [(UPLOAD,)]
    assert waited == [30.0]
