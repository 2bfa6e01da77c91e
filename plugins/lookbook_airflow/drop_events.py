"""The asset of complete drops: S3 tells of them through SQS, a watcher in the triggerer listens.

A watcher is part of its DAG's definition, so its queue is read from the settings while a DAG file is parsed; beside
deadlines nothing else is. Without the setting there is no watcher, and the DAG that is scheduled on the asset never
starts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetWatcher
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from lookbook.settings import get_settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from lookbook.drops.events import Message


class DropEventsTrigger(BaseEventTrigger):
    """Listen to the queue and fire once for the messages of each reception, until the watcher is taken away.

    Unlike the stock ``SqsSensorTrigger`` it deletes no message that an ingest is due for, passes on what a message
    says and not its text, and outlasts a fault of the queue.

    Args:
        queue_url: the queue that S3 notifies.
    """

    def __init__(self, queue_url: str) -> None:
        super().__init__()
        self.queue_url = queue_url

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer makes the trigger of."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"queue_url": self.queue_url}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each reception that says something."""
        from lookbook.drops import events

        async for messages in events.listen(self.queue_url):
            yield TriggerEvent({"messages": [message.reference() for message in messages]})


def watchers(queue_url: str | None) -> list[AssetWatcher]:
    """Return who watches for complete drops: nobody, where no queue is set."""
    return [AssetWatcher(name="drop_events", trigger=DropEventsTrigger(queue_url))] if queue_url else []


COMPLETE_DROPS = Asset(
    name="complete_drops",
    uri="lookbook://drops/complete",
    group="lookbook",
    watchers=watchers(get_settings().drop_events_queue_url),
)


def received_messages(context: Context) -> list[Message]:
    """Return the messages that a run was started for; none for a run or an event made by hand."""
    from lookbook.drops.events import Message

    payloads = [event.extra.get("payload") or {} for event in context["triggering_asset_events"][COMPLETE_DROPS]]
    return [Message.from_reference(reference) for payload in payloads for reference in payload.get("messages", [])]
