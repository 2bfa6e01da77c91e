"""What champion and challenger answered, read from the files that SageMaker captured it in.

Two lines of the same ``eventId`` are answers to one request
(https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html).
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from lookbook import storage
from lookbook.serving import shadow as shadows
from lookbook.serving.alarms import VARIANT as CHAMPION
from lookbook.serving.shadow import Shadow
from lookbook.settings import get_settings
from lookbook.vqa.questions import WORDINGS

log = logging.getLogger(__name__)

_ATTRIBUTES = {words: attribute for attribute, wordings in WORDINGS.items() for words in wordings}


@dataclass(frozen=True)
class Said:
    """What a model said of one attribute; ``value`` is ``None`` where it abstained or named no value."""

    value: str | None
    probability: float
    text: str


@dataclass(frozen=True)
class Event:
    """One captured request of a variant: what was said by attribute."""

    event_id: str
    inference_id: str | None
    model_version: str
    said: dict[str, Said]

    @property
    def subject(self) -> str:
        """What the request was about, so that the same picture asked about twice counts once: its inference id."""
        return self.inference_id or self.event_id


@dataclass(frozen=True)
class Captured:
    """The requests that a variant answered, in the order of their capture, and how many lines can't be read."""

    events: tuple[Event, ...]
    unread: int


def champions(shadow: Shadow) -> Captured:
    """Return what the champion answered while the challenger stood beside it."""
    return _captured(shadow, CHAMPION)


def challengers(shadow: Shadow) -> Captured:
    """Return what the challenger answered."""
    return _captured(shadow, shadows.VARIANT)


def numbers(shadow: Shadow) -> tuple[int, int]:
    """Return how many requests champion and challenger answered, as far as they are captured."""
    champion, challenger = (sum(1 for _ in _lines(shadow, variant)) for variant in (CHAMPION, shadows.VARIANT))
    return champion, challenger


def _captured(shadow: Shadow, variant: str) -> Captured:
    events: list[Event] = []
    unread = 0
    for line in _lines(shadow, variant):
        try:
            events.append(_event(line))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            unread += 1
            log.warning("A line that variant %s captured can't be read (%r): %s", variant, error, line[:200])
    return Captured(tuple(events), unread)


def _lines(shadow: Shadow, variant: str) -> Iterator[bytes]:
    for stored in storage.list_objects(f"{shadow.captured_uri}/{get_settings().endpoint_name}/{variant}/"):
        yield from storage.read_bytes(stored.uri).splitlines()


def _event(line: bytes) -> Event:
    record = orjson.loads(line)
    about = record["eventMetadata"]
    answered = orjson.loads(_content(record["captureData"]["endpointOutput"]))
    said = dict(_said(answer) for answer in answered["answers"])
    return Event(about["eventId"], about.get("inferenceId"), str(answered["model_version"]), said)


def _content(output: dict[str, Any]) -> bytes:
    data: str = output["data"]
    return base64.b64decode(data, validate=True) if output["encoding"] == "BASE64" else data.encode()


def _said(answer: dict[str, Any]) -> tuple[str, Said]:
    """Return the attribute that was asked for and what was said; an answer about another one says nothing of it."""
    attribute = _ATTRIBUTES.get(answer["question"], answer["question"])
    value = answer["value"] if answer["attribute"] == attribute else None
    return attribute, Said(None if value is None else str(value), float(answer["probability"]), str(answer["text"]))
