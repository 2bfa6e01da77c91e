"""One run at a time works on a drop: whoever holds its lease, an object in S3 that only one writer can replace.

A run takes the lease when it has found the drop, and every later task of it that writes makes sure that it still
holds it. Nothing gives a lease back: it ends with the run that holds it, however that ends, and at the latest after
``drop_lease_s`` seconds without a task of that run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from lookbook import storage
from lookbook.drops.discovery import drop_uri
from lookbook.errors import PermanentError, RetryableError
from lookbook.settings import get_settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holder:
    """The run that holds a drop."""

    dag_id: str
    run_id: str

    def __str__(self) -> str:
        return f"run {self.run_id} of {self.dag_id}"


def take(drop_id: str, holder: Holder, is_over: Callable[[Holder], bool]) -> None:
    """Take a drop for a run: it is free, the run holds it already, or whoever held it is over or silent for too long.

    Args:
        drop_id: the drop's Monday.
        holder: the run that wants it.
        is_over: tells whether another run has come to its end.

    Raises:
        RetryableError: another run works on the drop; the message names it.
    """
    uri = _uri(drop_id)
    found = storage.read_version(uri)
    if found is None:
        taken = storage.write_once(uri, _lease(holder))
    else:
        current, expires = _parse(found[0])
        if current != holder and datetime.now(UTC) < expires and not is_over(current):
            raise RetryableError(
                f"Drop {drop_id} is being ingested by {current}. Two runs of a drop come one after the other: this one "
                f"waits for that one's end, or for {expires:%Y-%m-%d %H:%M} UTC."
            )
        taken = storage.replace_version(uri, _lease(holder), found[1])
    if taken is None:
        raise RetryableError(
            f"Drop {drop_id} was taken by another run at this very moment. This one waits for its end."
        )
    logger.info("drop %s belongs to %s", drop_id, holder)


def keep(drop_id: str, holder: Holder) -> None:
    """Make sure that a run still holds the drop it took, and hold it from now for ``drop_lease_s`` seconds more.

    Raises:
        PermanentError: another run has taken the drop since: what this one has read may be out of date.
    """
    uri = _uri(drop_id)
    found = storage.read_version(uri)
    if found and _parse(found[0])[0] == holder and storage.replace_version(uri, _lease(holder), found[1]):
        return
    # A request that was sent again after a lost answer finds its own new version: that is no other run.
    again = storage.read_version(uri)
    current = _parse(again[0])[0] if again else None
    if current != holder:
        raise PermanentError(
            f"Drop {drop_id} no longer belongs to {holder}: {current or 'nobody'} has worked on it since. Clear this "
            "run from its first task on, or leave it: the other run's result stands."
        )


def is_held(drop_id: str) -> bool:
    """Return whether a run has worked on a drop within the last ``drop_lease_s`` seconds."""
    found = storage.read_version(_uri(drop_id))
    return found is not None and datetime.now(UTC) < _parse(found[0])[1]


def _uri(drop_id: str) -> str:
    drop_uri(drop_id)  # a lease is of a drop, named as one
    return f"s3://{get_settings().bucket}/staging/{drop_id}/lease.json"


def _lease(holder: Holder) -> bytes:
    expires = datetime.now(UTC) + timedelta(seconds=get_settings().drop_lease_s)
    return orjson.dumps({**asdict(holder), "expires_at": expires.isoformat()})


def _parse(content: bytes) -> tuple[Holder, datetime]:
    lease: dict[str, Any] = orjson.loads(content)
    return Holder(lease["dag_id"], lease["run_id"]), datetime.fromisoformat(lease["expires_at"])
