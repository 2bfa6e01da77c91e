"""ministack inside our process: S3 and the small services, kept on disk, quiet, and with no port of its own.

ministack reads its settings when it is imported, so it is imported here, late, after they are set.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect

from local_aws.cloudwatch import CloudWatch
from local_aws.settings import REGION

SERVICES = ("s3", "sts", "iam", "logs", "monitoring", "sqs", "sns", "ssm", "secretsmanager", "events")
_SAVE_AFTER = 1.0
_SAVING_SHARE = 0.02  # of the time; all is written each time, and logs grow
_JUDGE_EVERY = 1.0

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class NotPersistedError(Exception):
    """An object's bytes could not be written to disk; the client gets an error instead of a false acknowledgement."""


class SmallServices:
    """The ASGI application for everything that isn't SageMaker or Bedrock."""

    def __init__(self, state: Path) -> None:
        objects = state / "s3"
        objects.mkdir(parents=True, exist_ok=True)
        _remove_unacknowledged(objects)
        _configure(objects, state / "ministack")
        import ministack.app
        import ministack.core.persistence
        import ministack.services.cloudwatch
        import ministack.services.s3

        _persist_or_fail(ministack.services.s3)
        self.cloudwatch = CloudWatch(ministack.services.cloudwatch)
        self._ministack, self._persistence = ministack.app, ministack.core.persistence
        self._changed = asyncio.Event()
        self._inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._outbox: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start ministack.

        Raises:
            RuntimeError: it refuses to.
        """
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
        lifespan = self._ministack.app(scope, self._inbox.get, self._outbox.put)
        self._tasks = [asyncio.create_task(lifespan)]
        await self._tell("startup")
        self._tasks += [asyncio.create_task(self._save_changes()), asyncio.create_task(self._judge_alarms())]

    async def close(self) -> None:
        """Stop ministack; it writes its state to disk."""
        await self._tell("shutdown")
        for task in self._tasks[1:]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            receive = _whole(receive)
        if _changes_buckets(scope):
            send = self._saving_first(send)
        try:
            await self._ministack.app(scope, receive, send)
        except ClientDisconnect:
            return  # nobody is left to answer
        # Objects are on disk by then, and so are buckets: what the others are told comes by POST.
        if scope["type"] == "http" and scope["method"] == "POST":
            self._changed.set()

    async def _tell(self, what: str) -> None:
        await self._inbox.put({"type": f"lifespan.{what}"})
        answer = await self._outbox.get()
        if answer["type"] != f"lifespan.{what}.complete":
            raise RuntimeError(f"ministack's {what} failed: {answer}")

    def _saving_first(self, send: Send) -> Send:
        """Acknowledge a bucket only when it is on disk: an empty one leaves no other trace there."""

        async def save_and_send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self._save()
            await send(message)

        return save_and_send

    async def _save_changes(self) -> None:
        """Write the small services' state shortly after each change: ministack itself does so only when it ends."""
        took = 0.0
        while True:
            await self._changed.wait()
            await asyncio.sleep(pause_before_saving(took))
            self._changed.clear()
            began = time.perf_counter()
            self._save()
            took = time.perf_counter() - began

    async def _judge_alarms(self) -> None:
        while True:
            await asyncio.sleep(_JUDGE_EVERY)
            if self.cloudwatch.evaluate():
                self._changed.set()

    def _save(self) -> None:
        self._persistence.save_all(self._ministack._build_persistence_save_dict())


def pause_before_saving(last_took: float) -> float:
    """Return for how long changes are gathered before they are saved, both in seconds."""
    return max(_SAVE_AFTER, last_took / _SAVING_SHARE)


def _whole(receive: Receive) -> Receive:
    """Give the request's body in one piece, or not at all.

    ministack adds piece to piece, which takes the square of a body's size, and takes what came before the client went
    away for the whole.

    Raises:
        ClientDisconnect: the client went away in the middle.
    """

    async def receive_all() -> MutableMapping[str, Any]:
        message = await receive()
        pieces = [message.get("body", b"")]
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            pieces.append(message.get("body", b""))
        return {**message, "body": b"".join(pieces)}

    return receive_all


def _changes_buckets(scope: Scope) -> bool:
    """Say whether a request creates, deletes or configures a bucket: those have no key in their path."""
    if scope["type"] != "http" or scope["method"] not in ("PUT", "DELETE"):
        return False
    return len(scope["path"].strip("/").split("/")) == 1


def _configure(objects: Path, state: Path) -> None:
    state.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        S3_PERSIST="1",
        S3_DATA_DIR=str(objects),
        PERSIST_STATE="1",
        STATE_DIR=str(state),
        SERVICES=",".join(SERVICES),
        MINISTACK_REGION=REGION,
        # Listeners on ports of their own, which nobody asked for.
        SFTP_ENABLED="0",
        IOT_MTLS_ENABLED="0",
    )


def _remove_unacknowledged(objects: Path) -> None:
    """Remove half-written files that a kill left behind; ministack would load them as objects named ``….tmp``."""
    for path in objects.rglob("*.tmp"):
        if path.is_file() and not path.with_name(path.name + ".meta.json").exists():
            path.unlink()


def _persist_or_fail(s3: Any) -> None:
    """Make a write that doesn't reach the disk an error: ministack logs it and acknowledges.

    A key that ends with a slash is a directory marker. It becomes the directory that the objects below it need, where
    ministack would write a file in their way.
    """
    persist = s3._persist_object

    def persist_or_fail(bucket: str, key: str, stored: dict[str, Any]) -> None:
        if key.endswith("/"):
            Path(s3._object_disk_path(bucket, key)).mkdir(parents=True, exist_ok=True)
            return
        persist(bucket, key, stored)
        if stored.get("body") is not None:
            raise NotPersistedError(f"s3://{bucket}/{key} can't be written to disk (does a key below it exist?)")

    s3._persist_object = persist_or_fail
