"""S3 tells of complete drops through an SQS queue: receive its messages, say which drops they name, delete them.

Two forms are read: S3's notification sent to the queue directly, and the same inside the envelope of an SNS topic.
Nothing in a message is trusted: bucket, key, drop and time must each have the form that S3 and docs/data-contract.md
give them. What is not understood stays in the queue, for its redrive policy to move aside.
"""

from __future__ import annotations

import logging
import re
from asyncio import sleep
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import unquote_plus

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, Field, JsonValue, ValidationError

from lookbook.aws import async_client, client
from lookbook.drops.discovery import drop_uri
from lookbook.errors import PermanentError, RetryableError
from lookbook.settings import get_settings

logger = logging.getLogger(__name__)

# How long a received message stays out of sight: time for its run to be made and the message to be deleted. After
# that it comes again, which is how nothing is lost.
VISIBILITY_S = 300
_WAIT_S = 20  # the longest that SQS holds a request open
_PATIENCE_S = 30.0
_BATCH = 10  # messages a request, SQS's limit
_MOST_RECORDS = 100  # S3 sends one
_LONGEST_COMPLAINT = 300

_COMPLETION = re.compile(r"drops/([^/]*)/(?:_SUCCESS|manifest\.json)")

Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True)
class Upload:
    """A drop whose ``_SUCCESS`` or ``manifest.json`` was written, and when: the same however often S3 tells of it."""

    drop_id: str
    version: str  # the time of the event and S3's sequencer; a later one is greater

    @property
    def run_id(self) -> str:
        """Return the id of the run that ingests it."""
        return f"s3_event__{self.drop_id}__{self.version}"


@dataclass(frozen=True)
class Message:
    """What one received message says. ``complaints`` tell what of it could not be understood, and why."""

    message_id: str
    receipt_handle: str
    uploads: tuple[Upload, ...] = ()
    complaints: tuple[str, ...] = ()

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values; :meth:`from_reference` restores it."""
        return asdict(self)

    @classmethod
    def from_reference(cls, reference: dict[str, Any]) -> Self:
        """Return the message that :meth:`reference` was taken of."""
        uploads = tuple(Upload(**upload) for upload in reference["uploads"])
        return cls(reference["message_id"], reference["receipt_handle"], uploads, tuple(reference["complaints"]))


# S3's event message structure, versions 2.x; a new major version may change what fields mean.
class _Bucket(BaseModel):
    name: str


class _Object(BaseModel):
    key: str
    sequencer: Annotated[str, Field(pattern=r"\A[0-9A-Fa-f]{1,64}\z")] = "0"


class _Stored(BaseModel):
    bucket: _Bucket
    object: _Object


class _Record(BaseModel):
    event_version: Annotated[str, Field(alias="eventVersion", pattern=r"\A2\.[0-9]{1,3}\z")]
    event_source: Annotated[Literal["aws:s3"], Field(alias="eventSource")]
    event_name: Annotated[str, Field(alias="eventName")]
    event_time: Annotated[str, Field(alias="eventTime", pattern=r"\A[0-9-]{10}T[0-9:]{8}(\.[0-9]{1,9})?Z\z")]
    s3: _Stored


class _Notification(BaseModel):
    records: Annotated[list[JsonValue], Field(alias="Records", max_length=_MOST_RECORDS)]


class _TestEvent(BaseModel):
    """What S3 sends when notifications are switched on."""

    event: Annotated[Literal["s3:TestEvent"], Field(alias="Event")]


class _Envelope(BaseModel):
    type: Annotated[Literal["Notification"], Field(alias="Type")]
    message: Annotated[str, Field(alias="Message")]


async def listen(queue_url: str) -> AsyncIterator[list[Message]]:
    """Yield, for ever, the messages that name drops or cannot be understood, as they come.

    A message that is understood and concerns no drop, such as S3's test event or a picture's, is deleted at once.
    Every other one stays in the queue, out of sight for ``VISIBILITY_S`` seconds, until it is :func:`acknowledged
    <acknowledge>`. When the queue can't be reached, that is logged and tried again.
    """
    while True:
        try:
            async with async_client("sqs", connections=1) as sqs:
                while True:
                    if messages := await _receive(sqs, queue_url):
                        yield messages
        except (BotoCoreError, ClientError) as error:
            logger.warning("can't receive from %s: %s; trying again in %.0f s", queue_url, error, _PATIENCE_S)
            await sleep(_PATIENCE_S)


async def _receive(sqs: Any, queue_url: str) -> list[Message]:
    answer = await sqs.receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=_BATCH,
        WaitTimeSeconds=_WAIT_S,
        VisibilityTimeout=VISIBILITY_S,
    )
    messages = [_understood(received) for received in answer.get("Messages", [])]
    idle = [message for message in messages if not message.uploads and not message.complaints]
    if idle:
        logger.info("deleting %d messages of %s that concern no drop", len(idle), queue_url)
        await sqs.delete_message_batch(QueueUrl=queue_url, Entries=_entries(idle))
    return [message for message in messages if message not in idle]


def _understood(received: dict[str, Any]) -> Message:
    uploads, complaints = read_notification(received["Body"])
    return Message(received["MessageId"], received["ReceiptHandle"], uploads, complaints)


def read_notification(body: str) -> tuple[tuple[Upload, ...], tuple[str, ...]]:
    """Return the drops that a message says were completed, and what of it could not be understood.

    Both are empty for a message that is understood and concerns no drop: S3's test event, other objects' events.
    """
    uploads: list[Upload] = []
    complaints: list[str] = []
    try:
        records = _records(body)
    except (ValueError, PermanentError) as error:
        return (), (_complaint(error),)
    for record in records:
        try:
            uploads += _completed(record)
        except (ValueError, PermanentError) as error:
            complaints.append(_complaint(error))
    return tuple(uploads), tuple(complaints)


def _records(body: str) -> list[JsonValue]:
    """Return the records of a notification, out of SNS's envelope if it came in one; S3's test event has none."""
    content = _parsed(_Envelope, body)
    text = content.message if content else body
    if _parsed(_TestEvent, text):
        return []
    if notification := _parsed(_Notification, text):
        return notification.records
    raise PermanentError(
        "it is no S3 notification: expected a JSON object with at most "
        f"{_MOST_RECORDS} Records, as S3 sends it to a queue, directly or through an SNS topic"
    )


def _parsed(form: type[Form], text: str) -> Form | None:
    try:
        return form.model_validate_json(text)
    except ValidationError:
        return None


def _completed(record: JsonValue) -> list[Upload]:
    """Return the drop that a record completes, if it completes one.

    Raises:
        ValueError: it has not the form of S3's records.
        PermanentError: it is of another bucket, or the drop is named by no Monday.
    """
    event = _Record.model_validate(record)
    if not event.event_name.startswith("ObjectCreated:"):
        return []
    ours = get_settings().bucket
    if event.s3.bucket.name != ours:
        raise PermanentError(f"it tells of an object in bucket {event.s3.bucket.name!r}; drops lie in {ours!r}")
    found = _COMPLETION.fullmatch(unquote_plus(event.s3.object.key))
    if not found:
        return []
    drop_uri(found[1])  # refuses what names no drop
    return [Upload(found[1], f"{event.event_time}-{event.s3.object.sequencer}")]


def _complaint(error: Exception) -> str:
    if isinstance(error, ValidationError):
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        text = "it has no S3 record's form: " + "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults[:3]
        )
    else:
        text = str(error)
    return text.encode("ascii", "backslashreplace").decode()[:_LONGEST_COMPLAINT]


def latest_uploads(messages: Iterable[Message]) -> list[Upload]:
    """Return each drop once, as it was last completed, in the order of the drops."""
    latest: dict[str, Upload] = {}
    for upload in (upload for message in messages for upload in message.uploads):
        known = latest.setdefault(upload.drop_id, upload)
        latest[upload.drop_id] = max(known, upload, key=lambda one: one.version)
    return [latest[drop_id] for drop_id in sorted(latest)]


def acknowledge(messages: Iterable[Message]) -> int:
    """Delete the messages that were understood, each once a run is there for every drop it names; return how many.

    Raises:
        RetryableError: SQS could not delete some of them.
        PermanentError: others could not be understood; the message names each and says why. They stay in the queue.
    """
    queue_url = get_settings().drop_events_queue_url
    if not queue_url:
        raise PermanentError("LOOKBOOK_DROP_EVENTS_QUEUE_URL is not set, so that there is no queue to delete from.")
    received = list(messages)
    understood = [message for message in received if not message.complaints]
    for first in range(0, len(understood), _BATCH):
        _delete(queue_url, understood[first : first + _BATCH])
    if complaints := [
        f"message {message.message_id}: {complaint}" for message in received for complaint in message.complaints
    ]:
        raise PermanentError(
            f"{queue_url} holds what is no notification of ours and stays there until the queue's redrive policy moves "
            f"it aside (docs/runbooks/watch_drops.md): {'; '.join(complaints)}"
        )
    return len(understood)


def _delete(queue_url: str, messages: Iterable[Message]) -> None:
    answer = client("sqs").delete_message_batch(QueueUrl=queue_url, Entries=_entries(messages))
    failed = answer.get("Failed", [])
    # Our fault: the message was deleted already, or received again since, and then belongs to that receipt.
    for entry in (entry for entry in failed if entry["SenderFault"]):
        logger.warning("a message was deleted or received again meanwhile: %s", entry.get("Message", entry["Code"]))
    if theirs := [entry["Code"] for entry in failed if not entry["SenderFault"]]:
        raise RetryableError(f"SQS could not delete {len(theirs)} messages of {queue_url}: {', '.join(theirs)}")


def _entries(messages: Iterable[Message]) -> list[dict[str, str]]:
    return [{"Id": str(number), "ReceiptHandle": message.receipt_handle} for number, message in enumerate(messages)]
