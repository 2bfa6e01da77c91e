from __future__ import annotations

import asyncio
import importlib
import json
from types import SimpleNamespace
from typing import Any

import boto3
from airflow.triggers.base import TriggerEvent

from lookbook.drops.events import Message, Upload
from lookbook_airflow.drop_events import COMPLETE_DROPS, DropEventsTrigger, received_messages, watchers

NOTIFICATION = {
    "eventVersion": "2.1",
    "eventSource": "aws:s3",
    "eventTime": "2026-11-16T06:30:00.000Z",
    "eventName": "ObjectCreated:Put",
    "s3": {"bucket": {"name": "lookbook"}, "object": {"key": "drops/2026-11-16/_SUCCESS", "sequencer": "0A"}},
}


def context(*extras: dict[str, Any]) -> Any:
    """The context of a run that events with these extras have started."""
    return {"triggering_asset_events": {COMPLETE_DROPS: [SimpleNamespace(extra=extra) for extra in extras]}}


def test_without_a_queue_nobody_watches() -> None:
    assert COMPLETE_DROPS.watchers == watchers(None) == watchers("") == []


def test_the_queue_that_is_set_is_watched_by_a_trigger_that_can_be_made_again_from_what_is_stored() -> None:
    (watcher,) = watchers("https://sqs.us-east-1.amazonaws.com/1/drop-events")
    path, arguments = watcher.trigger.serialize()
    module, _, name = path.rpartition(".")
    made = getattr(importlib.import_module(module), name)(**arguments)

    assert isinstance(made, DropEventsTrigger)
    assert made.serialize() == (path, {"queue_url": "https://sqs.us-east-1.amazonaws.com/1/drop-events"})


def test_the_trigger_fires_with_what_messages_say_and_not_with_their_text(aws_server: str) -> None:
    sqs = boto3.client("sqs")
    queue_url = sqs.create_queue(QueueName="drop-events")["QueueUrl"]
    sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps({"Records": [NOTIFICATION], "more": "x" * 100_000}))

    async def fired() -> TriggerEvent:
        return await anext(DropEventsTrigger(queue_url).run())

    event = asyncio.run(fired())
    stored = json.loads(json.dumps(event.payload))

    assert len(json.dumps(stored)) < 2_000
    (message,) = received_messages(context({"from_trigger": True, "payload": stored}))
    assert message.uploads == (Upload("2026-11-16", "2026-11-16T06:30:00.000Z-0A"),)


def test_the_messages_of_all_events_that_started_a_run_are_received() -> None:
    one, two = Message("1", "a", complaints=("rubbish",)), Message("2", "b", (Upload("2026-11-16", "v"),))
    payloads = [{"payload": {"messages": [message.reference()]}} for message in (one, two)]

    assert received_messages(context(*payloads)) == [one, two]


def test_an_event_made_by_hand_brings_no_message() -> None:
    assert received_messages(context({}, {"from_rest_api": True})) == []
