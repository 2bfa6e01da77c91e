"""Data capture: what an endpoint was asked and what it answered, written to S3 in SageMaker's form.

A shadow variant's answers are found here and nowhere else. A line of its file has the ``eventId`` of the line of the
production variant that answered the same request, so that the two can be compared.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.objects import Objects
from local_aws.sagemaker.fleet import Fleet
from local_aws.sagemaker.replica import Replica
from local_aws.state import Document

_WRITE_EVERY = 2.0
_INPUT, _OUTPUT = ("Input", "InputAndOutput"), ("Output", "InputAndOutput")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Payload:
    """A body with its content type."""

    body: bytes
    content_type: str = ""


@dataclass(frozen=True)
class Event:
    """One request; its copy to a shadow variant is the same event."""

    asked: Payload
    inference_id: str | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


def is_sampled(config: Document | None) -> bool:
    """Say whether a request is one of those that a ``DataCaptureConfig`` asks for."""
    if not config or not config.get("EnableCapture", True):
        return False
    percentage: float = config["InitialSamplingPercentage"]
    return random.random() * 100 < percentage  # noqa: S311 - a sample, no secret


class Capture:
    """Collects what is captured and writes it to S3 every few seconds."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._lines: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="capture", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write what is left."""
        self._closing.set()
        self._thread.join()

    def note(self, fleet: Fleet, replica: Replica, event: Event, answered: Payload) -> None:
        """Keep a request and its answer, to be written soon."""
        config = fleet.capture or {}
        place = f"{config['DestinationS3Uri'].rstrip('/')}/{fleet.endpoint}/{replica.name}/{event.at:%Y/%m/%d/%H}"
        line = json.dumps(_record(config, event, answered))
        with self._lock:
            self._lines.setdefault(place, []).append(line)

    def _write_on(self) -> None:
        while not self._closing.wait(_WRITE_EVERY):
            self._write()
        self._write()

    def _write(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, {}
        for place, written in lines.items():
            name = f"{datetime.now(UTC):%M-%S}-{datetime.now(UTC).microsecond // 1000:03}-{uuid.uuid4()}.jsonl"
            try:
                self._objects.write(f"{place}/{name}", "".join(f"{line}\n" for line in written).encode())
            except (BotoCoreError, ClientError) as error:
                # As on AWS, requests are answered whether or not they can be captured.
                logger.warning("%d captured requests can't be written to %s: %s", len(written), place, error)


def _record(config: Document, event: Event, answered: Payload) -> Document:
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    data = {}
    if modes.intersection(_INPUT):
        data["endpointInput"] = _data(config, event.asked, "INPUT")
    if modes.intersection(_OUTPUT):
        data["endpointOutput"] = _data(config, answered, "OUTPUT")
    metadata = {"eventId": event.id, "inferenceTime": event.at.strftime("%Y-%m-%dT%H:%M:%SZ")}
    if event.inference_id:
        metadata["inferenceId"] = event.inference_id
    return {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}


def _data(config: Document, payload: Payload, mode: str) -> Document:
    types = config.get("CaptureContentTypeHeader", {})
    told = {"observedContentType": payload.content_type, "mode": mode}
    for encoding, member in (("JSON", "JsonContentTypes"), ("CSV", "CsvContentTypes")):
        if payload.content_type.split(";")[0].strip() in types.get(member, []):
            return {**told, "data": payload.body.decode(errors="replace"), "encoding": encoding}
    return {**told, "data": base64.b64encode(payload.body).decode(), "encoding": "BASE64"}
